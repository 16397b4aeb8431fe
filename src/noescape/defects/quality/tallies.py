"""Figures that are counted picture by picture: labels against changes, near-copies, leaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noescape.defects.copies import NEAR_COPY, real_likeness
from noescape.defects.quality.figures import Figure, group_of
from noescape.defects.quality.leakage import Leak
from noescape.defects.quality.look import Made, Real
from noescape.metrics import rate


def label_figures(made: Sequence[Made]) -> list[Figure]:
    """Completeness, precision and boundary IoU of the labels, and what changed where nothing may."""
    fits = [m.fit for m in made if m.fit is not None]
    n = len(fits)
    if not n:
        words = "not measured: no clean originals (original_image/) beside the generated pictures"
        return [Figure(key="completeness", name="label against change", value=None, n=0, words=words)]
    complete = np.array([f.completeness for f in fits])
    dirty = [f for f in fits if f.outside > 0]
    where = f"{len(dirty)} of {n} pictures differ from their original beyond label and soft border"
    return [
        Figure(
            key="completeness", name="completeness of the label", value=float(complete.mean()), n=n, better="1",
            words=f"changed share of the worst part of each label; under .5 in {int((complete < 0.5).sum())} of {n}",
            more={"median": float(np.median(complete)), "min": float(complete.min())},
        ),
        Figure(
            key="precision", name="precision of the label", value=float(np.mean([f.precision for f in fits])), n=n,
            better="1", words="share of what changed that is labelled, soft border included",
        ),
        Figure(
            key="boundary_iou", name="boundary IoU", value=float(np.mean([f.boundary_iou for f in fits])), n=n,
            better="1", words="of the borders of label and visible change (3 grey levels)",
        ),
        Figure(
            key="outside", name="largest change outside the label", value=float(max(f.outside for f in fits)), n=n,
            better="0", words=f"must be 0: {where}" if dirty else "as it must be: all else is the original to the bit",
            more={"pictures": len(dirty), "pixels": sum(f.outside_px for f in fits)},
        ),
    ]  # fmt: skip


def copy_figure(real: Sequence[Real], made: Sequence[Made]) -> Figure:
    """How many are an example over again, and how many real ones would be taken for a copy of another part."""
    known = [m.likest for m in made if m.likest is not None]
    found = rate(sum(k.near_copy for k in known), len(known))
    among: list[float] = []
    for kind in {m.picture.kind for m in made}:
        rows = [r for r in real if r.picture.kind == kind]
        among += real_likeness([r.poses for r in rows], [group_of(r) for r in rows])
    floor = sum(v >= NEAR_COPY for v in among) / len(among) if among else None
    half = "" if found.value is None or found.value <= 0.5 else "; more than half are: too little is new"
    return Figure(
        key="near_copies", name="near-copies of an example", value=found.value, n=found.n, floor=floor,
        n_floor=len(among), better="lower",
        words=f"{found.events} of {found.n} (at most {found.upper:.0%} with 95% confidence) have an aligned NCC >= "
        f"{NEAR_COPY}{half}",
        more={"count": found.events, "median_ncc": float(np.median([k.ncc for k in known])) if known else None},
    )  # fmt: skip


def leak_figures(made: Sequence[Made], leaked: Sequence[Leak], tested: int | None) -> list[Figure]:
    """How many generated pictures show one of the `tested` ones of the test; None: there is no test split."""
    if tested is None:
        words = "not looked for: name the split that you test on with --test"
        return [Figure(key="leaks", name="leakage into a test split", value=None, n=0, words=words)]
    own = sum(bool(m.leaks) for m in made)
    rest = len({leak.name for leak in leaked})
    words = f"of {len(made)} generated pictures show one of {tested} test pictures"
    words += f"; so do {rest} of the real ones: split again, by part" if rest else "; none of the real ones does"
    return [
        Figure(
            key="leaks", name="leakage into a test split", value=float(own), n=len(made), n_floor=tested, words=words,
            better="0", more={"real": rest},
        )
    ]  # fmt: skip
