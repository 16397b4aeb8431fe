"""Random halves of a set of pictures, for what real against real gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]


def half_of(groups: Codes, strata: Codes | None, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Mark half of the rows at random: whole `groups` (captures of one part), half of the groups of each stratum (type
    of defect), an odd one falling on either side by chance. A group that lies in several strata goes with its first."""
    names, first = np.unique(groups, return_index=True)
    layer = np.zeros(len(names), np.int64) if strata is None else strata[first]
    marked: list[int] = []
    for stratum in np.unique(layer):
        members = rng.permutation(names[layer == stratum])
        more = int(rng.integers(2)) if len(members) % 2 else 0
        marked += members[: len(members) // 2 + more].tolist()
    return np.asarray(np.isin(groups, marked), np.bool_)
