"""`noescape deft labels`: suspected wrong labels out with pictures, decisions in with name and date."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import add_parser, add_spec, add_workspace, finish

DESCRIPTION = """\
Ask people about labels that the pictures contradict, and keep what they say.

  noescape deft labels export --inference inference.csv -e spec.yaml --workspace W --out suspects/
  (fill in decision, by, on in suspects/labels.csv; suspects/labels.html shows the pictures)
  noescape deft labels import suspects/labels.csv --workspace W
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `labels` with its two verbs."""
    parser = commands.add_parser(
        "labels",
        help="suspected wrong labels: export, import",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="labels commands", metavar="COMMAND", required=True)
    out = add_parser(verbs, "export", "suspects with pictures", DESCRIPTION)
    out.add_argument("--inference", type=Path, required=True, metavar="CSV", help="scores of the set")
    add_spec(out)
    add_workspace(out)
    out.add_argument(
        "--media-path", default="", metavar="DIR", help="where the CSV's paths start (default: the spec's)"
    )
    out.add_argument("--threshold", type=float, default=-1.0, metavar="T", help="default: the one with the best F1")
    out.add_argument(
        "--most", type=int, default=20, metavar="N", help="most contradicted rows of each class (default 20)"
    )
    out.add_argument("--out", type=Path, required=True, metavar="DIR", help="where labels.csv and labels.html go")
    out.set_defaults(run=_export)
    back = add_parser(verbs, "import", "decisions into the log", DESCRIPTION)
    back.add_argument("csv", type=Path, metavar="CSV", help="labels.csv, filled in")
    add_workspace(back)
    back.add_argument("--log", type=Path, metavar="JSONL", help="default: labels/decisions.jsonl in the workspace")
    back.set_defaults(run=_import)


def _export(args: argparse.Namespace) -> int:
    from noescape.deft.labels import export_labels
    from noescape.deft.places import DECISIONS

    done = export_labels(
        args.inference,
        args.spec,
        args.out,
        threshold=args.threshold,
        media_path=args.media_path,
        workspace=args.workspace,
        decisions=args.workspace / DECISIONS,
        most=args.most,
    )
    told = {"csv": str(done.csv), "page": str(done.page), "suspects": done.suspects, "decided_before": done.decided}
    finish(args, told, [f"{done.suspects} suspects ({done.decided} decided before)", str(done.csv), str(done.page)])
    return 0


def _import(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from noescape.deft.labels import import_labels
    from noescape.deft.places import DECISIONS

    done = import_labels(args.csv, args.log or args.workspace / DECISIONS)
    told = {"log": str(done.log), "added": [asdict(one) for one in done.added], "undecided": done.undecided,
            "repeated": done.repeated}  # fmt: skip
    said = f"{len(done.added)} decisions added, {done.repeated} known before, {done.undecided} rows undecided"
    finish(args, told, [said, str(done.log)])
    return 0
