"""What the changenet commands share: the spec with its overrides, which checkpoint, where lines go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.changenet.spec import Spec


def add_spec(parser: argparse.ArgumentParser) -> None:
    """The spec file and its overrides."""
    parser.add_argument("-e", "--experiment-spec", type=Path, required=True, metavar="SPEC", help="the spec (YAML)")
    parser.add_argument("-r", "--results-dir", metavar="DIR", help="replaces results_dir of the spec")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="keys of the spec to set")


def read_spec(args: argparse.Namespace) -> Spec:
    """The spec as the command line wants it."""
    from noescape.changenet.spec_file import load_spec

    given = [f"results_dir={args.results_dir!r}"] if args.results_dir else []
    return load_spec(args.experiment_spec, [*given, *args.overrides])


def checkpoints(spec: Spec, named: str | None) -> dict[str, Path]:
    """The checkpoint that is named, under ""; else best_val and latest of the training in the spec's folder."""
    from noescape.changenet.trained import read_trained

    if named:
        return {"": Path(named)}
    trained = read_trained(spec.folder("train"))
    return {"best_val": trained.best, "latest": trained.latest}


def say(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)
