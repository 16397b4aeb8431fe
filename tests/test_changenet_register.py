"""Registration of the golden: it finds what was moved, leaves defects alone, and says what it did."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from changenet_maker import board, moved, plant
from noescape.changenet.blocks import BLOCK, block_shifts, shifted
from noescape.changenet.register import bits, is_two_tone, register
from noescape.records import DataError, UsageError


def _textured(rng: np.random.Generator, height: int = 240, width: int = 320) -> np.ndarray:
    """A photograph of sorts: smooth noise of several scales, in colour."""
    layers = [cv2.GaussianBlur(rng.normal(0, s * 14, (height, width, 3)), (0, 0), s) for s in (1.5, 4, 9)]
    return np.clip(128 + sum(layers) * 1.6, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 5), (1, 4)])
def test_a_shift_of_the_whole_image_is_found_everywhere(shift: tuple[int, int]) -> None:
    golden = bits(board(np.random.default_rng(1)))
    test = np.roll(golden, shift, axis=(0, 1))
    field = block_shifts(golden, test, fine=False)
    inner = field[4:-4, 4:-4]
    assert (inner == np.array(shift)).mean() > 0.98


def test_shifts_that_change_over_the_image_are_found() -> None:
    """The left half moved one way, the right half another: away from the seam, each lies exactly on the test image."""
    golden = bits(board(np.random.default_rng(2), 320, 640))
    left, right = np.roll(golden, (2, 1), (0, 1))[:, :320], np.roll(golden, (-1, -2), (0, 1))[:, 320:]
    test = np.concatenate([left, right], axis=1)
    placed = shifted(golden, block_shifts(golden, test))
    for part in (np.s_[16:-16, 16:250], np.s_[16:-16, 390:-16]):
        assert (golden[part] != test[part]).mean() > 0.05
        assert (placed[part] != test[part]).mean() < 0.002


def _plain_shifts(golden: np.ndarray, test: np.ndarray, reach: int) -> np.ndarray:
    """The first pass in plain numpy: all shifts, block means, 9 x 9 window, nearness to the best whole shift."""
    height, width = golden.shape
    around = np.pad(golden, reach, mode="edge")
    shifts = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    layers = []
    for dy, dx in shifts:
        moved_to = around[reach - dy : reach - dy + height, reach - dx : reach - dx + width]
        layers.append((moved_to != test).reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((1, 3)))
    home = shifts[int(np.argmin([layer.mean() for layer in layers]))]
    costs = []
    for (dy, dx), layer in zip(shifts, layers, strict=True):
        wide = np.pad(layer, 4, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(wide, (9, 9))
        costs.append(windows.mean((2, 3)) + 0.002 * (abs(dy - home[0]) + abs(dx - home[1])))
    return np.array(shifts)[np.argmin(costs, axis=0)]


def test_block_shifts_are_those_of_the_plain_search() -> None:
    """Fast and plain agree up to near ties (rounding of equal costs)."""
    rng = np.random.default_rng(3)
    golden = board(rng, 160, 240)
    test = bits(moved(golden, rng, most=2.5))
    fast, plain = block_shifts(bits(golden), test, reach=3, fine=False), _plain_shifts(bits(golden), test, 3)
    assert (fast == plain).all(-1).mean() > 0.99


def test_shifted_takes_each_block_from_where_its_shift_says() -> None:
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, (37, 53), np.uint8)
    field = rng.integers(-5, 6, (5, 7, 2)).astype(np.int8)
    got = shifted(image, field)
    for y in range(37):
        for x in range(53):
            dy, dx = field[y // BLOCK, x // BLOCK]
            assert got[y, x] == image[np.clip(y - dy, 0, 36), np.clip(x - dx, 0, 52)]


def test_a_defect_is_not_registered_away() -> None:
    """What a planted open and short change stays changed; the rest comes closer."""
    rng = np.random.default_rng(5)
    golden = board(rng)
    spoilt = golden.copy()
    boxes = [plant(spoilt, rng, "open"), plant(spoilt, rng, "short")]
    changed = np.zeros(golden.shape, bool)
    changed[spoilt != golden] = True
    test = moved(spoilt, rng)
    found = register(golden, test)
    assert found.kind == "blocks" and found.after < found.before / 2
    left = bits(found.golden) ^ bits(test)
    for x0, y0, x1, y1 in boxes:
        assert left[y0:y1, x0:x1].sum() > 0.6 * changed[y0:y1, x0:x1].sum()


def test_sizes_that_are_no_multiple_of_a_block_work() -> None:
    rng = np.random.default_rng(6)
    golden = board(rng, 131, 203)
    found = register(golden, np.roll(golden, (2, 2), (0, 1)))
    assert found.golden.shape == golden.shape and found.after < found.before / 3


def test_a_photograph_goes_by_flow_and_colour_is_kept() -> None:
    """A smooth shift of up to 6 px under other light is taken out to a fraction of a pixel."""
    rng = np.random.default_rng(7)
    golden = _textured(rng)
    y, x = np.mgrid[0:240, 0:320].astype(np.float32)
    off_x, off_y = 4 + 2 * np.sin(y / 90), -3 + 2 * np.cos(x / 110)
    test = cv2.remap(golden, x - off_x, y - off_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    test = np.clip(test * 0.7 + 30 + x[..., None] / 12, 0, 255).astype(np.uint8)
    found = register(golden, test)
    assert found.kind == "flow" and found.after < 0.5 * found.before
    assert found.golden.shape == golden.shape
    inner = np.s_[30:-30, 30:-30]
    assert np.abs(found.field[..., 1] - off_x)[inner].mean() < 0.7
    assert np.abs(found.field[..., 0] - off_y)[inner].mean() < 0.7


def test_a_defect_on_a_photograph_does_not_pull_the_golden() -> None:
    rng = np.random.default_rng(8)
    golden = _textured(rng)
    test = golden.copy()
    test[100:124, 140:170] = test[40:64, 60:90]
    found = register(golden, test, kind="flow")
    assert np.abs(found.field[112, 155]).max() < 1.0


def test_nothing_is_moved_where_it_does_not_help() -> None:
    """A pair that already fits keeps its golden, and the reason is given."""
    golden = board(np.random.default_rng(9))
    same = register(golden, golden)
    assert same.kind == "none" and "lowers" in same.why and same.golden is golden
    photo = _textured(np.random.default_rng(10))
    assert register(photo, photo).kind == "none"


def test_two_tone_is_told_from_a_photograph() -> None:
    rng = np.random.default_rng(11)
    assert is_two_tone(board(rng))
    assert not is_two_tone(_textured(rng)[..., 0])
    assert not is_two_tone(np.zeros((40, 40), np.uint8))


def test_wrong_use_is_refused_in_words() -> None:
    image = board(np.random.default_rng(12), 64, 96)
    with pytest.raises(UsageError, match="'rigid': expected one of auto, blocks, flow, none"):
        register(image, image, kind="rigid")
    with pytest.raises(DataError, match="96x64 and 64x96"):
        register(image, image.T.copy())
    assert register(image[:20, :20], image[:20, :20]).why.startswith("none: smaller than")


def test_the_same_pair_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(13)
    golden = board(rng)
    test = moved(golden, rng)
    one, two = register(golden, test), register(golden, test)
    assert np.array_equal(one.golden, two.golden) and np.array_equal(one.field, two.field) and one.why == two.why
