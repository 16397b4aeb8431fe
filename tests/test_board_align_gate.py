"""What is believed: photos of other boards, mirrored, turned and empty ones are refused and named for what they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from drawn_boards import Drawn, Rgb, any_pose, draw, error_px, flat, photograph
from noescape.board.align.config import AlignConfig
from noescape.board.align.gate import notices, refusals
from noescape.board.align.lineup import Found, line_up
from noescape.board.align.peak import LEAST_AGREEMENT, LEAST_SHARPNESS, Peak
from noescape.imaging.warp import Pose

H = 320
NARROW = AlignConfig(rot_range_deg=(-2, 2, 0.1), sx_range=(0.97, 1.03, 0.02), sy_range=(0.97, 1.03, 0.02))


def found_for(render: Rgb, photo: Rgb, config: AlignConfig = NARROW) -> tuple[Found, list[str]]:
    found = line_up(render, photo, config)
    return found, refusals(found, config)


def near(seed: int, quarter: int = 0) -> Pose:
    pose = any_pose(np.random.default_rng(seed), H, turn=1.5, scale=0.02)
    return replace(pose, rotation=pose.rotation + quarter * math.pi / 2)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_photo_of_another_board_is_refused_whatever_min_mi_is(seed: int) -> None:
    """Boards of the same kind, density and look; their best fits reach mutual information of some true ones."""
    render = flat(draw(seed, parts=(60, 30, 15, 100)[seed]), H)
    photo = photograph(draw(seed + 40), H, near(seed), (H, H), seed=seed)
    found, why = found_for(render, photo)
    assert found.peak.sharpness < LEAST_SHARPNESS and found.peak.agreement < LEAST_AGREEMENT
    assert len(why) == 1 and "Is it a photo of this board?" in why[0] and "ranges may be too narrow" in why[0]


def test_a_mirrored_photo_is_named() -> None:
    board = draw(3)
    photo = photograph(board, H, near(3), (H, H), seed=3)
    found, why = found_for(flat(board, H), np.ascontiguousarray(photo[:, ::-1]))
    assert found.mirrored and "fits mirrored" in why[0]


def test_a_turned_photo_is_named_where_turns_are_ruled_out() -> None:
    board = draw(4)
    photo = photograph(board, H, near(4, quarter=1), (H, H), seed=4)
    config = AlignConfig(**NARROW.model_dump() | {"quarter_turns": False})
    found, why = found_for(flat(board, H), photo, config)
    assert found.quarter == 1 and len(why) == 1 and "turned by 90 degrees" in why[0]
    assert refusals(found, NARROW) == [] and notices(found) == ["the photo is turned by 90 degrees"]


def test_min_mi_says_by_how_much() -> None:
    board = draw(5)
    render, photo = flat(board, H), photograph(board, H, near(5), (H, H), seed=5)
    found, why = found_for(render, photo)
    assert why == []
    least = AlignConfig(**NARROW.model_dump() | {"min_mi": round(found.mi_after + 0.25, 3)})
    (said,) = refusals(found, least)
    assert f"mutual information is {found.mi_after:.3f}" in said and "0.250 under min_mi" in said
    assert refusals(found, AlignConfig(min_mi=None)) == []


def test_a_plain_picture_is_refused_in_words() -> None:
    rng = np.random.default_rng(6)
    plain = np.full((H, H, 3), 90, np.uint8)
    noise = rng.integers(80, 100, (H, H, 3)).astype(np.uint8)
    found, why = found_for(plain, noise)
    assert not found.peak.stands_out and "show anything to line up by" in why[0]
    assert found.mi_after >= 0 and math.isfinite(found.mi_before)


def test_a_pattern_that_repeats_is_not_taken_for_certain() -> None:
    """A field of the same pad everywhere: one pitch further is as good."""
    step = 1 / 16
    spots = [(x * step, y * step) for x in range(1, 16) for y in range(1, 16)]
    pads = tuple((x - 0.012, y - 0.012, x + 0.012, y + 0.012) for x, y in spots)
    field = Drawn(wide=1.0, tracks=(), pads=pads, parts=(), holes=(), silk=())
    photo = photograph(field, H, Pose(tx=3, ty=2), (H, H), seed=7)
    found, why = found_for(flat(field, H), photo)
    assert found.peak.sharpness < LEAST_SHARPNESS and why


def test_a_half_empty_render_is_still_lined_up() -> None:
    board = draw(8, filled=0.5)
    pose = near(8)
    photo = photograph(board, H, pose, (H, H), seed=8)
    found, why = found_for(flat(board, H), photo)
    assert why == [] and error_px(found.placed.pose, pose, (H, H), (H, H))[0] < 0.5


def test_the_figures_decide_together() -> None:
    assert Peak(sharpness=0.5, agreement=0.9, windows=16).stands_out
    assert not Peak(sharpness=0.1, agreement=0.9, windows=16).stands_out
    assert not Peak(sharpness=0.5, agreement=0.2, windows=16).stands_out
    assert not Peak(sharpness=0.5, agreement=1.0, windows=3).stands_out
    assert not Peak(sharpness=0.5, agreement=float("nan"), windows=0).stands_out
