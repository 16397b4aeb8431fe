"""`noescape defects restyle`: give images the look of a camera."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HELP = """\
Give every image of a folder the look of a camera, without moving anything in it. Masks, labels and all other files go
along unchanged; names and folders stay.

  noescape defects restyle renders/ augment/ --reference photos/            local transfer to your photos
  noescape defects restyle renders/ augment/ --config augmentation_config.yaml --endpoint http://host:8000/v1

With an endpoint, its image-edit model gives the look, and each answer is aligned back onto its input; an endpoint that
is given and fails is a failure, never local transfer. The key for it is read from IMAGE_EDIT_API_KEY. Without an
endpoint: local transfer of tone, colour, texture, blur and noise. OUT/provenance.jsonl says for each file which it was.
Kill it and start it again: it goes on where it was.

Exit code: 0 done (an image that cannot be read is one failed row), 1 the endpoint failed or no image came out, 2 wrong
use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `restyle`."""
    p = commands.add_parser(
        "restyle",
        help="the look of a camera, by an image-edit service or by local transfer",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("input", metavar="IN", type=Path, help="folder of images; only read")
    p.add_argument("out", metavar="OUT", type=Path, help="folder to write the same tree to")
    p.add_argument("--config", metavar="YAML", type=Path, help="augmentation_config.yaml (default: the packaged one)")
    p.add_argument(
        "--reference", metavar="PHOTOS", type=Path, nargs="+", help="photos, or folders of them, to look like"
    )
    p.add_argument("--endpoint", metavar="URL", help='image-edit service, http://HOST:PORT/v1; "" = local transfer')
    p.add_argument("--model", metavar="ID", help="the model that the service must serve")
    p.add_argument("--seed", metavar="N", type=int, help="overrides the configuration's")
    p.add_argument(
        "--pick", metavar="NAME", default="", help="images in folders of this name alone; their paths leave it out"
    )
    p.add_argument("--overwrite", action="store_true", help="replace an OUT that was made with other settings")
    p.add_argument("--dry-run", action="store_true", help="check and show the plan; write nothing, ask no service")
    p.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan, say so, work, report."""
    from noescape.cli.progress import tell
    from noescape.defects.restyle.job import plan, work

    config = _config(args)
    planned = plan(args.input, args.out, config, args.reference or [], pick=args.pick)
    images, along = len(planned.tree.images), len(planned.tree.along)
    print(f"{images} images, {along} other files go along; {planned.words}", file=sys.stderr)
    if args.dry_run:
        about = f"about {planned.seconds:.0f} s; nothing was written"
        print(json.dumps(planned.to_json(), indent=2, ensure_ascii=False) if args.json else about)
        return 0
    step = tell("restyle", images + along)
    result, models = work(planned, args.out, config, overwrite=args.overwrite, progress=step)
    if args.json:
        told: dict[str, Any] = {**planned.to_json(), "out": str(args.out), "models_served": models}
        told |= {"done": result.done, "kept": result.kept, "copied": result.copied, "failed": result.failed}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        kept = f", {result.kept} were there already" if result.kept else ""
        print(f"{result.done} restyled{kept}, {result.copied} copied, {len(result.failed)} failed: {args.out}")
    for name, reason in list(result.failed.items())[:20]:
        print(f"failed: {name}: {reason}", file=sys.stderr)
    if len(result.failed) > 20:
        print(f"… and {len(result.failed) - 20} more: see provenance.jsonl", file=sys.stderr)
    return 1 if result.by_endpoint or not (result.done or result.kept) else 0


def _config(args: argparse.Namespace) -> Any:
    from noescape.defects.restyle.config import default_config, read_config, with_changes
    from noescape.records import UsageError

    config = read_config(args.config) if args.config else default_config()
    if args.model and not (config.endpoint if args.endpoint is None else args.endpoint):
        raise UsageError(f"--model {args.model} names what an endpoint must serve, and none is given: add --endpoint")
    given = {"endpoint": args.endpoint, "model": args.model, "seed": args.seed}
    return with_changes(config, {key: value for key, value in given.items() if value is not None})
