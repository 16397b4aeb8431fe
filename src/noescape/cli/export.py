"""`noescape export`: a run as one graph for another runtime, or as a folder to copy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
Export a fitted run, and refuse to finish unless the copy gives the same answers on the stored probe set.

  noescape export --run-dir runs/patchcore/bracket/first --format openvino --output-dir out/
  noescape export --run-dir R --format onnx --output-dir out/      needs pip install 'noescape[onnx]'
  noescape export --run-dir R --format bundle --output-dir out/    a folder to copy: inspect --model-dir out/

openvino and onnx give one graph: RGB bytes of network size in, anomaly_map and pred_score out. What is around it
(resizing, tiles, thresholds) stands in out/export.json.
"""


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "export", help="one graph for another runtime, or a folder to copy", description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("--run-dir", type=Path, required=True, help="a run folder, or an exported bundle")
    p.add_argument("--format", required=True, choices=("openvino", "onnx", "bundle"))
    p.add_argument("--output-dir", type=Path, required=True)
    p.add_argument("--weights", type=Path, help="the backbone's weights file, where the run does not know its place")
    p.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    p.add_argument("--json", action="store_true", help="print what export.json says")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export and say how well the copy agrees."""
    from noescape.anomaly.export import export
    from noescape.anomaly.parity import SHARE
    from noescape.cli.progress import tell
    from noescape.files import dump_json

    told = export(args.run_dir, args.format, args.output_dir, weights=args.weights, overwrite=args.overwrite, tell=tell)
    if args.json:
        print(dump_json({**told, "output_dir": str(args.output_dir)}), end="")
        return 0
    parity = told["parity"]
    print(f"{args.format}: {args.output_dir}")
    print(
        f"agrees with the native detector on {parity['probes']} stored probes ({parity['native_ng']} NG), no label "
        f"flips; tolerance {SHARE:g} of the thresholds"
    )
    for name in ("score", "map"):
        worst, allowed = parity[f"{name}_max_difference"], parity[f"{name}_allowed"]
        print(f"largest difference of {name}s: {worst:.2g} (allowed {allowed:.2g})")
    if parity["native_ng"] in (0, parity["probes"]):
        print("note: all probes have the same label, so differences were put to the test but no label near its limit")
    if args.format == "bundle":
        print(f"next: noescape inspect --input-dir IMAGES --model-dir {args.output_dir} --output-dir OUT")
    else:
        print(f"how to feed it: {args.output_dir / 'export.json'}")
    return 0
