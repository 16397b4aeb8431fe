"""`noescape changenet export`."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Write a checkpoint as one OpenVINO or ONNX graph; refused unless its scores agree.

  noescape changenet export -e spec.yaml export.checkpoint=model.safetensors --format onnx
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `export`."""
    from noescape.cli.changenet.reading import add_spec

    p = commands.add_parser(
        "export",
        help="one graph for another runtime",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_spec(p)
    p.add_argument("--format", default="openvino", help="openvino (default) or onnx")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it is written and agrees."""
    from noescape.changenet.export import export
    from noescape.cli.changenet.reading import checkpoints, read_spec, say

    spec = read_spec(args)
    found = checkpoints(spec, spec.export.checkpoint)
    checkpoint = found.get("") or found["best_val"]
    done = export(spec, checkpoint, args.format, spec.folder("export"), on_line=say)
    print(f"{spec.folder('export')}: {args.format}, {done.probes} pairs differ by at most {done.max_difference:.2g}")
    return 0
