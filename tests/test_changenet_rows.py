"""Rows, images, augmentation and sampling: what a CSV says is what is compared, and nothing gives the label away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from changenet_rows import mixed, part, put_rows
from dataset_maker import put
from noescape.changenet.augment import Draw, apply, draw
from noescape.changenet.images import Loader, augmented
from noescape.changenet.rows import Files, read_rows, refuse_missing
from noescape.changenet.sampler import epoch_order, held_out, row_weights
from noescape.changenet.spec_data import Augmentation, ClassifyData
from noescape.files import write_csv
from noescape.imaging import png_bytes
from noescape.records import DataError, ImageError

HEAD = ("input_path", "golden_path", "label", "object_name")


def _csv(path: Path, *rows: tuple[str, ...], head: tuple[str, ...] = HEAD) -> Path:
    write_csv(path, head, rows)
    return path


def test_every_cell_is_text_and_only_pass_is_good(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", ("i", "g", " pass ", "007"), ("i", "g", "Missing", "1e5"), ("i", "g", "PASS", "=x"))
    rows = read_rows(path)
    assert [r.object_name for r in rows] == ["007", "1e5", "=x"]
    assert [r.is_defect for r in rows] == [False, True, False]
    assert [r.number for r in rows] == [1, 2, 3]


def test_a_table_that_is_none_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns label, object_name are missing"):
        read_rows(_csv(tmp_path / "a.csv", ("i", "g"), head=HEAD[:2]))
    with pytest.raises(DataError, match="no row"):
        read_rows(_csv(tmp_path / "b.csv"))
    with pytest.raises(DataError, match="more than once"):
        read_rows(_csv(tmp_path / "c.csv", ("i", "g", "PASS", "x", "y"), head=(*HEAD, "label")))
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"d\.csv"):
        read_rows(tmp_path / "d.csv")
    with pytest.raises(DataError, match=r"none\.csv"):
        read_rows(tmp_path / "none.csv")
    (tmp_path / "e.csv").write_text(",".join(HEAD) + "\ni,g,,x\ni,g,PASS,\ni,g,PASS,x,too,many\n")
    with pytest.raises(DataError, match=r"3 rows cannot be used(?s:.*)row 1: label empty(?s:.*)row 3: 6 cells"):
        read_rows(tmp_path / "e.csv")


def test_all_missing_files_are_listed_at_once(tmp_path: Path) -> None:
    path = put_rows(tmp_path, "train", ["PASS"] * 4)
    rows = read_rows(path)
    (tmp_path / "img" / "input" / "001@train.png").unlink()
    (tmp_path / "img" / "golden" / "003@train.png").unlink()
    with pytest.raises(DataError, match=r"2 of 4 rows(?s:.*)row 2: (?s:.*)row 4: "):
        refuse_missing(rows, Files(root=tmp_path / "img"), path)


@pytest.mark.parametrize("folder", ["../outside", "/etc", "a/../../outside", "in\0put"])
def test_names_do_not_lead_out_of_the_images(tmp_path: Path, folder: str) -> None:
    put(tmp_path / "outside" / "x.png", part(1))
    (tmp_path / "img").mkdir()
    row = read_rows(_csv(tmp_path / "a.csv", ("i", "g", "PASS", "x")))[0]
    row.fields["input_path"] = folder
    with pytest.raises(DataError):
        Files(root=tmp_path / "img").inputs(row)
    row.fields.update(input_path=".", object_name="../outside/x")
    with pytest.raises(DataError, match="no name of a file"):
        Files(root=tmp_path / "img").inputs(row)


def test_lights_lie_in_their_places(tmp_path: Path) -> None:
    """Linear: below each other; grid: row by row; in the order of their numbers."""
    for number, light in enumerate("ABCD"):
        for folder in ("input", "golden"):
            put(tmp_path / folder / f"x_{light}.png", np.full((16, 16, 3), 50 * number, np.uint8))
    row = read_rows(_csv(tmp_path / "a.csv", ("input", "golden", "PASS", "x")))[0]
    lights = {"B": 1, "A": 0, "D": 3, "C": 2}
    base = {"num_input": 4, "input_map": lights, "image_width": 16, "image_height": 16, "image_ext": "png"}
    linear = Loader.of(ClassifyData(**base, concat_type="linear"), tmp_path, "none").load(row)
    assert linear.input.shape == (64, 16, 3) and linear.goldens.shape == (1, 64, 16, 3)
    assert [int(linear.input[16 * i, 0, 0]) for i in range(4)] == [0, 50, 100, 150]
    grid = Loader.of(ClassifyData(**base, concat_type="grid"), tmp_path, "none").load(row)
    assert grid.input.shape == (32, 32, 3)
    assert [int(grid.input[y, x, 0]) for y in (0, 16) for x in (0, 16)] == [0, 50, 100, 150]


def test_several_goldens_come_from_a_folder(tmp_path: Path) -> None:
    """Any stem; fewer than wanted: some twice; drawn anew for each seed, the first by name without one."""
    put(tmp_path / "input" / "x.png", part(1))
    for n in range(3):
        put(tmp_path / "golden" / f"any {n}.png", np.full((32, 32, 3), 40 + n, np.uint8))
    row = read_rows(_csv(tmp_path / "a.csv", ("input", "golden", "PASS", "x")))[0]

    def got(count: int, rng: np.random.Generator | None) -> list[int]:
        data = ClassifyData(num_golden=count, image_width=16, image_height=16)
        return [int(g[0, 0, 0]) for g in Loader.of(data, tmp_path, "none").load(row, rng).goldens]

    assert got(2, None) == [40, 41]
    assert got(5, None) == [40, 41, 42, 40, 41]
    drawn = {tuple(got(2, np.random.default_rng(seed))) for seed in range(12)}
    assert len(drawn) > 2 and all(len(set(d)) == 2 for d in drawn)
    row.fields["golden_path"] = "none"
    with pytest.raises(DataError, match="none"):
        got(2, None)


def test_an_image_that_is_none_is_an_error_of_its_row(tmp_path: Path) -> None:
    rows = read_rows(put_rows(tmp_path, "train", ["PASS"]))
    (tmp_path / "img" / "input" / "000@train.png").write_bytes(b"not an image")
    with pytest.raises(ImageError):
        Loader(files=Files(root=tmp_path / "img"), size=(32, 32)).load(rows[0])


def test_a_golden_that_lies_off_is_laid_on_its_input(tmp_path: Path) -> None:
    """Registration on: what differs is less than half of what differs without."""
    golden = np.kron(np.random.default_rng(3).integers(0, 2, (12, 12)), np.ones((8, 8))).astype(np.uint8) * 255
    put(tmp_path / "golden" / "x.png", golden)
    put(tmp_path / "input" / "x.png", np.roll(golden, 2, axis=1))
    row = read_rows(_csv(tmp_path / "a.csv", ("input", "golden", "PASS", "x")))[0]
    apart = {}
    for kind in ("none", "auto"):
        pair = Loader(files=Files(root=tmp_path), size=(96, 96), registration=kind).load(row)
        apart[kind] = float(np.abs(pair.input.astype(int) - pair.goldens[0]).mean())
    assert apart["auto"] < apart["none"] / 2


def test_input_and_golden_are_augmented_by_the_same_draw() -> None:
    """Of an input that equals its golden nothing differs after any draw: augmentation never looks like a change."""
    config, image = Augmentation(augment=True), part(5)
    from noescape.changenet.images import LoadedPair

    pair, shapes = LoadedPair(input=image, goldens=np.stack([image, image])), set()
    changed = 0
    for seed in range(40):
        drawn = draw(config, np.random.default_rng(seed))
        out = augmented(pair, drawn)
        assert np.array_equal(out.input, out.goldens[0]) and np.array_equal(out.input, out.goldens[1])
        shapes.add(out.input.shape)
        changed += not np.array_equal(out.input, image)
    assert shapes == {image.shape} and changed > 30


def test_what_is_switched_off_is_not_done() -> None:
    image = part(5)
    assert draw(Augmentation(augment=False), np.random.default_rng(0)) == Draw()
    assert apply(Draw(), image) is not None and np.array_equal(apply(Draw(), image), image)
    off = {"enable": False}
    config = Augmentation(
        augment=True, random_flip=off, random_rotate=off, random_color=off, with_random_crop=False,
        with_random_blur=off,
    )  # fmt: skip
    assert all(draw(config, np.random.default_rng(s)) == Draw() for s in range(20))
    turned = Augmentation(augment=True, random_rotate={"rotate_probability": 1})
    assert {draw(turned, np.random.default_rng(s), square=False).turns for s in range(20)} == {2}
    assert {draw(turned, np.random.default_rng(s)).turns for s in range(20)} == {1, 2, 3}


def test_defects_are_drawn_in_their_share() -> None:
    """fpratio 0.5: a defect for every two good ones, however rare it is."""
    defect = np.zeros(4000, np.bool_)
    defect[:40] = True
    order = epoch_order(defect, 0.5, np.random.default_rng(0))
    assert len(order) == 4000 and abs(defect[order].mean() - 1 / 3) < 0.03
    assert np.array_equal(order, epoch_order(defect, 0.5, np.random.default_rng(0)))


@pytest.mark.parametrize("defect", [np.zeros(5, np.bool_), np.ones(5, np.bool_)])
def test_one_class_alone_is_drawn_evenly(defect: np.ndarray) -> None:  # type: ignore[type-arg]
    assert row_weights(defect, 0.1).tolist() == [1] * 5
    assert row_weights(np.array([True, False, False]), 0.0).tolist() == [0, 1, 1]


def test_no_board_is_on_both_sides_of_what_is_held_out(tmp_path: Path) -> None:
    rows = read_rows(put_rows(tmp_path, "train", mixed(40), boards=8))
    kept, held = held_out(rows)
    assert len(kept) + len(held) == 40 and 8 <= len(held) <= 16
    assert not {r.fields["boardname"] for r in kept} & {r.fields["boardname"] for r in held}
    assert held_out(rows[:8][::8]) == (rows[:1], ())


def test_one_board_is_never_held_out(tmp_path: Path) -> None:
    rows = read_rows(put_rows(tmp_path, "train", mixed(6), boards=1))
    assert held_out(rows) == (rows, ())


def test_files_in_other_suffixes_are_found_without_image_ext(tmp_path: Path) -> None:
    put(tmp_path / "input" / "x.jpg", part(1))
    put(tmp_path / "golden" / "x.png", part(1))
    row = read_rows(_csv(tmp_path / "a.csv", ("input", "golden", "PASS", "x")))[0]
    assert Files(root=tmp_path).inputs(row)[0].suffix == ".jpg"
    assert Files(root=tmp_path).goldens(row)[0][0].suffix == ".png"
    with pytest.raises(DataError, match=r"x\.png"):
        Files(root=tmp_path, ext=".png").inputs(row)
    assert png_bytes(part(1))
