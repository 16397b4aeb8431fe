"""`noescape board align` and `noescape board standin`: the first photo laid on its render."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Lay a photo of a board on its render by mutual information: two scales, a rotation and a shift.

  noescape board align frames/ first.jpg --config usd2roi_day1.yaml --out day1/
  noescape board align frames/trigger_0000/rgb_x0_y0.png first.jpg --config usd2roi_day1.yaml --out day1/ --min-mi 0.4

RENDER is a rendered picture, or a folder with a single frame; the masks beside it come along. OUT/aligned/ then holds
ref_crop.png, aligned_crop.png (the photo on the render's pixels), the masks, params.json, alignment.json (all figures,
and where the next steps read the pose) and blink.gif: what does not jump in it is lined up.

Refused, with nothing written: mutual information under min_mi; a fit that does not stand out from its surroundings
(most often a photo of another board), whatever min_mi is. --force writes it nevertheless, and says so in
alignment.json. Settings are the section `registration:` of the configuration.
"""
STANDIN = """\
Make a stand-in for the first photo from a render: another light, a lens, noise, another place, and the truth about it.
To see day 1 run before there is a photo; it is said to be one in the truth file, and is no measure of real photos.

  noescape board standin frames/trigger_0000/rgb_x0_y0.png --out first.png --truth first.json --seed 1
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `align` and `standin`."""
    raw = argparse.RawDescriptionHelpFormatter
    p = commands.add_parser("align", help="lay a photo on its render", description=DESCRIPTION, formatter_class=raw)
    p.add_argument("render", metavar="RENDER", type=Path, help="rgb_<cell>.png, or a folder with a single frame")
    p.add_argument("photo", metavar="PHOTO", type=Path, help="the photo: grey or colour, 8 or 16 bits, of any size")
    p.add_argument("--config", metavar="YAML", type=Path, required=True, help="usd2roi_day1.yaml")
    p.add_argument("--out", metavar="DIR", type=Path, required=True, help="aligned/ is written in it")
    p.add_argument("--min-mi", metavar="X", help="instead of the configuration's; 0 or null: only the peak is checked")
    p.add_argument("--force", action="store_true", help="take a fit that is refused; recorded")
    p.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    p.set_defaults(run=run)

    s = commands.add_parser("standin", help="a stand-in for a photo", description=STANDIN, formatter_class=raw)
    s.add_argument("render", metavar="RENDER", type=Path, help="a rendered picture, or a folder with a single frame")
    s.add_argument("--out", metavar="PNG", type=Path, required=True, help="the picture")
    s.add_argument("--truth", metavar="JSON", type=Path, help="how it was made (default: beside the picture)")
    s.add_argument("--seed", metavar="N", type=int, default=0, help="default 0")
    s.add_argument("--scale", metavar="X", type=float, default=1.0, help="its pixels per render pixel (default 1)")
    s.set_defaults(run=run_standin)


def run(args: argparse.Namespace) -> int:
    """0 when the photo was laid on the render, 1 when that was refused."""
    from noescape.board.align.config import AlignConfig, parse_config, read_config
    from noescape.board.align.job import align_photo
    from noescape.files import dump_json

    config: AlignConfig = read_config(args.config)
    if args.min_mi is not None:
        config = parse_config(config.model_dump() | {"min_mi": _least(args.min_mi)}, name="the command line")
    done = align_photo(args.render, args.photo, args.out, config, force=args.force)
    for notice in done.notices:
        print(f"note: {notice}", file=sys.stderr)
    for reason in done.refused:
        print(f"{'forced' if done.forced else 'refused'}: {reason}", file=sys.stderr)
    if args.json:
        print(dump_json(done.row | {"folder": str(done.folder) if done.folder else None}), end="")
    elif done.folder:
        r = done.row
        pose = f"scale {r['scaleX']:.4f} x {r['scaleY']:.4f}, rotation {r['rotation_deg']:.3f} degrees"
        gain = f"mutual information {r['mi_before']:.3f} -> {r['mi_after']:.3f}"
        print(f"{done.folder}: {pose}, shift {r['tx']:.2f}, {r['ty']:.2f} px; {gain}")
    if done.folder is None:
        print("nothing was written; --force writes it nevertheless", file=sys.stderr)
    return 0 if done.folder else 1


def run_standin(args: argparse.Namespace) -> int:
    """Write the picture and its truth."""
    from noescape.board.align.files import read_render
    from noescape.board.align.standin import make_standin
    from noescape.files import write_bytes, write_json
    from noescape.imaging import png_bytes
    from noescape.records import UsageError

    truth = args.truth or args.out.with_suffix(".json")
    if not 0.25 <= args.scale <= 4:
        raise UsageError(f"--scale {args.scale:g}: expected 0.25 to 4 pixels per render pixel")
    if not 0 <= args.seed < 2**31:
        raise UsageError(f"--seed {args.seed}: expected a whole number from 0")
    if args.out.suffix.lower() != ".png" or truth == args.out:
        raise UsageError(f"--out {args.out}: expected a name that ends in .png, other than that of the truth")
    photo, made = make_standin(read_render(args.render).rgb, seed=args.seed, scale=args.scale)
    write_bytes(args.out, png_bytes(photo))
    write_json(truth, made.to_json())
    print(f"{args.out}: a stand-in, {photo.shape[1]} x {photo.shape[0]} pixels; how it was made: {truth}")
    return 0


def _least(text: str) -> float | None:
    from noescape.records import UsageError

    if text.strip().lower() in ("null", "none", ""):
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--min-mi {text}: expected a number, or null") from None
