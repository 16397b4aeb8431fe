"""valid_kpi.csv of a saved step, by which the best step is picked: a row per figure, a column per type, their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from noescape.defects.generators.checkpoints import write_kpi
from noescape.defects.quality.features import Patches
from noescape.defects.quality.kid import kid
from noescape.defects.quality.nearest import Nearness, nearness

ByType = Mapping[str, Sequence[Patches]]


def kpi_rows(real: ByType, generated: ByType, backbone: str) -> dict[str, dict[str, float]]:
    """Figures by name and type: `kid_<backbone>` (where both sides have three pictures or more), mnn_score, nn_score.

    The rows that readers of the originals look for keep their names; a distance of another network than theirs has one
    of its own. Types that lack either side are left out.
    """
    scores = {
        kind: [n for one in made if (n := nearness(one.unit, [r.unit for r in real.get(kind, ())])) is not None]
        for kind, made in generated.items()
    }
    distances = {}
    for kind, made in generated.items():
        if real.get(kind) and made:
            a, b = (np.stack([p.mean for p in side]) for side in (real[kind], made))
            scale = np.sqrt(np.maximum((a.astype(np.float64) ** 2).mean(), 1e-12))
            found = kid(a / scale, b / scale)
            if found is not None:
                distances[kind] = found.value
    return {
        f"kid_{backbone}": distances,
        "mnn_score": {kind: _mean([n.mnn_score for n in rows]) for kind, rows in scores.items() if rows},
        "nn_score": {kind: _mean([n.nn_score for n in rows]) for kind, rows in scores.items() if rows},
    }


def write_valid_kpi(folder: Path, step: int, types: Sequence[str], rows: Mapping[str, Mapping[str, float]]) -> Path:
    """Write `<folder>/valid/<step>/valid_kpi.csv`; returns its path."""
    write_kpi(folder, step, types, rows)
    return folder / "valid" / str(step) / "valid_kpi.csv"


def per_sample(kind: str, path: str, scores: Nearness | None) -> tuple[str, str, float | str, float | str]:
    """A row of per_sample.csv: anomaly_type, path, nn_score, mnn_score."""
    if scores is None:
        return kind, path, "", ""
    return kind, path, round(scores.nn_score, 6), round(scores.mnn_score, 6)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
