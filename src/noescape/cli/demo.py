"""`noescape demo`: the whole main job on real images, on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
See the main job on real images: electroluminescence pictures of solar cells (ELPV, from the extra `demo`;
CC BY-NC-SA 4.0: not for commercial use). Fits PatchCore and PaDiM on good cells of some modules, inspects cells of
other modules, compares the two models, and writes the report.

  noescape demo                       a few minutes on two cores
  noescape demo --small               one model, few images, under a minute
"""
SMALL_TRAIN, SMALL_TEST = 80, 40


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "demo", help="see the main job on real images", description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("--output-dir", type=Path, default=Path("demo"), help="default: demo/")
    p.add_argument("--small", action="store_true", help="one model on a few images")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Import, fit, inspect, compare, say where everything is."""
    from noescape.anomaly.config import load_config
    from noescape.anomaly.fit import fit
    from noescape.anomaly.inspect import inspect
    from noescape.cli.figures import metric_lines, unusual_lines
    from noescape.cli.progress import tell
    from noescape.datasets import import_elpv, read_mvtec

    data = args.output_dir / "data"
    if not (data / "mono").is_dir():
        import_elpv(data, cell_type="mono")
    dataset = read_mvtec(data, "mono")
    left_out: tuple[str, ...] = ()
    if args.small:
        dataset, left_out = _few(dataset)
    learnt = len(dataset.train) - len(left_out)
    print(f"data: {learnt} good cells to learn from, {len(dataset.test)} cells of other modules to inspect")
    print(f"terms: {dataset.terms}")
    runs = {}
    for model in ("patchcore",) if args.small else ("patchcore", "padim"):
        values = load_config(f"{model}_mvtec.yaml")
        config = values.model_copy(
            update={
                "data": values.data.model_copy(update={"root": data, "category": "mono", "leave_out": left_out}),
                "output_dir": args.output_dir / "runs",
                "run_id": "small" if args.small else "demo",
            }
        )
        print(f"\n{model}")
        runs[model] = fit(config, tell=tell, data=dataset)
        out = args.output_dir / f"inspection-{model}{'-small' if args.small else ''}"
        report = inspect(dataset.test, dataset.root, runs[model], out, tell=tell)
        metrics = report["metrics"]
        print("\n".join([*metric_lines(metrics), *unusual_lines(runs[model], metrics, dataset.root)]))
        print(f"report: {out / 'report.html'}")
    if len(runs) == 2:
        from noescape.anomaly.compare import compare

        compare(runs["patchcore"], runs["padim"], args.output_dir / "comparison")
        print(f"\ncomparison: {args.output_dir / 'comparison' / 'comparison_table.md'}")
    print(f"\nrun folders: {', '.join(str(r) for r in runs.values())}")
    print("next, with your own parts: noescape fit --good photos_of_good_parts/")
    return 0


def _few(dataset: Any) -> tuple[Any, tuple[str, ...]]:
    """The data set with every k-th test image of each kind, and the names of all but every k-th good image."""
    from dataclasses import replace

    def thin(samples: tuple[Any, ...], wanted: int) -> tuple[Any, ...]:
        return samples[:: max(1, len(samples) // wanted)][:wanted]

    kinds = [tuple(s for s in dataset.test if s.label == label) for label in (0, 1)]
    test = sorted((s for kind in kinds for s in thin(kind, SMALL_TEST)), key=lambda s: s.key)
    learnt = set(thin(dataset.train, SMALL_TRAIN))
    return replace(dataset, test=tuple(test)), tuple(s.key for s in dataset.train if s not in learnt)
