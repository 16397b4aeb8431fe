"""Why a weak sample is weak, by rules on the pictures and on what weak samples share. The first rule that fits counts:

data quality   the file or its golden cannot be read, or it is dark, overexposed, empty or blurred beside its golden
mislabeled     it is called a defect and no pixel differs from the golden; or the very same pair of pictures is in
               the set with PASS and as a defect
systematic     at least 3 weak samples of its label share its part type or board, and of those parts at least twice
               as large a share is weak as of the label altogether
edge case      none of these: look at it
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from noescape.changenet.rows import Row
from noescape.deft.looks import Look, look, pair_digest, pair_size
from noescape.deft.places import Images, reason
from noescape.records import DataError

MISLABELED, EDGE, QUALITY, SYSTEMATIC = "mislabeled", "edge case", "data quality", "systematic"
VERDICTS = (MISLABELED, EDGE, QUALITY, SYSTEMATIC)
SHARED_BY = ("comp_type_1", "comp_type_2", "part_type", "boardname")
LEAST_SHARED, TIMES = 3, 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """`verdict` with its reason, and the pictures it was seen on (None where they cannot be read)."""

    verdict: str
    reason: str
    look: Look | None


def judge(rows: Sequence[Row], weak: Sequence[int], images: Images) -> list[Finding]:
    """A finding for each of the `weak` rows (their places in `rows`), in that order.

    Cost: two decodes per weak row; of all others only the sizes of files, and digests where sizes agree.
    """
    twins = _relabelled(rows, weak, images)
    shared = _shared(rows, weak)
    out = []
    for place in weak:
        try:
            seen = look(images.input(rows[place]), images.golden(rows[place]))
        except DataError as error:
            out.append(Finding(verdict=QUALITY, reason=reason(error, images.workspace), look=None))
            continue
        out.append(_one(rows[place], seen, twins.get(place), shared.get(place)))
    return out


def _one(row: Row, seen: Look, twin: Row | None, shared: str | None) -> Finding:
    unreadable = seen.rgb is None or seen.golden is None
    if unreadable:
        return Finding(verdict=QUALITY, reason=seen.trouble, look=seen)
    if twin is not None:
        said = f"the same pair of pictures is row {twin.number}, labelled {twin.label}"
        return Finding(verdict=MISLABELED, reason=said, look=seen)
    if seen.trouble:
        return Finding(verdict=QUALITY, reason=seen.trouble, look=seen)
    if row.is_defect and seen.same:
        said = f"labelled {row.label}, yet nothing differs from the golden (at most {seen.largest:.0f} grey levels)"
        return Finding(verdict=MISLABELED, reason=said, look=seen)
    if shared:
        return Finding(verdict=SYSTEMATIC, reason=shared, look=seen)
    return Finding(verdict=EDGE, reason="no rule explains it: look at the picture", look=seen)


def _relabelled(rows: Sequence[Row], weak: Sequence[int], images: Images) -> dict[int, Row]:
    """For each weak row the first row of the other class with the same two pictures."""
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        try:
            size = pair_size(images.input(row), images.golden(row))
        except DataError:
            continue
        if size:
            sizes[size].append(place)
    wanted, out = set(weak), {}
    for members in sizes.values():
        if len(members) < 2 or not wanted.intersection(members):
            continue
        digests = {place: pair_digest(images.input(rows[place]), images.golden(rows[place])) for place in members}
        for place in wanted.intersection(members):
            for other in members:
                same = digests[place] is not None and digests[place] == digests[other]
                if same and rows[other].is_defect != rows[place].is_defect:
                    out[place] = rows[other]
                    break
    return out


def _shared(rows: Sequence[Row], weak: Sequence[int]) -> dict[int, str]:
    """What weak rows have in common with others of their label, in words."""
    per_label = Counter(_label(row) for row in rows)
    weak_per_label = Counter(_label(rows[place]) for place in weak)
    out: dict[int, str] = {}
    for column in SHARED_BY:
        total = Counter((_label(row), row.fields.get(column, "").strip()) for row in rows)
        count = Counter((_label(rows[place]), rows[place].fields.get(column, "").strip()) for place in weak)
        for place in weak:
            label, value = key = (_label(rows[place]), rows[place].fields.get(column, "").strip())
            usual = weak_per_label[label] / per_label[label]
            if value and count[key] >= LEAST_SHARED and count[key] / total[key] >= TIMES * usual:
                text = (
                    f"{count[key]} of {total[key]} {label} rows with {column} {value!r} are weak; "
                    f"of all {label} rows {usual:.0%}"
                )
                out.setdefault(place, text)
    return out


def _label(row: Row) -> str:
    return row.label.strip().upper()
