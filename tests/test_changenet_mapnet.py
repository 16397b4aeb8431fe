"""The map network: what it is taught, that it finds planted defects, and that its folder cannot lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from changenet_maker import pair
from noescape.changenet.cells import NG, OK, cell_truth
from noescape.changenet.mapnet.augment import Shares, augmented
from noescape.changenet.mapnet.channels import channels, inverted
from noescape.changenet.mapnet.fit import rate_at
from noescape.changenet.mapnet.mining import Miner
from noescape.changenet.mapnet.model import MapModel, load_mapnet
from noescape.changenet.mapnet.net import MapNet
from noescape.changenet.mapnet.prepared import CROP, MARGIN, prepare, target_map
from noescape.changenet.mapnet.recipe import MapRecipe
from noescape.changenet.mapnet.train import train_mapnet
from noescape.changenet.pairs import Pair, read_deeppcb
from noescape.changenet.register import bits, register
from noescape.files import write_bytes
from noescape.imaging import png_bytes
from noescape.records import BundleError, DataError, ImageError, UsageError

QUICK = MapRecipe(nets=1, steps=40, batch=16, width=0.5)
TINY = MapRecipe(nets=2, steps=2, batch=8, width=0.2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> MapModel:
    return train_mapnet([pair(n) for n in range(8)], QUICK, tmp_path_factory.mktemp("mapnet") / "model")


def test_planted_defects_are_found_on_boards_never_seen(trained: MapModel) -> None:
    """Every cell with an open, a short or a spot scores over every clean cell of four new boards."""
    wanted, clean = [], []
    for number in range(100, 104):
        made = pair(number)
        scored = trained.score(*made.images())
        label = cell_truth(made.boxes, (256, 256)).label
        wanted += list(scored.cells[label == NG])
        clean += list(scored.cells[label == OK])
    assert len(wanted) >= 10 and min(wanted) > max(clean)


def test_boxes_lie_on_the_defects(trained: MapModel) -> None:
    """Each planted box is met by a box found, and none is found elsewhere."""
    made = pair(105)
    found = trained.score(*made.images()).boxes
    assert all(any(_overlap(box, other) > 0.3 for other in found) for box in made.boxes)
    assert all(any(_overlap(box, other) > 0 for other in made.boxes) for box in found)


def test_a_clean_pair_has_no_box(trained: MapModel) -> None:
    made = pair(106, defects=())
    scored = trained.score(*made.images())
    assert scored.boxes == () and scored.cells.max() < 0


def test_images_of_any_size_and_colour_are_scored(trained: MapModel) -> None:
    """Sizes that are no multiple of 8 or 64; RGB gives what grey gives."""
    made = pair(107)
    golden, test = (image[:201, :243] for image in made.images())
    one = trained.score(golden, test)
    assert one.map.shape == (26, 31) and one.cells.shape == (4, 4)
    two = trained.score(*(np.repeat(image[..., None], 3, axis=2) for image in (golden, test)))
    assert np.array_equal(one.map, two.map)


def test_same_pairs_and_recipe_give_the_same_bytes(tmp_path: Path) -> None:
    """However many threads torch has; and another seed gives other bytes."""
    pairs = [pair(n) for n in range(2)]
    before = torch.get_num_threads()
    try:
        train_mapnet(pairs, TINY, tmp_path / "a")
        torch.set_num_threads(2)
        train_mapnet(pairs, TINY, tmp_path / "b")
    finally:
        torch.set_num_threads(before)
    other = MapRecipe.from_json({**TINY.to_json(), "seed": 1})
    train_mapnet(pairs, other, tmp_path / "c")
    assert _content(tmp_path / "a") == _content(tmp_path / "b")
    assert _content(tmp_path / "a")["net_0.safetensors"] != _content(tmp_path / "c")["net_0.safetensors"]
    assert _content(tmp_path / "a")["net_0.safetensors"] != _content(tmp_path / "a")["net_1.safetensors"]


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Killed in the second network: the first is not trained again."""
    pairs = [pair(n) for n in range(2)]
    train_mapnet(pairs, TINY, tmp_path / "whole")

    def kill(done: int, total: int, loss: float) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_mapnet(pairs, TINY, tmp_path / "cut", kill)
    assert not (tmp_path / "cut" / "model.json").exists()
    heard: list[int] = []
    train_mapnet(pairs, TINY, tmp_path / "cut", lambda done, total, loss: heard.append(done))
    assert heard == [3, 4]
    assert _content(tmp_path / "cut") == _content(tmp_path / "whole")
    heard.clear()
    train_mapnet(pairs, TINY, tmp_path / "cut", lambda done, total, loss: heard.append(done))
    assert heard == []


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    """Another model, a begun training of other pairs, or any files: nothing is overwritten."""
    train_mapnet([pair(0)], TINY, tmp_path / "model")
    with pytest.raises(DataError, match="other pairs or another recipe"):
        train_mapnet([pair(1)], TINY, tmp_path / "model")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="holds files already"):
        train_mapnet([pair(0)], TINY, tmp_path / "files")
    with pytest.raises(DataError, match="expected a folder"):
        train_mapnet([pair(0)], TINY, tmp_path / "files" / "holiday.jpg")
    with pytest.raises(DataError, match="hold no box"):
        train_mapnet([pair(0, defects=())], TINY, tmp_path / "no")
    with pytest.raises(DataError, match="got none"):
        train_mapnet([], TINY, tmp_path / "no")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def _pickled(path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, path)


@pytest.mark.parametrize("damage", [_cut, _flip, _pickled, Path.unlink])
@pytest.mark.parametrize("name", ["net_1.safetensors", "model.json"])
def test_a_damaged_folder_is_refused(damage: object, name: str, tmp_path: Path, trained_tiny: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained_tiny, folder)
    damage(folder / name)  # type: ignore[operator]
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        load_mapnet(folder)


@pytest.fixture(scope="module")
def trained_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    train_mapnet([pair(0)], TINY, folder)
    return folder


CARDS = {
    "another kind": {"kind": "siamese"},
    "a later format": {"format": 2},
    "a recipe with more fields": {"recipe": {**TINY.to_json(), "run": "rm"}},
    "a recipe with a word for a number": {"recipe": {**TINY.to_json(), "steps": "2"}},
    "a recipe out of range": {"recipe": {**TINY.to_json(), "cell": 63}},
    "another network": {"recipe": {**TINY.to_json(), "width": 0.4}},
    "a file outside": {"files": {"../net_0.safetensors": "00", "net_1.safetensors": "00"}},
    "no trace of its training": {"trained_on": None},
}


@pytest.mark.parametrize("change", CARDS.values(), ids=CARDS.keys())
def test_a_card_that_does_not_fit_is_refused(change: dict[str, object], tmp_path: Path, trained_tiny: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained_tiny, folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(BundleError):
        load_mapnet(folder)


def test_targets_are_boxes_shrunk_with_a_rim_that_does_not_count() -> None:
    """A box of 40 px: its inside is wanted, its rim ignored, the rest background; neighbours do not undo each other."""
    target = target_map([(40, 40, 80, 80)], (160, 160))
    centre = np.arange(20) * 8 + 3.5
    inside = (centre >= 45) & (centre <= 75)
    touched = (centre > 39) & (centre < 81)
    assert ((target == 1) == np.outer(inside, inside)).all()
    assert ((target == 0) == ~np.outer(touched, touched)).all()
    both = target_map([(40, 40, 80, 80), (72, 40, 112, 80)], (160, 160))
    assert (both[target == 1] == 1).all()


def test_the_smallest_box_has_a_target() -> None:
    assert (target_map([(60, 60, 62, 62)], (160, 160)) == 1).any()


def test_channels_say_what_differs_and_forgive_one_pixel() -> None:
    placed = np.zeros((24, 24), np.uint8)
    placed[8:16, 8:16] = 1
    test = np.roll(placed, 1, axis=1)
    seen = channels(placed, placed, test)
    assert seen.shape == (24, 24, 9) and set(np.unique(seen)) == {0, 1}
    assert seen[..., 2].sum() == 8 and seen[..., 3].sum() == 8 and not seen[..., 4:].any()
    seen = channels(placed, placed, np.roll(placed, 2, axis=1))
    assert seen[..., 4].sum() == 8 and seen[..., 5].sum() == 8 and seen[..., 8].sum() > 16


def test_channels_treat_light_and_dark_alike() -> None:
    """The channels of an inverted pair are the channels of the pair, inverted."""
    golden, test = (bits(image) for image in pair(2).images())
    placed = register(golden, test, kind="blocks").golden
    plain = channels(golden, placed, test)
    assert np.array_equal(channels(golden ^ 1, placed ^ 1, test ^ 1), inverted(plain))
    assert np.array_equal(inverted(inverted(plain)), plain)


def test_a_pair_upside_down_in_other_tones_gets_the_same_answer(trained: MapModel) -> None:
    """Both views are looked at anyway; only their order of summation differs."""
    golden, test = pair(108).images()
    placed = register(golden, test, kind="blocks").golden
    plain = trained.map_of(golden, placed, test)
    other = trained.map_of(*(255 - image[::-1, ::-1] for image in (golden, placed, test)))
    assert np.allclose(plain, other[::-1, ::-1], atol=1e-4)


def test_augmentation_keeps_its_shares() -> None:
    """Nothing is changed at share 0; at share 1 each change is there, and light stays 0 or 1."""
    golden, test = (bits(image) for image in pair(2).images())
    rng = np.random.default_rng(0)
    for same, was in zip(augmented(golden, golden, test, rng, Shares()), (golden, golden, test), strict=True):
        assert same is was
    for got, was in zip(augmented(golden, golden, test, rng, Shares(invert=1)), (golden, golden, test), strict=True):
        assert np.array_equal(got, 1 - was)
    for shares in (Shares(shift=1), Shares(width=1)):
        got = augmented(golden, golden, test, rng, shares)
        assert any(not np.array_equal(a, b) for a, b in zip(got, (golden, golden, test), strict=True))
        assert all(set(np.unique(image)) == {0, 1} for image in got)


def test_a_crop_is_the_pair_with_its_edge_repeated() -> None:
    made = pair(3)
    golden, test = made.images()
    ready = prepare(golden, test, made.boxes, level=127, registration="blocks")
    placed = bits(register(golden, test, kind="blocks").golden)
    for y, x in ((0, 0), (64, 128), (128, 8)):
        for got, whole in zip(ready.crop(y, x), (bits(golden), placed, bits(test)), strict=True):
            wide = np.pad(whole, MARGIN, mode="edge")
            assert np.array_equal(got, wide[y : y + CROP + 2 * MARGIN, x : x + CROP + 2 * MARGIN])


def test_hard_candidates_are_drawn_more_often() -> None:
    """After a loss on one box and none on the others, half of the box crops and more are about that one."""
    made = pair(4)
    ready = prepare(*made.images(), made.boxes, level=127, registration="blocks")
    miner, rng = Miner([ready], Shares()), np.random.default_rng(0)
    for _ in range(20):
        batch = miner.draw(8, rng)
        miner.learn(batch, np.where(np.arange(8) < 4, np.pad(batch.wanted, (0, 4)) == 1, 0), np.zeros(8))
    drawn = np.concatenate([miner.draw(8, rng).wanted for _ in range(50)])
    assert (drawn == 1).mean() > 0.5


def test_pairs_smaller_than_a_crop_can_be_learnt_from(tmp_path: Path) -> None:
    golden, test = pair(5, side=256).images()
    small = Pair(key="s", golden=golden[:90, :100], test=test[:90, :100], boxes=((20, 20, 50, 50),), types=("open",))
    model = train_mapnet([small], TINY, tmp_path / "m")
    assert model.score(golden[:90, :100], test[:90, :100]).cells.shape == (2, 2)


def test_folding_the_normalisation_changes_no_answer() -> None:
    torch.manual_seed(0)
    net = MapNet(0.3).train()
    for _ in range(3):
        net(torch.rand(4, 9, 64, 64))
    x = torch.rand(1, 9, 64, 96)
    with torch.inference_mode():
        plain = net.eval()(x)
        assert torch.allclose(net.folded()(x), plain, atol=1e-5)


def test_the_rate_rises_then_falls() -> None:
    assert rate_at(0) == 0 and rate_at(0.1) == pytest.approx(1, abs=0.01) and rate_at(0.999) < 0.002


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch": 4},
        {"cell": 12},
        {"precision": "f16"},
        {"level": 255},
        {"width_share": 1.5},
        {"registration": "rigid"},
    ],
)
def test_a_recipe_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        MapRecipe(**wrong)  # type: ignore[arg-type]


def test_pairs_of_two_sizes_or_without_a_type_per_box_are_refused() -> None:
    image = np.zeros((64, 64), np.uint8)
    with pytest.raises(DataError, match="64x64 and 32x64"):
        Pair(key="a b", golden=image, test=image[:, :32]).images()
    with pytest.raises(DataError, match="1 for 2"):
        Pair(key="a", golden=image, test=image, boxes=((0, 0, 5, 5), (9, 9, 12, 12)), types=("open",))


def test_deeppcb_pairs_come_with_panel_boxes_and_types(tmp_path: Path) -> None:
    """A pair without labels costs that pair, with its reason."""
    made = pair(6)
    folder = tmp_path / "PCBData" / "group00001"
    for stem, labels in (("00001000", "10 20 40 50 1\n60 60 90 95 4\n"), ("00001001", "oops\n")):
        for name, image in (("temp", made.golden), ("test", made.test)):
            write_bytes(folder / "00001" / f"{stem}_{name}.png", png_bytes(np.asarray(image)))
        (folder / "00001_not").mkdir(exist_ok=True)
        (folder / "00001_not" / f"{stem}.txt").write_text(labels)
    skipped: list[ImageError] = []
    (got,) = read_deeppcb(tmp_path, skipped)
    assert got.group == "group00001" and got.types == ("open", "spur")
    assert got.boxes == ((10, 20, 40, 50), (60, 60, 90, 95))
    assert np.array_equal(got.images()[0][..., 0], made.golden)
    assert len(skipped) == 1


def _content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def _overlap(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height) / ((a[2] - a[0]) * (a[3] - a[1]))
