"""Good images that stand apart from the other good ones: a high percentile follows them, so somebody must look."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.records import DataError, Sample

NAME = "unusual_good.txt"
HEAD = """\
# Good images that score far above the rest when held out, most unusual first; then the other images of groups most of
# whose images do. Look at them, delete the lines of those to learn from, and fit again with --leave-out and this file.
"""
Scores = npt.NDArray[np.float64]
MATTERS = 0.1  # of the way from the lower quartile of good scores to the threshold: by less, nobody need look


def unusual_good(samples: Sequence[Sample], scores: Scores) -> list[dict[str, Any]]:
    """The good images that score far above the rest, most unusual first: over the third quartile plus three times the
    distance between the quartiles (Tukey's far-out rule)."""
    if len(scores) < 8:
        return []
    low, high = np.percentile(scores, (25, 75))
    far = [i for i in np.argsort(-scores, kind="stable") if scores[i] > high + 3 * (high - low)]
    return [{"image_path": samples[i].key, "group": samples[i].group, "score": float(scores[i])} for i in far]


def without_unusual(samples: Sequence[Sample], scores: Scores, percentile: float) -> dict[str, Any] | None:
    """The image threshold that the same percentile gives without the unusual good images; None where it matters not.

    Left out as well are the other images of a group (a physical part) at least half of whose images are unusual:
    what is odd about a part is in all its pictures, in some a little less. `images` are the names of all, `groups`
    how many of them are of each group that goes as a whole, `n_good` the scores that remain.
    """
    far = [row["image_path"] for row in unusual_good(samples, scores)]
    sizes = Counter(s.group for s in samples if s.group is not None)
    named = set(far)
    hits = Counter(s.group for s in samples if s.key in named and s.group is not None)
    odd = {group: sizes[group] for group in sorted(hits) if 2 * hits[group] >= sizes[group] > 1}
    names = far + [s.key for s in samples if s.group in odd and s.key not in named]
    rest = scores[[s.key not in set(names) for s in samples]]
    if not far or not len(rest):
        return None
    before, after = (float(np.percentile(some, percentile)) for some in (scores, rest))
    if before - after < MATTERS * (before - float(np.percentile(scores, 25))):
        return None
    return {"images": names, "groups": odd, "n_good": len(rest), "image_threshold": after}


def list_of_names(names: Sequence[str]) -> str:
    """A text with a name in each line, under a head that says what to do; what could not stand so is JSON text."""
    plain = [n if n.isprintable() and n == n.strip() and n[:1] not in ("", "#", '"') else json.dumps(n) for n in names]
    return HEAD + "".join(f"{line}\n" for line in plain)


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a list of names; empty lines and those that begin with # are none. DataError where it is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
        return tuple(
            str(json.loads(line)) if line.startswith('"') else line
            for line in (raw.strip() for raw in lines)
            if line and not line.startswith("#")
        )
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected a text with the name of an image in each line ({error})") from None
