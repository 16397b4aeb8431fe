"""Solder defects lie where geometry says: on components, pads, groups, and across gaps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from defects_maker import CAPACITOR, LABELS, PAD, SOLDER, board, pads
from noescape.defects.placement.cad import candidates, read_classes, union
from noescape.defects.placement.cad_gap import gap_between
from noescape.defects.placement.cad_lay import lay_cad
from noescape.defects.placement.submask import parts, take

COLOURS = {PAD: "pad", SOLDER: "solder", CAPACITOR: "capacitor"}
SHAPE = (120, 160)


def found(defect: str, cad: np.ndarray) -> tuple[list, dict]:
    classes = read_classes(cad, COLOURS)
    return candidates(defect, classes, SHAPE), classes


def blob() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[50:64, 60:90] = 255
    mask[44:50, 70:80] = 255
    return mask


def test_colours_near_a_class_belong_to_it_and_crumbs_do_not_count() -> None:
    cad = board()
    noisy = np.clip(cad.astype(int) + np.random.default_rng(0).integers(-40, 41, cad.shape), 0, 255).astype(np.uint8)
    noisy[5, 5:8], noisy[100:104, 5:9] = PAD, PAD
    truth = read_classes(cad, COLOURS)
    classes = read_classes(noisy, COLOURS)
    assert all((classes[name] == truth[name]).all() for name in ("pad", "solder", "capacitor"))
    assert set(json.dumps(LABELS)) and not union(classes, ("ic",), SHAPE).any()


def test_missing_is_the_component_with_its_solder() -> None:
    (one,), classes = found("missing", board())
    whole = classes["capacitor"] | classes["solder"]
    assert (one.region == whole).all() and not (one.region & classes["pad"]).any()
    assert len(found("missing", board(2))[0]) == 2 and found("missing", pads())[0] == []


def test_excess_and_less_solder_take_groups_and_pads() -> None:
    groups, classes = found("excess_solder", board())
    assert len(groups) == 2 and (groups[0].region | groups[1].region == classes["pad"] | classes["solder"]).all()
    bare, classes = found("less_solder", board())
    assert len(bare) == 2 and (bare[0].region | bare[1].region == classes["pad"]).all()


def test_the_gap_lies_between_and_nowhere_else() -> None:
    """Two bars, one shifted and shorter: the gap is where they face each other, whichever is named first."""
    a, b = np.zeros((50, 80), bool), np.zeros((50, 80), bool)
    a[10:40, 5:20], b[10:40, 50:60] = True, True
    gap = gap_between(a, b)
    assert gap[12:38, 22:48].all() and not (gap & (a | b)).any() and not gap[:, :20].any() and not gap[:8].any()
    assert (gap == gap_between(b, a)).all() and abs(int(gap.sum()) - 900) < 90
    for way in (np.transpose, np.flipud, np.fliplr):
        assert abs(int(gap_between(way(a), way(b)).sum()) - int(gap.sum())) <= 4
    assert not gap_between(a, a).any()


def test_bridges_join_neighbours_but_no_component_lies_between() -> None:
    """Three pads in a row: two pairs and the chain of three; not the outer two past the middle one."""
    found_ones, classes = found("bridge", pads())
    assert sorted(len(c.groups) for c in found_ones) == [2, 2, 3]
    for candidate in found_ones:
        assert not (candidate.region & (classes["solder"])).any() and parts(candidate.region) == 1
        assert all((candidate.region & group).any() for group in candidate.groups)
    assert found("bridge", board())[0] == []  # its capacitor fills the gap


@pytest.mark.parametrize(("height", "count"), [(6, 1), (16, 0)])
def test_a_component_in_the_gap_may_fill_a_quarter(height: int, count: int) -> None:
    cad = np.zeros((120, 160, 3), np.uint8)
    cad[30:70, 30:50], cad[30:70, 80:100] = PAD, PAD
    cad[30 : 30 + height, 52:78] = CAPACITOR
    assert len(found("bridge", cad)[0]) == count


def test_a_thin_bridge_still_joins_two_groups_in_one_part() -> None:
    places, _ = found("bridge", pads())
    thin = np.zeros(SHAPE, np.uint8)
    thin[20:100, 60:64] = 255
    for seed in range(30):
        laid, _, _ = lay_cad("bridge", take(thin), places, np.random.default_rng(seed), instances=1)
        groups = {g.tobytes(): g for c in places for g in c.groups}.values()
        assert laid.status == "OK" and parts(laid.mask) == 1 and sum((laid.mask & g).any() for g in groups) >= 2


def test_a_gap_too_long_is_no_bridge() -> None:
    cad = np.zeros((120, 160, 3), np.uint8)
    cad[50:60, 5:15], cad[50:60, 60:70] = PAD, PAD
    assert found("bridge", cad)[0] == []
    cad[50:60, 38:48] = PAD
    assert len(found("bridge", cad)[0]) >= 1


@pytest.mark.parametrize("defect", ["excess_solder", "less_solder", "bridge", "missing"])
def test_masks_lie_in_their_places(defect: str) -> None:
    """Inside of the candidates, at least half of each covered, across two groups for a bridge; same seed, same mask."""
    places, _ = found(defect, board(2) if defect != "bridge" else pads())
    allowed = np.logical_or.reduce([c.region for c in places])
    seen = set()
    for seed in range(12):
        laid, wanted, filled = lay_cad(defect, take(blob()), places, np.random.default_rng(seed))
        again, *_ = lay_cad(defect, take(blob()), places, np.random.default_rng(seed))
        assert laid.status in ("OK", "ROI_ONLY") and wanted == filled and (laid.mask == again.mask).all()
        assert laid.mask.any() and not (laid.mask & ~allowed).any()
        if defect in ("excess_solder", "less_solder"):
            assert sum(2 * (laid.mask & c.region).sum() >= c.area for c in places) >= wanted
        if defect == "bridge" and laid.status == "OK" and wanted == 1:
            groups = {id(g): g for c in places for g in c.groups}.values()
            assert parts(laid.mask) == 1 and sum((laid.mask & g).any() for g in groups) >= 2
        if defect == "missing":
            assert sum((laid.mask & c.region).sum() == c.area for c in places) == wanted
        seen.add(wanted)
    assert len(seen) > 1
    assert lay_cad(defect, take(blob()), places, np.random.default_rng(0), instances=1)[1] == 1


def test_what_cannot_fit_stands_for_the_region_itself() -> None:
    """A hair-thin mask never covers half of a pad at equal scales; the pad is taken and the row says so."""
    places, _ = found("less_solder", board())
    hair = np.zeros(SHAPE, np.uint8)
    hair[:, 40] = 255
    hair[0, :] = 255
    laid, _, _ = lay_cad("less_solder", take(hair), places, np.random.default_rng(0), instances=1)
    assert laid.status == "ROI_ONLY" and any((laid.mask == c.region).all() for c in places)
