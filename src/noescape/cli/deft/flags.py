"""Flags that several `noescape deft` commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

TARGET = "far < 0.1 % at recall = 100 %"


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_text: str, description: str
) -> argparse.ArgumentParser:
    """A command with a described help page and --json."""
    parser = commands.add_parser(
        name, help=help_text, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """--workspace."""
    parser.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="where paths in CSVs start (default: here)"
    )


def add_spec(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """-e/--spec."""
    parser.add_argument(
        "-e", "--spec", type=Path, required=required, metavar="YAML", help="training spec: lights, suffix, folders"
    )


def add_decisions(parser: argparse.ArgumentParser) -> None:
    """--decisions."""
    parser.add_argument(
        "--decisions",
        type=Path,
        metavar="JSONL",
        help="log of `deft labels import`: its labels replace those in the files",
    )


def held_out(text: str) -> tuple[str, str, str | None]:
    """NAME=CSV or NAME=CSV@IMAGES_DIR."""
    name, equals, rest = text.partition("=")
    csv, _, images = rest.partition("@")
    if not name or not equals or not csv:
        raise argparse.ArgumentTypeError(f"expected NAME=CSV or NAME=CSV@IMAGES_DIR, got {text!r}")
    return name, csv, images or None


def finish(args: argparse.Namespace, told: dict[str, Any], lines: list[str]) -> None:
    """Print the result for people, or as JSON."""
    from noescape.files import dump_json

    print(dump_json(told) if args.json else "\n".join(lines), end="" if args.json else "\n")
