"""Solder: it follows the part wherever its terminal is, rests on the board, and shows how much of it there is."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.board.parts.fillets import bridge, extent, fillet
from noescape.board.parts.model import PAD_TOP, SEAT, Matrix, PadRect, Solid, Terminal
from solid_checks import open_edges, sound, volume, wrong_way

PAD = PadRect(x=10.8, y=5.0, w=0.8, h=0.95)
END = Terminal(x0=0.45, y0=-0.4, z0=SEAT, x1=0.8, y1=0.4, z1=SEAT + 0.8)  # the right end of a 0603


def _at(x: float = 10.0, y: float = 5.0, z: float = 0.0, *, turn: float = 0.0, lean: float = 0.0) -> Matrix:
    """A part's matrix: leaning about y by `lean` over its right lower edge, turned about z, then shifted."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    a, b = np.cos(np.radians(lean)), np.sin(np.radians(lean))
    edge, back, tip, spin = np.eye(4), np.eye(4), np.eye(4), np.eye(4)
    edge[:3, 3], back[:3, 3] = (END.x1, 0, SEAT), (-END.x1, 0, -SEAT)
    tip[[0, 0, 2, 2], [0, 2, 0, 2]] = a, b, -b, a
    spin[:2, :2], spin[:3, 3] = [[c, -s], [s, c]], (x, y, z)
    out: Matrix = spin @ edge @ tip @ back
    return out


def _height(joint: Solid, x: float, y: float) -> float:
    """Height of the joint over a spot: its highest vertex within 60 µm."""
    near = np.hypot(joint.points[:, 0] - x, joint.points[:, 1] - y) < 0.06
    return float(joint.points[near, 2].max())


def _inside(joint: Solid, pad: PadRect, slack: float) -> bool:
    c, s = np.cos(np.radians(pad.angle)), np.sin(np.radians(pad.angle))
    x, y = joint.points[:, 0] - pad.x, joint.points[:, 1] - pad.y
    u, v = c * x + s * y, -s * x + c * y
    return bool((np.abs(u) <= pad.w / 2 * slack).all() and (np.abs(v) <= pad.h / 2 * slack).all())


@settings(max_examples=60)
@given(
    st.floats(0.15, 6), st.floats(0.15, 6), st.floats(-180, 180), st.floats(0, 0.5), st.floats(0.1, 3.5),
    st.floats(-1, 1), st.floats(-1, 1), st.floats(-45, 45), st.floats(0, 90),
)  # fmt: skip
def test_any_joint_is_closed_and_rests_on_the_board(
    w: float, h: float, angle: float, corner: float, amount: float, dx: float, dy: float, turn: float, lean: float
) -> None:
    """Whatever the pad and wherever the part: a closed solid from z = 0 up, no wider than its pad (excess a little)."""
    pad = PadRect(x=10.8, y=5, w=w, h=h, angle=angle, corner=corner)
    joint = fillet(pad, _at(10 + dx, 5 + dy, turn=turn, lean=lean), END, amount)
    sound(joint)
    assert open_edges(joint) == 0 and volume(joint) > 0
    assert joint.points[:, 2].min() == 0
    assert _inside(joint, pad, 1.0001 + 0.07 * max(amount - 1, 0))


def test_a_good_joint_is_hollow_and_climbs_most_of_the_terminal() -> None:
    """From the pad's rim it rises slowly, then steeply; below the straight line all the way; not over the terminal."""
    joint = fillet(PAD, _at(), END)
    wall, rim = 10.8, 11.2
    at = [_height(joint, wall + t * (rim - wall), 5.0) for t in (0.12, 0.5, 0.88)]
    assert SEAT + 0.4 < at[0] < END.z1 and at[2] < PAD_TOP + 0.12
    assert at[1] < 0.5 * (at[0] + at[2])
    assert joint.points[:, 2].max() < END.z1
    assert wrong_way(joint) < 0.01


def test_more_solder_more_volume_and_a_bulge_over_the_terminal() -> None:
    """Volume grows with the factor; starved joints leave the wall bare, excess buries the terminal's top."""
    joints = {v: fillet(PAD, _at(), END, v) for v in (0.2, 0.5, 1.0, 1.5, 2.4)}
    sizes = [volume(j) for j in joints.values()]
    assert sizes == sorted(sizes) and sizes[-1] > 1.4 * sizes[2] and sizes[0] < 0.8 * sizes[2]
    middle = 10.8 + 0.2
    assert (
        _height(joints[0.2], middle, 5)
        < PAD_TOP + 0.06
        < _height(joints[1.0], middle, 5)
        < _height(joints[2.4], middle, 5)
    )
    assert joints[2.4].points[:, 2].max() > END.z1
    assert _height(joints[2.4], middle, 5) > 0.6 * END.z1, "higher than the straight line from the wall to the rim"


def test_the_joint_follows_a_shift() -> None:
    """A part that moved towards the pad's inner side leaves more of the pad low, and the slope goes with the wall."""
    here, gone = fillet(PAD, _at(), END), fillet(PAD, _at(9.8), END)
    assert _height(here, 10.83, 5) > _height(gone, 10.83, 5) > _height(gone, 11.0, 5)
    side = fillet(PAD, _at(y=5.3), END)
    assert _height(side, 11.0, 5.35) > _height(side, 11.0, 4.65)


def test_a_turned_part_makes_a_lopsided_joint() -> None:
    left, right = (_height(fillet(PAD, _at(turn=25), END), 10.95, 5 + d) for d in (-0.3, 0.3))
    assert abs(left - right) > 0.03


@pytest.mark.parametrize("matrix", [_at(10, 5, 0.5), _at(12.5), _at(10, 7)])
def test_a_lifted_or_lost_terminal_leaves_a_cushion(matrix: npt.NDArray[np.float64]) -> None:
    """Not a trace of the terminal: the very joint of a bare pad, highest in the middle, much lower than a good one."""
    joint, bare = fillet(PAD, matrix, END), fillet(PAD)
    assert (joint.points == bare.points).all()
    assert _height(bare, 10.8, 5) == pytest.approx(float(bare.points[:, 2].max()))
    assert bare.points[:, 2].max() < 0.3 < fillet(PAD, _at(), END).points[:, 2].max()
    assert wrong_way(bare) == 0


def test_under_a_tombstone_one_pad_holds_and_the_other_is_bare() -> None:
    """Standing on its right end: solder up the end that still touches, a cushion on the pad that lost its terminal."""
    matrix = _at(lean=80)
    other = Terminal(x0=-0.8, y0=-0.4, z0=SEAT, x1=-0.45, y1=0.4, z1=SEAT + 0.8)
    held, lost = PAD, PadRect(x=9.2, y=5.0, w=0.8, h=0.95)
    assert fillet(held, matrix, END).points[:, 2].max() > 0.3
    assert (fillet(lost, matrix, other).points == fillet(lost).points).all()


def test_thin_leads_are_wetted_to_their_top_and_not_buried() -> None:
    """A gull-wing foot of 0.15 mm: solder reaches nearly its top beside it, and stays under it."""
    foot = Terminal(x0=-0.3, y0=-0.15, z0=SEAT, x1=0.3, y1=0.15, z1=SEAT + 0.15)
    pad = PadRect(x=0, y=0, w=1.5, h=0.5)
    joint = fillet(pad, np.eye(4), foot)
    assert SEAT + 0.08 < joint.points[:, 2].max() < foot.z1
    assert fillet(pad, np.eye(4), foot, 2.4).points[:, 2].max() > foot.z1


def test_a_bridge_joins_two_pads_without_a_gap() -> None:
    """Closed, from the board up, over both pads, and as high as their joints in the middle of the gap."""
    for angle, b in ((0, PadRect(x=0.65, y=0, w=0.4, h=1.5)), (90, PadRect(x=0, y=1.27, w=1.95, h=0.6))):
        a = PadRect(x=0, y=0, w=b.w, h=b.h)
        item = bridge(a, b)
        sound(item)
        assert open_edges(item) == 0 and volume(item) > 0 and item.points[:, 2].min() == 0
        ends = item.points @ np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0])
        gap = max(b.x, b.y)
        assert ends.min() < 0 and ends.max() > gap
        assert _height(item, b.x / 2, b.y / 2) > PAD_TOP + 0.03
        assert wrong_way(item) < 0.01


def test_a_bridge_slides_and_widens_within_the_pads() -> None:
    a, b = PadRect(x=0, y=0, w=0.4, h=1.5), PadRect(x=0.65, y=0, w=0.4, h=1.5)
    for width in (0.2, 0.5, 1.0):
        for slide in (-0.5, 0.0, 0.5):
            item = bridge(a, b, width=width, slide=slide)
            assert np.abs(item.points[:, 1]).max() <= 0.76
    low, high = bridge(a, b, width=0.3, slide=-0.5), bridge(a, b, width=0.3, slide=0.5)
    assert low.points[:, 1].mean() < -0.3 < 0.3 < high.points[:, 1].mean()


def test_a_bridge_can_be_told_to_come_out_from_under_its_part() -> None:
    """Whichever pad is named first and on whichever side of the part they lie."""
    for a, b, middle in (
        ((3, 0.0), (3, 1.3), (0, 0)),
        ((-3, 1.3), (-3, 0.0), (0, 0)),
        ((0.0, -3), (0.65, -3), (0.3, 0)),
    ):
        w, h = (1.6, 0.6) if a[0] == b[0] else (0.3, 1.5)
        pads = [PadRect(x=p[0], y=p[1], w=w, h=h) for p in (a, b)]
        item = bridge(pads[0], pads[1], width=0.3, slide=0.5, away=middle)
        far = np.linalg.norm(item.points[:, :2].mean(0) - middle)
        assert far > np.linalg.norm(np.mean([a, b], axis=0) - middle) + 0.3


def test_extent_of_a_pad_at_a_slant() -> None:
    pad = PadRect(x=0, y=0, w=2, h=1, angle=90)
    assert extent(pad, np.array([1.0, 0.0])) == pytest.approx(1) and extent(pad, np.array([0.0, 1.0])) == pytest.approx(
        2
    )


def test_the_same_joint_is_the_same_bytes() -> None:
    one, two = fillet(PAD, _at(turn=3), END, 1.2), fillet(PAD, _at(turn=3), END, 1.2)
    assert one.points.tobytes() == two.points.tobytes() and one.faces.tobytes() == two.faces.tobytes()


def test_a_thousand_joints_cost_less_than_building_them_by_hand() -> None:
    """0.6 CPU-s for 1000 where it was measured; ten times that is a plain fault."""
    start = time.process_time()
    for k in range(200):
        fillet(PadRect(x=k, y=0, w=0.8, h=0.95), _at(k - 0.8), END)
    assert (time.process_time() - start) / 200 < 0.006
