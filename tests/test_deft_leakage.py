"""Leaks that were planted are found, rows that share nothing are not, and only real parts judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deft_maker import LIGHT, World, cell, full_world, make_world, save, spoilt, write_rows
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import load_spec
from noescape.cli.main import main
from noescape.deft.hardstop import HardStop
from noescape.deft.leakage import Findings, leakage, require_clean, require_real, synthetic_rows
from noescape.deft.leakage_key import Holdout
from noescape.deft.pool import build_pool
from noescape.files import read_csv

U8 = npt.NDArray[np.uint8]


def _jpeg(rgb: U8, quality: int) -> U8:
    coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


TRICKS: dict[str, Callable[[U8], U8]] = {
    "same bytes": lambda x: x,
    "jpeg": lambda x: _jpeg(x, 70),
    "darker": lambda x: np.asarray(x * 0.8, np.uint8),
    "gamma": lambda x: np.asarray(255 * (x / 255.0) ** 0.7, np.uint8),
    "larger": lambda x: np.asarray(cv2.resize(x, (96, 96), interpolation=cv2.INTER_CUBIC), np.uint8),
    "quarter turn": lambda x: np.ascontiguousarray(np.rot90(x)),
    "half turn": lambda x: np.ascontiguousarray(np.rot90(x, 2)),
    "mirrored": lambda x: np.ascontiguousarray(x[:, ::-1]),
}


def _spec(world: World) -> Spec:
    return load_spec(world.spec)


def _find(world: World, train: list[dict[str, object]], held: list[dict[str, object]], **more: bool) -> Findings:
    csv = write_rows(world.home / "train.csv", train)
    holdout = Holdout(name="kpi", csv=write_rows(world.home / "held.csv", held))
    return leakage(csv, [holdout], _spec(world), world.home, images_dir="kpi/images", **more)


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    """Eight kinds of copies, three of each, among 60 rows on either side: recall and precision are 1."""
    world = make_world(tmp_path)
    held = world.rows("held", ["PASS", "Bridge"] * 30, seed=5)
    train = world.rows("train", ["PASS", "Bridge"] * 30, seed=6)
    planted = {}
    for k, (name, trick) in enumerate((n, t) for n, t in TRICKS.items() for _ in range(3)):
        row = held[2 * k]
        rgb = cv2.cvtColor(
            cv2.imread(str(tmp_path / f"kpi/images/held/{row['object_name']}_{LIGHT}.png")), cv2.COLOR_BGR2RGB
        )
        new = world.pair("train", f"other_name_{k}", trick(rgb), cell(7000 + k))
        train.append(new | {"label": "PASS", "boardname": "board-train"})
        planted[len(train)] = (name, 2 * k + 1)
    found = _find(world, train, held)
    assert {leak.train_row: leak.holdout_row for leak in found.leaks} == {n: row for n, (_, row) in planted.items()}
    kinds = {planted[leak.train_row][0]: leak.kind for leak in found.leaks}
    assert kinds.pop("same bytes") == "bytes" and set(kinds.values()) == {"picture"}
    with pytest.raises(HardStop) as stop:
        require_clean(tmp_path / "train.csv", found)
    assert stop.value.code == "leakage"


def test_a_copy_under_another_label_is_called_relabelled(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    held, train = world.rows("held", ["Bridge"], seed=5), world.rows("train", ["PASS"], seed=6)
    rgb = spoilt(cell(1), 1)
    for row, folder in ((held[0], "held"), (train[0], "train")):
        save(tmp_path / f"kpi/images/{folder}/{row['object_name']}_{LIGHT}.png", rgb)
    found = _find(world, train, held)
    assert [(leak.kind, leak.detail) for leak in found.leaks] == [("relabelled", "same bytes; here PASS, there Bridge")]


def test_plain_pictures_and_shared_goldens_are_no_leak(tmp_path: Path) -> None:
    """A white cell, or one with a straight trace, is the same on every board; a golden is there to be shared."""
    world = make_world(tmp_path)
    white = np.full((48, 48, 3), 255, np.uint8)
    trace = white.copy()
    trace[20:26] = 30
    golden = cell(3)
    sets = []
    for folder in ("train", "held"):
        rows = [world.pair(folder, f"{folder}{i}", x, golden) | {"label": "PASS"} for i, x in enumerate((white, trace))]
        sets.append(rows)
    found = _find(world, *sets)
    assert found.leaks == () and any("4 pictures show nothing" in note for note in found.notes)


def test_the_same_specimen_is_a_leak_and_a_product_name_is_not(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    held = world.rows("held", ["PASS", "Bridge"], seed=5, board="SN-1")
    train = world.rows("train", ["PASS", "Bridge"], seed=6, board="SN-1")
    other = world.rows("other", ["PASS"], seed=7, board="SN-2")
    assert {leak.kind for leak in _find(world, [*train, *other], held).leaks} == set()  # other panels of that board
    same = [row | {"object_name": str(row["object_name"]).replace("@6", "@5")} for row in train]
    found = _find(world, [*same, *other], held)
    assert [(leak.kind, leak.train_row) for leak in found.leaks] == [("board", 1), ("board", 2)]
    assert _find(world, [*same, *other], held, boards=False).leaks == ()
    product = [row | {"object_name": "x", "boardname": "PRODUCT"} for row in (*held, *train)]
    alone = _find(world, product[2:], product[:2], boards=True)
    assert {leak.kind for leak in alone.leaks} == set() and any("product" in note for note in alone.notes)


def test_a_held_out_picture_that_a_defect_was_drawn_on_is_a_leak(tmp_path: Path) -> None:
    """The clean partner of a synthetic row counts as an input."""
    world = make_world(tmp_path)
    held = world.rows("held", ["PASS"], seed=5)
    clean = cv2.cvtColor(
        cv2.imread(str(tmp_path / f"kpi/images/held/{held[0]['object_name']}_{LIGHT}.png")), cv2.COLOR_BGR2RGB
    )
    made = world.pair("gen", "made", cell(77), clean) | {"label": "bridge", "project": "synthetic"}
    assert [leak.kind for leak in _find(world, [made], held).leaks] == ["relabelled"]
    assert _find(world, [made | {"project": "line 4"}], held).leaks == ()  # there it is a golden like any other


def test_synthetic_rows_in_held_out_sets_stop_hard(tmp_path: Path) -> None:
    """By what the row says of itself, by its folder, or by its bytes under an innocent name."""
    world = full_world(tmp_path)
    pool = build_pool(tmp_path, tmp_path / "results/run/synth_pool", _spec(world))
    made = sorted((pool.folder / "images/synth_ng").iterdir())
    held = world.rows("held", ["PASS", "Bridge", "Bridge", "Bridge"], seed=9)
    held[1] |= {"project": "Synthetic"}
    held[2] |= {"input_path": "anomalygen/reconstructed_image"}
    (tmp_path / f"kpi/images/held/{held[3]['object_name']}_{LIGHT}.png").write_bytes(made[0].read_bytes())
    holdout = Holdout(name="blind", csv=write_rows(tmp_path / "held.csv", held))
    assert [row for row, _ in synthetic_rows(holdout, _spec(world), tmp_path, made)] == [2, 3, 4]
    with pytest.raises(HardStop) as stop:
        require_real(holdout, _spec(world), tmp_path, made)
    assert stop.value.code == "synthetic_in_holdout"
    real = Holdout(name="kpi", csv=tmp_path / "kpi/testing_set.csv")
    require_real(real, _spec(world), tmp_path, made)


def test_sets_of_a_sound_workspace_share_nothing(tmp_path: Path) -> None:
    """Exit code 0; a panel copied from the KPI set into the base set turns it to 1."""
    world = full_world(tmp_path)
    base = tmp_path / "train/base/training_set.csv"
    held = ["--held-out", "kpi=kpi/testing_set.csv", "--held-out", "validation=train/base/validation_set.csv"]
    call = ["deft", "validate", str(base), "-e", str(world.spec), "--workspace", str(tmp_path)]
    call += ["--images-dir", "kpi/images", *held]
    rows = [
        row | {"label": row["label"].strip().lower() if row["label"] != "PASS" else "PASS"} for row in read_csv(base)
    ]
    write_rows(base, rows)
    assert main(call) == 0
    write_rows(base, [*rows, read_csv(tmp_path / "kpi/testing_set.csv")[0]])
    assert main(call) == 1


def test_bits_of_turned_pictures_are_those_of_the_turned_picture(tmp_path: Path) -> None:
    """Taken from the frequencies of the upright one, against hashing the picture that was really turned."""
    from noescape.deft import leakage_pictures as fast
    from noescape.imaging import perceptual_hash

    smalls = [cv2.resize(cv2.cvtColor(cell(i), cv2.COLOR_RGB2GRAY), (32, 32)) for i in range(20)]
    low = fast._low(smalls)
    for mirror, quarter in fast.TURNS:
        ours = fast._signs(fast._turned_low(low, mirror, quarter)) > 0
        for bits, small in zip(ours, smalls):
            really = perceptual_hash(np.repeat(fast._turn(small, mirror, quarter)[:, :, None], 3, axis=2))
            assert (really ^ int.from_bytes(np.packbits(bits).tobytes(), "big")).bit_count() <= 1
