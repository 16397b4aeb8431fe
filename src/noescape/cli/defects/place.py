"""`noescape defects place`: automatic mask placement, from a data set to test cases that images are generated from."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noescape.defects.placement.options import PlaceOptions, Plan

DESCRIPTION = """\
Put masks of real defects on clean images: how many of each type, which mask on which image, where and in which shape.
All of it before anything is generated; if fewer can be placed than were asked for, it stops and says which.

  noescape defects place --dataset-dir raw --num-sdg 30 --output-jsonl work/testcase.jsonl --preview
  noescape defects place --dataset-dir raw --per-defect-counts '{"Phone+oil": 5}' --output-jsonl t.jsonl
  noescape defects place --dataset-dir raw --num-sdg 30 --output-jsonl t.jsonl --legal-roi regions/ --dry-run

Where defects of a type may lie is said by its line in defect_spec.jsonl:
  free   anywhere (or anywhere in the regions given here)
  cad    missing, excess_solder, less_solder, bridge: by rules on the CAD mask of each clean image
  text   where the words in roi_prompt_defect_location say, asked of a vision model behind an OpenAI-compatible
         endpoint (key in NOESCAPE_VISION_KEY); without one, on what stands out against the rim, words unread
"""
EPILOG = """\
Written beside the test cases: masks/<clean>/<TEXTURE+TYPE>/<mask>__seed<n>.png, allocation.json, amp_samples.json and
summary.json (each attempt: status, place, pose). The same data, options and seed give the same bytes.
Exit codes: 0 all placed; 1 the data set must be mended, or "AMP allocation mismatch"; 2 wrong use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `place`."""
    parser = commands.add_parser(
        "place",
        help="decide where defects come: masks on clean images",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset-dir", required=True, type=Path, metavar="DIR", help="see `defects validate --help`")
    parser.add_argument("--output-jsonl", required=True, type=Path, metavar="FILE", help="the test cases to write")
    _add_counts(parser)
    _add_places(parser)
    _add_vision(parser)
    drawing = parser.add_argument_group("how")
    drawing.add_argument("--seed", type=_whole, default=42, help="of everything random (default 42)")
    drawing.add_argument(
        "--augmentation",
        choices=("typed", "full"),
        default="typed",
        help="typed: within the ranges of full, as far as the type stays what it is (default); full: shift ±30 px, "
        "rotation ±30°, scale .25-4 per axis, flips, shear ±10°, morphology",
    )
    drawing.add_argument("--guidance", type=float, default=7.0, help="written into the test cases (default 7.0)")
    drawing.add_argument("--crop-ratio", type=float, default=2.0, help="written into the test cases (default 2.0)")
    out = parser.add_argument_group("output")
    out.add_argument("--amp-output-dir", type=Path, metavar="DIR", help="masks (default: masks/ beside the test cases)")
    out.add_argument(
        "--preview", nargs="?", const=Path(), type=Path, metavar="PNG",
        help="a contact sheet (default: preview.png beside the test cases)",
    )  # fmt: skip
    out.add_argument("--dry-run", action="store_true", help="check and allocate, write nothing")
    out.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    parser.set_defaults(run=run)


def _add_counts(parser: argparse.ArgumentParser) -> None:
    counts = parser.add_argument_group("how many")
    counts.add_argument("--num-sdg", type=_whole, metavar="N", help="images in all")
    counts.add_argument(
        "--mode",
        choices=("inference", "validation"),
        default="inference",
        help="inference: the same number of each type (default); validation: as the examples are distributed, one at "
        "least",
    )
    counts.add_argument("--per-defect-counts", metavar="JSON", help='{"TEXTURE+TYPE": n, …}, or a file that holds it')
    counts.add_argument("--anomaly-types", metavar="JSON", help='only these: [["TEXTURE", "TYPE"], …]')
    counts.add_argument("--instances", type=_instances, default=-1, help="regions filled per image (-1: 1 to 5, drawn)")


def _add_places(parser: argparse.ArgumentParser) -> None:
    places = parser.add_argument_group("where")
    places.add_argument("--defect-spec", type=Path, metavar="FILE", help="in place of the data set's defect_spec.jsonl")
    places.add_argument(
        "--default-spatial-dependency",
        choices=("free", "cad", "text"),
        default="free",
        help="for types that the specification does not name (default free)",
    )
    places.add_argument("--clean-dir", type=Path, metavar="DIR", help="clean images and CAD masks from elsewhere")
    places.add_argument("--legal-roi", type=Path, metavar="PATH", help="mask, or folder of masks named as the images")
    places.add_argument("--illegal-roi", type=Path, metavar="PATH", help="the same, for where no defect may lie")
    places.add_argument("--roi-json", type=Path, metavar="FILE", help="boxes: x, y, width, height, is_legal")


def _add_vision(parser: argparse.ArgumentParser) -> None:
    vision = parser.add_argument_group("vision model (text)")
    vision.add_argument("--vision-endpoint", default="", metavar="URL", help="address up to …/v1; empty: none")
    vision.add_argument("--vision-model", default="", metavar="ID", help="must be one that the endpoint lists")


def run(args: argparse.Namespace) -> int:
    """0 when as many are placed as were allocated."""
    from noescape.cli.defects.reading import reading
    from noescape.cli.progress import tell
    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.defects.placement.options import make_plan
    from noescape.defects.placement.place import place
    from noescape.files import dump_json, write_bytes

    options = _options(args)
    _check_places(options, args.preview)
    dataset = read_anomalygen(
        args.dataset_dir, spec_file=args.defect_spec, clean_root=args.clean_dir, progress=reading()
    )
    plan = make_plan(dataset, options)
    for notice in plan.notices:
        print(f"note: {notice}", file=sys.stderr)
    if args.dry_run:
        _print_plan(plan, args.json)
        return 0
    total = sum(plan.allocation.values())
    placed = place(plan, tell("placing masks", total))
    if args.preview is not None:
        from noescape.defects.placement.preview import sheet_png

        path = options.output_jsonl.parent / "preview.png" if args.preview == Path() else args.preview
        write_bytes(path, sheet_png(plan, placed))
        print(f"preview: {path}", file=sys.stderr)
    if args.json:
        rows = {key: value for key, value in placed.summary.items() if key != "rows"}
        print(dump_json({"testcases": str(options.output_jsonl), **rows}), end="")
    else:
        _print_words(placed.summary)
        print(f"{len(placed.cases)} test cases: {options.output_jsonl}")
    return 0


def _print_words(summary: dict[str, Any]) -> None:
    from noescape.datasets.folder import printable

    for key, one in summary["types"].items():
        told = ", ".join(f"{n} {status}" for status, n in one["statuses"].items())
        line = f"{key}: {one['placed']} of {one['allocated']} placed, {one['spatial_dependency']} ({told})"
        print(printable(line))


def _check_places(options: PlaceOptions, preview: Path | None) -> None:
    """UsageError or DataError before any work where what is to be written cannot be."""
    from noescape.files import check_folder
    from noescape.records import UsageError

    if options.output_jsonl.is_dir():
        raise UsageError(f"--output-jsonl {options.output_jsonl}: expected a file to write to, but it is a folder")
    for folder in (options.output_jsonl.parent, options.amp_dir):
        check_folder(folder)
    if preview not in (None, Path()) and preview.suffix.lower() != ".png":
        raise UsageError(f"--preview {preview}: the preview is a PNG; name it {preview.with_suffix('.png').name}")


def _options(args: argparse.Namespace) -> PlaceOptions:
    from noescape.defects.placement.options import PlaceOptions
    from noescape.defects.placement.text import VisionEndpoint
    from noescape.records import UsageError

    if bool(args.vision_endpoint) != bool(args.vision_model):
        raise UsageError("--vision-endpoint and --vision-model belong together")
    vision = VisionEndpoint(base=args.vision_endpoint, model=args.vision_model) if args.vision_endpoint else None
    return PlaceOptions(
        num_sdg=args.num_sdg,
        output_jsonl=args.output_jsonl,
        amp_dir=args.amp_output_dir or args.output_jsonl.parent / "masks",
        mode=args.mode,
        per_defect_counts=_counts(args.per_defect_counts),
        anomaly_types=anomaly_types(args.anomaly_types),
        default_dependency=args.default_spatial_dependency,
        augmentation=args.augmentation,
        instances=args.instances,
        seed=args.seed,
        guidance=args.guidance,
        crop_ratio=args.crop_ratio,
        legal_roi=args.legal_roi,
        illegal_roi=args.illegal_roi,
        roi_json=args.roi_json,
        vision=vision,
    )


def _counts(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    from noescape.files import read_json_object

    if not text.lstrip().startswith("{"):
        return dict(read_json_object(Path(text), "types and their counts"))
    value = _json(text, "--per-defect-counts", '{"TEXTURE+TYPE": 5}')
    return dict(value)


def anomaly_types(text: str | None) -> tuple[str, ...]:
    """The keys "TEXTURE+TYPE" in the JSON of --anomaly-types; () for none. UsageError for anything else."""
    if not text:
        return ()
    from noescape.records import UsageError

    value = _json(text, "--anomaly-types", '[["TEXTURE", "TYPE"]]')
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, list) and len(row) == 2 and all(isinstance(v, str) for v in row) for row in rows):
        raise UsageError(f'--anomaly-types: expected [["TEXTURE", "TYPE"], …], got {text!r}')
    return tuple("+".join(row) for row in rows)


def _json(text: str, flag: str, example: str) -> Any:
    import json

    from noescape.records import UsageError

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{flag}: expected JSON like {example}, got {text!r} ({error})") from None


def _print_plan(plan: Plan, as_json: bool) -> None:
    from noescape.files import dump_json

    if as_json:
        print(dump_json({"allocation": plan.allocation, "notices": list(plan.notices)}), end="")
        return
    for kind in plan.types:
        clean = len(plan.dataset.clean[kind.kind.texture])
        print(
            f"{kind.kind.key}: {kind.count} images, {kind.spec.spatial_dependency}, from {len(kind.submasks)} masks "
            f"and {clean} clean images"
        )
    print(f"{sum(plan.allocation.values())} in all; nothing was written")


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return value


def _instances(text: str) -> int:
    value = int(text)
    if value != -1 and value < 1:
        raise argparse.ArgumentTypeError(f"expected -1 or a number of at least 1, got {text}")
    return value
