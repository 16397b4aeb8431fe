"""Promises of the magnetic-tile import: one physical tile is one group, whatever the exposure, and never split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_maker import U8, put, spot, texture, tree
from noescape.datasets import check_dataset, import_magnetic_tile, read_mvtec
from noescape.datasets.tile_groups import Capture, physical_tiles
from noescape.records import DataError, UsageError

H, W = 160, 120


def _marks(tile: int, exposure: int) -> U8:
    """Tile number `tile` under one of six exposures, shifted by a few pixels as a new crop would be."""
    rng = np.random.default_rng([tile, exposure])
    full = texture(tile, H + 8, W + 8, sigma=1.2).astype(np.float32)
    dy, dx = rng.integers(0, 8, 2)
    lit = full[dy : dy + H, dx : dx + W] * (0.5 + 0.12 * exposure) + rng.normal(0, 3, (H, W))
    return np.clip(lit, 0, 255).astype(np.uint8)


def _source(root: Path) -> Path:
    """Twelve tiles: 0-8 good, 9 and 10 broken, 11 good with one blowhole; tile 2 returns 5,000 captures later."""
    for tile in range(12):
        for e in range(1, 7):
            kind = "MT_Break" if tile in (9, 10) else "MT_Blowhole" if (tile, e) == (11, 6) else "MT_Free"
            _capture(root, kind, tile, e, 1000 * tile + 20 * e)
    for e in range(1, 4):
        _capture(root, "MT_Free", 2, e, 17000 + 20 * e)
    return root


def _capture(root: Path, kind: str, tile: int, exposure: int, number: int) -> None:
    stem = root / kind / "Imgs" / f"exp{exposure}_num_{number}"
    put(stem.with_suffix(".jpg"), _marks(tile, exposure))
    put(stem.with_suffix(".png"), spot(H, W) * (kind != "MT_Free"))


def test_captures_in_a_row_and_returns_are_one_tile() -> None:
    numbers = [10, 40, 190, 500, 530, 9000]
    looks = [1, 1, 1, 2, 2, 1]
    captures = [Capture(number=n, kind="good", height=H, width=W) for n in numbers]
    shuffled = [5, 2, 0, 4, 1, 3]
    tiles = physical_tiles([captures[i] for i in shuffled], lambda k: _marks(looks[shuffled[k]], k % 6))
    assert [tiles[shuffled.index(i)] for i in range(6)] == [0, 0, 0, 1, 1, 0]


def test_tiles_of_other_sizes_are_not_compared_and_none_is_fine() -> None:
    pair = [Capture(number=1, kind="good", height=H, width=W), Capture(number=999, kind="good", height=H, width=2 * W)]
    assert physical_tiles(pair, lambda _: _marks(1, 1)) == [0, 1]
    assert physical_tiles([], lambda _: _marks(1, 1)) == []


def test_no_tile_is_on_both_sides_and_a_flawed_tile_never_trains(tmp_path: Path) -> None:
    result = import_magnetic_tile(_source(tmp_path / "src"), tmp_path / "out", seed=3)
    data = read_mvtec(tmp_path / "out", "magnetic_tile")
    train, test = {s.group for s in data.train}, {s.group for s in data.test}
    assert len(train | test) == 12
    assert not train & test
    assert not train & {s.group for s in data.test if s.label == 1}
    of_tile_2 = ("_num_2020.", "_num_2120.", "_num_17020.", "_num_17060.")
    returned = {s.group for s in (*data.train, *data.test) if any(n in s.key for n in of_tile_2)}
    assert len(returned) == 1
    good = sum(s.label == 0 for s in (*data.train, *data.test))
    assert abs(len(data.train) / good - 0.6) < 0.1
    assert all(s.mask for s in data.test if s.label == 1)
    assert result.counts["test/break"] == 12
    report = check_dataset(tmp_path / "out" / "magnetic_tile")
    assert not report.leaks
    assert not [d for d in report.duplicates if d.across]


def test_a_random_split_leaks_and_the_check_says_so(tmp_path: Path) -> None:
    result = import_magnetic_tile(_source(tmp_path / "src"), tmp_path / "out", split="random")
    assert any("--split random" in note for note in result.notes)
    assert check_dataset(tmp_path / "out", category="magnetic_tile").leaks


def test_the_seed_decides_and_repeats_give_the_same_bytes(tmp_path: Path) -> None:
    src = _source(tmp_path / "src")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        import_magnetic_tile(src, tmp_path / name, seed=seed)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a").keys() != tree(tmp_path / "c").keys()


def test_a_broken_photograph_costs_one_row(tmp_path: Path) -> None:
    src = _source(tmp_path / "src")
    broken = src / "MT_Free" / "Imgs" / "exp1_num_20.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    result = import_magnetic_tile(src, tmp_path / "out")
    assert [row.path.name for row in result.skipped] == ["exp1_num_20.jpg"]
    assert "left out" in result.notes[-1]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "src" / "x.png", texture(1))
    with pytest.raises(DataError, match="MT_Free"):
        import_magnetic_tile(tmp_path / "src", tmp_path / "out")
    with pytest.raises(UsageError):
        import_magnetic_tile(tmp_path / "src", tmp_path / "src" / "out")
