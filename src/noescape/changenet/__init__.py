"""Compare a test image with its golden: which cells changed, where, and how surely.

Doors of this room that stand (a trainer for siamese specs joins them):

    register(golden, test, *, kind="auto" | "blocks" | "flow" | "none", level=127) -> Registered
        lays the golden on the test image, and says why so                                    (register.py)
    cell_truth(boxes, shape, *, side=64) -> CellTruth
        NG, OK or left out, per cell; boxes that no cell holds half of                        (cells.py)
    Pair(key, golden, test, boxes, types, group);  read_deeppcb(source, skipped) -> list[Pair]
                                                                                              (pairs.py)
    train_mapnet(pairs, recipe: MapRecipe, out, on_step=None) -> MapModel
        the map network; `out` is a folder with model.json and safetensors                    (mapnet/train.py)
    load_mapnet(folder) -> MapModel;  MapModel.score(golden, test, *, threshold=0.0) -> Scored
        .map, .cells, .boxes, .box_scores, .registered                                        (mapnet/model.py)
"""
