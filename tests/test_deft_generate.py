"""Generation in the loop: for the gaps found, out of training rows alone, every picture accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deft_maker import cell, make_world, spoilt, write_rows
from noescape.changenet.spec_file import load_spec
from noescape.deft.exemplars import change_mask, placed
from noescape.deft.generate import allocate, generate_inline, known_types
from noescape.deft.parquet import TEXT, write_parquet
from noescape.files import read_csv
from noescape.imaging import read_picture


def _gaps(home: Path, labels: list[str]) -> Path:
    names = [f"kpi/images/{i}.png" for i in range(len(labels))]
    write_parquet(home / "gaps.parquet", {"filepath": names, "label": labels}, {"filepath": TEXT, "label": TEXT})
    return home / "gaps.parquet"


def _world(home: Path) -> Path:
    world = make_world(home)
    rows = world.rows("base", ["PASS"] * 6 + ["bridge"] * 4 + ["Missing"] * 3, seed=1)
    rows.append(world.pair("base", "blank", cell(9), cell(9)) | {"label": "ghost"})  # shows nothing
    return write_rows(home / "train.csv", rows)


def test_each_gap_of_a_known_type_gets_its_pictures_and_the_total_is_bounded(tmp_path: Path) -> None:
    gaps = _gaps(tmp_path, ["BRIDGE", "bridge", "MISSING", "PASS", "TOMBSTONE"])
    known = known_types(_world(tmp_path))
    assert known == ("bridge", "ghost", "missing")
    assert allocate(gaps, known, per_gap=3) == {"bridge": 6, "missing": 3}
    assert allocate(gaps, known, per_gap=30, most=9) == {"bridge": 6, "missing": 3}


def test_pictures_are_new_defects_on_good_training_rows(tmp_path: Path) -> None:
    train = _world(tmp_path)
    spec = load_spec(tmp_path / "specs/baseline_spec.yaml")
    gaps = _gaps(tmp_path, ["BRIDGE", "BRIDGE", "MISSING", "GHOST"])
    out = tmp_path / "results/run/iter1/anomalygen"
    done = generate_inline(gaps, train, spec, tmp_path, out, images_dir="kpi/images")
    assert done.allocated == {"bridge": 4, "ghost": 2, "missing": 2}
    assert done.delivered == {"bridge": 4, "missing": 2}
    assert {one.row for one in done.dropped} == {"ghost"} and all(one.reason for one in done.dropped)
    goods = [read_picture(p).rgb for p in sorted((tmp_path / "kpi/images/base").glob("C[0-5]@*"))]
    for row in done.rows:
        made = read_picture(tmp_path / row["filepath"]).rgb
        nearest = min(goods, key=lambda g: float(np.abs(g.astype(int) - made).mean()))
        changed = np.abs(nearest.astype(int) - made).max(axis=2) > 8
        assert 0 < changed.mean() < 0.4  # one of the good rows, changed in a part of it
        assert (tmp_path / row["golden_path"] / f"{row['object_name']}_SolderLight.png").is_file()
    assert [r["label"] for r in read_csv(done.sdg_rows_csv)] == ["bridge"] * 4 + ["missing"] * 2
    assert json.loads((out / "summary.json").read_text())["failed"] == {"ghost": 2}


def test_the_same_seed_gives_the_same_pictures(tmp_path: Path) -> None:
    train, gaps = _world(tmp_path), _gaps(tmp_path, ["BRIDGE"])
    spec = load_spec(tmp_path / "specs/baseline_spec.yaml")
    seen = []
    for seed in (1, 1, 2):
        out = tmp_path / "results/out"
        done = generate_inline(gaps, train, spec, tmp_path, out, images_dir="kpi/images", seed=seed)
        seen.append([(tmp_path / row["filepath"]).read_bytes() for row in done.rows])
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("seed", range(4))
def test_what_differs_from_the_golden_is_the_mask(seed: int) -> None:
    """A blot of radius 6 is found where it is; nothing is found where nothing is."""
    golden = cell(100 + seed)
    rgb = spoilt(golden, seed)
    mask = change_mask(rgb, golden)
    true = np.abs(rgb.astype(int) - golden).max(axis=2) > 0
    assert mask is not None
    assert (true & (mask > 0)).sum() / (true | (mask > 0)).sum() > 0.5
    assert change_mask(golden, golden) is None
    assert change_mask(255 - golden, golden) is None or (change_mask(255 - golden, golden) > 0).mean() <= 0.5


def test_a_mask_is_placed_whole_and_shrunk_only_where_it_must_be() -> None:
    mask = np.zeros((50, 50), np.uint8)
    mask[10:20, 10:40] = 255
    rng = np.random.default_rng(0)
    for size in ((50, 50), (200, 31)):
        assert (placed(mask, size, rng) > 0).sum() == (300 if size[1] > 32 else 29 * 9)


def test_two_tone_boards_get_two_tone_defects(tmp_path: Path) -> None:
    """No grey on a black and white board, by which a generated picture could be told from a real one."""
    world = make_world(tmp_path)
    rows = []
    for i in range(8):
        golden = np.where(cell(i).mean(axis=2, keepdims=True) > 100, 255, 0).astype(np.uint8).repeat(3, axis=2)
        rgb = golden.copy()
        if i > 4:
            rgb[10:18, 10 + i : 20 + i] = 255 - rgb[10:18, 10 + i : 20 + i]
        rows.append(world.pair("base", f"c{i}", rgb, golden) | {"label": "open" if i > 4 else "PASS"})
    train = write_rows(tmp_path / "train.csv", rows)
    spec = load_spec(tmp_path / "specs/baseline_spec.yaml")
    done = generate_inline(
        _gaps(tmp_path, ["OPEN"] * 3), train, spec, tmp_path, tmp_path / "out", images_dir="kpi/images"
    )
    assert sum(done.delivered.values()) + len(done.dropped) == 6 and done.rows
    for row in done.rows:
        assert set(np.unique(read_picture(tmp_path / row["filepath"]).rgb)) <= {0, 255}
