"""`noescape defects score`: everything at once, as data; `table.py` puts it into words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from noescape.defects.quality.features import DEFAULT_BACKBONE, PatchReader, open_reader
from noescape.defects.quality.figures import Figure, diversity_figures, near_figures, rounded, set_figures
from noescape.defects.quality.kpi import per_sample
from noescape.defects.quality.leakage import Leak
from noescape.defects.quality.look import (
    Made,
    Real,
    leaks_in,
    look_at_made,
    look_at_real,
    look_at_test,
    test_shelf,
)
from noescape.defects.quality.pictures import read_shelf, same_types
from noescape.defects.quality.tallies import copy_figure, label_figures, leak_figures
from noescape.files import dump_json, write_csv, write_text
from noescape.imaging.parallel import worker_count
from noescape.records import DataError

Tell = Callable[[str, int], Callable[[int], None]]
VERSION = 1
SAMPLE_COLUMNS = (
    "anomaly_type", "path", "nn_score", "mnn_score", "source", "ncc", "nearest_example", "completeness", "precision",
    "boundary_iou", "outside", "outside_px", "leaks",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """`category` of MVTec folders; `test` a split that must not be leaked into; `seed` of all random halves."""

    backbone: str = DEFAULT_BACKBONE
    weights: Path | None = None
    device: str = "cpu"
    category: str | None = None
    test: Path | None = None
    seed: int = 0
    workers: int = 0


@dataclass(frozen=True, kw_only=True)
class Scored:
    """`figures` in the order of the table; `types` a row per type; `report` all of it as plain JSON types."""

    figures: tuple[Figure, ...]
    types: tuple[dict[str, Any], ...]
    report: dict[str, Any]
    samples: tuple[tuple[object, ...], ...]


def score(
    real_root: Path,
    made_root: Path,
    options: ScoreOptions,
    *,
    tell: Tell | None = None,
    reader: PatchReader | None = None,
) -> Scored:
    """Score the generated pictures at `made_root` against the real ones at `real_root`.

    Same folders and seed: same report. A picture that cannot be read is left out and listed. DataError where nothing
    can be scored. About .05 CPU-s a picture with 25 examples, plus about .04 CPU-s for each 100 pictures of a test.
    """
    shelf = read_shelf(real_root, options.category)
    made_shelf = read_shelf(made_root, options.category)
    made_rows = same_types(made_shelf.defects, shelf.kinds)
    workers = worker_count(options.workers)
    reader = reader or open_reader(options.backbone, options.weights, device=options.device, workers=workers)
    begin = tell or (lambda stage, total: lambda done: None)
    real, lost = look_at_real(shelf.defects, reader, workers, begin("real defects", len(shelf.defects)))
    test, leaked = None, list[Leak]()
    if options.test is not None:
        tests = test_shelf(options.test, options.category)
        tests = replace(tests, defects=same_types(tests.defects, shelf.kinds))
        test, more = look_at_test(tests, workers, begin("test split", len(tests.defects) + len(tests.good)))
        lost += more
        leaked = leaks_in(shelf, test, workers, begin("real against test", len(shelf.defects) + len(shelf.good)))
    made, more = look_at_made(made_rows, real, test, reader, workers, begin("generated", len(made_rows)))
    lost = [*shelf.left_out, *made_shelf.left_out, *lost, *more]
    if not made or not real:
        raise DataError("no picture could be scored:\n" + "\n".join(f"  - {line}" for line in lost[:20]))
    figures = (
        *near_figures(real, made),
        *set_figures(real, made, options.seed),
        *label_figures(made),
        *diversity_figures(real, made, options.seed),
        copy_figure(real, made),
        *leak_figures(made, leaked, None if test is None else len(test.seen)),
    )
    types = tuple(_type_row(kind, real, made) for kind in sorted({m.picture.kind for m in made}))
    report = {
        "version": VERSION,
        "backbone": reader.name,
        "seed": options.seed,
        "n_generated": len(made),
        "n_real": len(real),
        "figures": {f.key: f.to_json() for f in figures},
        "types": [rounded(t) for t in types],
        "near_copies": [m.picture.name for m in made if m.likest is not None and m.likest.near_copy],
        "leaks": [_leak(leak, "generated") for m in made for leak in m.leaks] + [_leak(k, "real") for k in leaked],
        "left_out": lost,
    }
    return Scored(figures=figures, types=types, report=report, samples=tuple(_sample(m, real) for m in made))


def write_report(scored: Scored, out: Path, text: str) -> None:
    """quality.json, quality.txt (the table) and per_sample.csv in the folder `out`."""
    write_text(out / "quality.json", dump_json(scored.report))
    write_text(out / "quality.txt", text)
    write_csv(out / "per_sample.csv", SAMPLE_COLUMNS, scored.samples)


def _type_row(kind: str, real: Sequence[Real], made: Sequence[Made]) -> dict[str, Any]:
    mine = [m for m in made if m.picture.kind == kind]
    near = [m.near for m in mine if m.near is not None]
    fits = [m.fit for m in mine if m.fit is not None]
    return {
        "type": kind,
        "n": len(mine),
        "n_real": sum(r.picture.kind == kind for r in real),
        "nn_score": float(np.mean([k.nn_score for k in near])) if near else None,
        "mnn_score": float(np.mean([k.mnn_score for k in near])) if near else None,
        "completeness": float(np.mean([f.completeness for f in fits])) if fits else None,
        "near_copies": sum(m.likest is not None and m.likest.near_copy for m in mine),
        "leaks": sum(bool(m.leaks) for m in mine),
    }


def _sample(m: Made, real: Sequence[Real]) -> tuple[object, ...]:
    fit = m.fit
    return (
        *per_sample(m.picture.kind, m.picture.name, m.near),
        m.picture.source,
        None if m.likest is None else m.likest.ncc,
        None if m.likest is None else real[m.likest.example].picture.name,
        None if fit is None else round(fit.completeness, 4),
        None if fit is None else round(fit.precision, 4),
        None if fit is None else round(fit.boundary_iou, 4),
        None if fit is None else fit.outside,
        None if fit is None else fit.outside_px,
        " ".join(f"{leak.how}:{leak.test}" for leak in m.leaks),
    )


def _leak(leak: Leak, of: str) -> dict[str, Any]:
    return {"of": of, "name": leak.name, "test": leak.test, "how": leak.how, "likeness": leak.likeness}
