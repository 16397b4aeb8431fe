"""Cached features and the light head: computed once, whatever files are called; the head is the optimum."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from changenet_rows import mixed, put_rows, spec_for
from noescape.changenet.cached import features
from noescape.changenet.cached.features import FeatureBook, LazyDescriber, describe_spec
from noescape.changenet.cached.head import HeadPath, minimise, probability, weighted_loss
from noescape.changenet.cached.store import FeatureStore, Selection
from noescape.changenet.evaluate import evaluate
from noescape.changenet.images import Loader
from noescape.changenet.infer import infer
from noescape.changenet.rows import Files, read_rows
from noescape.changenet.spec import Spec
from noescape.changenet.train import train
from noescape.changenet.trained import Trained
from noescape.files import read_csv
from noescape.imaging import read_picture
from noescape.records import BundleError, DataError


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Spec, Trained]:
    """A trained cached model: 36 rows to learn from, 18 to choose on, 24 to test."""
    root = tmp_path_factory.mktemp("cached")
    for seed, (name, count) in enumerate((("train", 36), ("val", 18), ("test", 24))):
        put_rows(root, name, mixed(count), seed=seed)
    spec = spec_for(root, noescape={"cache_dir": str(root / "cache")})
    return root, spec, train(spec, root / "run")


def test_planted_defects_on_parts_never_seen_are_found(world: tuple[Path, Spec, Trained]) -> None:
    """No good part is stopped at full recall."""
    root, spec, trained = world
    done = evaluate(spec, trained.best, root / "evaluated")
    assert done.kpi.far_pct == 0 and done.kpi.n_fail == 8


def test_heat_lies_on_the_defects(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    """Of every defect the hottest box holds the middle of what was planted; few good parts have a box at all."""
    root, spec, trained = world
    done = infer(spec, trained.best, None, tmp_path, heatmaps=-1)
    assert len(list((tmp_path / "heatmaps").iterdir())) == len(done.rows)
    boxes: dict[str, list[list[int]]] = {}
    for line in read_csv(tmp_path / "change_boxes.csv"):
        boxes.setdefault(line["object_name"], []).append([int(line[k]) for k in ("x0", "y0", "x1", "y1")])
    calm = 0
    for row in done.rows:
        found = boxes.get(row.object_name, [])
        if not row.is_defect:
            calm += not found
            continue
        paths = [root / "img" / folder / f"{row.object_name}.png" for folder in ("input", "golden")]
        seen, golden = (read_picture(p).rgb.astype(int) for p in paths)
        ys, xs = np.nonzero(np.abs(seen - golden).max(2) > 50)
        x0, y0, x1, y1 = found[0]
        assert x0 <= xs.mean() <= x1 and y0 <= ys.mean() <= y1, row.object_name
        assert (x1 - x0) * (y1 - y0) < 0.6 * seen.shape[0] * seen.shape[1], row.object_name
    assert calm >= 12


def test_scores_from_the_cache_are_those_without_it(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    _, spec, trained = world
    bare = spec.model_copy(update={"noescape": spec.noescape.model_copy(update={"cache_dir": None})})
    one = infer(spec, trained.best, None, tmp_path / "a").scores
    two = infer(bare, trained.best, None, tmp_path / "b").scores
    assert np.allclose(np.array(one, float), np.array(two, float), atol=1e-6)


def test_known_features_are_not_computed_again(
    world: tuple[Path, Spec, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under other file names too: content is what counts."""
    root, spec, _ = world
    for folder in ("input", "golden"):
        (tmp_path / "img" / folder).mkdir(parents=True)
        for path in (root / "img" / folder).glob("*@train.png"):
            shutil.copy(path, tmp_path / "img" / folder / f"new {path.name}")
    rows = read_rows(root / "train.csv")
    for row in rows:
        row.fields["object_name"] = f"new {row.object_name}"
    data = spec.dataset.classify
    monkeypatch.setattr(features, "build_descriptor", lambda *a: pytest.fail("computed again"))
    lazy = LazyDescriber(describe_spec("efficientnet_lite0", None, data.size), None, 1)
    found = FeatureBook(root / "cache", lazy, Loader.of(data, tmp_path / "img", "auto")).describe(rows)
    assert len(found.kept) == len(rows) and not found.errors


def test_a_training_on_known_features_has_the_same_bytes(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    _, spec, trained = world
    again = train(spec, tmp_path / "again")
    assert again.val_loss == trained.val_loss
    for epoch in trained.epochs:
        assert (again.folder / epoch.file).read_bytes() == (trained.folder / epoch.file).read_bytes()
    assert (again.folder / "checkpoints.json").read_bytes() == (trained.folder / "checkpoints.json").read_bytes()


def test_one_bad_image_costs_one_row(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    """From the cache and without: an empty score, a reason, and all others as before."""
    root, spec, trained = world
    shutil.copytree(root / "img", tmp_path / "img")
    (tmp_path / "img" / "input" / "005@test.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    (tmp_path / "img" / "golden" / "009@test.png").unlink()
    before = infer(spec, trained.best, None, tmp_path / "a")
    for name, cache in (("b", spec.noescape.cache_dir), ("c", None)):
        own = spec.model_copy(update={"noescape": spec.noescape.model_copy(update={"cache_dir": cache})})
        done = infer(own, trained.best, None, tmp_path / name, images_dir=tmp_path / "img")
        assert sorted(done.errors) == [5, 9] and done.scores[5] is None
        kept = [i for i in range(24) if i not in (5, 9)]
        assert np.allclose([before.scores[i] for i in kept], [done.scores[i] for i in kept], atol=1e-6)  # type: ignore[misc]
        lines = (tmp_path / name / "inference.csv").read_text().splitlines()
        assert lines[0].endswith(",siamese_score,reason") and len(lines) == 25
        assert ",," in lines[6] and "torn" not in lines[1]
    assert (tmp_path / "a" / "inference.csv").read_text().splitlines()[0].endswith("comp_type_1,siamese_score")


def test_another_backbone_file_is_refused(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    from noescape.changenet.checkpoint import read_checkpoint, write_checkpoint

    _, spec, trained = world
    tensors, card = read_checkpoint(trained.best)
    plain = {k: v for k, v in card.items() if k not in ("kind", "format")}
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, "cached", tensors, {**plain, "weights_sha256": "0" * 64})
    with pytest.raises(BundleError, match="not those that it was trained with"):
        infer(spec, path, None, tmp_path / "out")
    write_checkpoint(path, "cached", tensors, {**plain, "lights": ["A", "B"]})
    with pytest.raises(Exception, match="2 lights"):
        infer(spec, path, None, tmp_path / "out")


def _selection(tmp_path: Path, x: np.ndarray) -> Selection:  # type: ignore[type-arg]
    store = FeatureStore(tmp_path, "id", x.shape[1])
    keys = [f"k{i}" for i in range(len(x))]
    for start in range(0, len(x), 7):
        store.add(keys[start : start + 7], x[start : start + 7].astype(np.float32))
    return Selection(store, keys)


def test_the_head_is_the_optimum(tmp_path: Path) -> None:
    """Against another program's solution of the same problem, with weights; and a constant entry changes nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, [1, 5, 0.1, 2, 1], (200, 5))
    x[:, 4] = 7
    y = x[:, 0] + 0.3 * x[:, 1] + rng.normal(0, 1, 200) > 4
    weights = np.where(y, 3.0, 1.0)
    head = HeadPath(_selection(tmp_path, x), y, weights).fit(0.1)
    scale = x[:, :4].std(0)
    other = LogisticRegression(C=1 / (0.1 * weights.sum()), tol=1e-10, max_iter=1000)
    other.fit((x[:, :4] - x[:, :4].mean(0)) / scale, y, sample_weight=weights)
    assert np.allclose(head.weights[:4], other.coef_[0] / scale, rtol=2e-3, atol=2e-4) and head.weights[4] == 0
    own = weighted_loss(head.logits(x.astype(np.float32)), y, weights)
    theirs = weighted_loss(other.decision_function((x[:, :4] - x[:, :4].mean(0)) / scale), y, weights)
    assert abs(own - theirs) < 1e-4


def test_blocks_do_not_change_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read again in blocks from disk, as selections too large for memory are."""
    from noescape.changenet.cached import head, store

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(90, 4)), rng.random(90) < 0.4
    whole = HeadPath(_selection(tmp_path / "a", x), y, np.ones(90)).fit(0.1)
    monkeypatch.setattr(store, "_HELD", 0)
    monkeypatch.setattr(head, "BLOCK", 16)
    blocks = HeadPath(_selection(tmp_path / "b", x), y, np.ones(90)).fit(0.1)
    assert np.allclose(whole.weights, blocks.weights, atol=1e-4)


def test_the_minimiser_finds_a_narrow_valley() -> None:
    def valley(p: np.ndarray) -> tuple[float, np.ndarray]:  # type: ignore[type-arg]
        a, b = p
        slope = np.array([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)])
        return float((1 - a) ** 2 + 100 * (b - a * a) ** 2), slope

    place, steps = minimise(valley, np.array([-1.2, 1.0]))
    assert np.allclose(place, 1, atol=1e-4) and steps < 100


def test_scores_near_nought_stay_apart() -> None:
    """Good parts far from the threshold are still in their order."""
    scores = probability(np.array([-60.0, -59.0, 0.0, 30.0]))
    assert scores[0] < scores[1] < scores[2] < scores[3] <= 1 and scores[2] == 0.5


def test_a_kill_between_features_and_keys_loses_that_chunk_only(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "id", 2)
    store.add(["a", "b"], np.ones((2, 2), np.float32))
    store.add(["c"], np.ones((1, 2), np.float32))
    keys = next(p for p in store.folder.glob("*.json") if '"c"' in p.read_text())
    keys.unlink()
    again = FeatureStore(tmp_path, "id", 2)
    assert "a" in again and "c" not in again
    again.add(["c"], np.zeros((1, 2), np.float32))
    assert again.rows(["c", "a"]).tolist() == [[0, 0], [1, 1]]
    for path in store.folder.glob("*.npy"):
        path.write_bytes(b"torn")
    with pytest.raises(DataError, match=r"\.npy"):
        FeatureStore(tmp_path, "id", 2)


def test_two_programs_that_fill_one_folder_do_not_mix(tmp_path: Path) -> None:
    """Opened at the same time, each keeps its own vectors, and a third finds both."""
    one, two = FeatureStore(tmp_path, "id", 1), FeatureStore(tmp_path, "id", 1)
    one.add(["a"], np.full((1, 1), 1, np.float32))
    two.add(["b"], np.full((1, 1), 2, np.float32))
    assert one.rows(["a"]).tolist() == [[1]] and two.rows(["b"]).tolist() == [[2]]
    assert FeatureStore(tmp_path, "id", 1).rows(["b", "a"]).tolist() == [[2], [1]]


def test_several_goldens_count_by_the_nearest(tmp_path: Path) -> None:
    """With the true golden among others, the descriptor is no larger than with it alone."""
    from noescape.changenet.cached.features import Describer
    from noescape.changenet.images import LoadedPair

    rows = read_rows(put_rows(tmp_path, "train", ["PASS"] * 3))
    loader = Loader(files=Files(root=tmp_path / "img"), size=(32, 32))
    pairs = [loader.load(row) for row in rows]
    describe = Describer(describe_spec("efficientnet_lite0", None, (32, 32)), None)
    alone = describe(pairs[0])
    many = describe(LoadedPair(input=pairs[0].input, goldens=np.concatenate([p.goldens for p in pairs])))
    assert (many <= alone).all() and (many >= 0).all()
    same = describe(LoadedPair(input=pairs[0].input, goldens=pairs[0].input[None]))
    assert np.abs(same).max() < 1e-5
