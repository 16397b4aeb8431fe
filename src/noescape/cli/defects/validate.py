"""`noescape defects validate`: every problem of a data set in the AnomalyGen layout at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.datasets.anomalygen import AnomalyGenDataset

DESCRIPTION = """\
Check a data set before anything is made from it. The layout:

  DIR/<TEXTURE>/anomaly_image/<TYPE>/NAME.png    examples of one type of defect
  DIR/<TEXTURE>/mask/<TYPE>/NAME_mask.png        where the defect is, white on black
  DIR/<TEXTURE>/clean_image/NAME.png             good parts
  DIR/<TEXTURE>/cad_mask/NAME.png                optional: what is where, in colours (for cad)
  DIR/semantic_segmentation_labels.json          optional: what the colours mean (for cad)
  DIR/defect_spec.jsonl                          optional: where each type may lie (free, text, cad)

  noescape defects validate datasets/metal_surface/raw
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `validate`."""
    parser = commands.add_parser(
        "validate",
        help="every problem of a data set at once",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dir", metavar="DIR", type=Path, help="folder of the data set; only read")
    parser.add_argument("--defect-spec", metavar="FILE", type=Path, help="in place of DIR/defect_spec.jsonl")
    parser.add_argument("--clean-dir", metavar="DIR", type=Path, help="clean images (and CAD masks) from elsewhere")
    parser.add_argument("--json", action="store_true", help="the report as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it can be used (what is only worth a look allowed), 1 when something must be mended."""
    from noescape.cli.defects.reading import reading
    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.files import dump_json

    dataset = read_anomalygen(args.dir, spec_file=args.defect_spec, clean_root=args.clean_dir, progress=reading())
    if args.json:
        print(dump_json(report(dataset)), end="")
    else:
        _print_words(dataset)
    return 0 if dataset.usable else 1


def report(dataset: AnomalyGenDataset) -> dict[str, object]:
    """What was found, as plain JSON."""
    from dataclasses import asdict

    from noescape.datasets.folder import printable

    return {
        "dir": printable(str(dataset.root)),
        "usable": dataset.usable,
        "types": {kind.key: len(kind.pairs) for kind in dataset.types},
        "clean": {texture: len(paths) for texture, paths in dataset.clean.items()},
        "cad_masks": len(dataset.cad),
        "labels": sorted(set(dataset.labels.values())),
        "spec": {key: asdict(spec) for key, spec in dataset.spec.items()},
        "problems": [asdict(problem) for problem in dataset.problems],
    }


def _print_words(dataset: AnomalyGenDataset) -> None:
    from noescape.datasets.folder import printable

    for kind in dataset.types:
        where = dataset.spec[kind.key].spatial_dependency if kind.key in dataset.spec else "free, by default"
        print(printable(f"{kind.key}: {len(kind.pairs)} examples with masks, placed {where}"))
    for texture, paths in dataset.clean.items():
        with_cad = sum(path in dataset.cad for path in paths)
        print(printable(f"{texture}: {len(paths)} clean images{f', {with_cad} with CAD masks' if with_cad else ''}"))
    fatal = [problem for problem in dataset.problems if problem.fatal]
    for problem in dataset.problems:
        line = f"{'error' if problem.fatal else 'note'}: {problem}"
        print(line, file=sys.stdout if problem.fatal else sys.stderr)
    if fatal:
        print(f"{'1 problem' if len(fatal) == 1 else f'{len(fatal)} problems'} to mend before it can be used")
    else:
        print("usable")
