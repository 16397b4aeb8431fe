"""`noescape board render`: a board's frames with their masks, by the cookbook."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.board.render.job import Done
    from noescape.board.render.plan import Estimate, Plan

DESCRIPTION = """\
Scan a board with a camera under ring light or white light: pictures, masks in colours and numbers, boxes, depth.

  noescape board render board.usd --target pcba_target.yaml --config day0_image.yaml --out frames/
  noescape board render board.usd … --render-patches 4 --dry-run            the plan and about what it costs
  noescape board render board.usd --target … --config structural_image.yaml --defect-modes shift,tombstone --out bad/
  noescape board render board.usd … --config structural_image.yaml --with-golden --out both/   both/golden, both/defect
  noescape board render --target … --config … --write-isaac isaac/          the cookbook for the original renderer
"""
EPILOG = """\
A run that was stopped goes on where it was when the same command is given again. A frame that fails costs one line on
stderr and one row in metadata.json. --engine auto is Mitsuba where it is installed (`noescape doctor` says how it
renders here), else toy. Exit codes: 0 done, 1 no frame could be made, 2 wrong use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `render`."""
    parser = commands.add_parser(
        "render",
        help="pictures of a board with exact masks",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "usd", metavar="BOARD.usd", type=Path, nargs="?", help="the stage (default: the target's scene)"
    )
    parser.add_argument("--target", type=Path, required=True, metavar="YAML", help="pcba_target.yaml")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="YAML", help="day0_image.yaml or a structural one"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the frames go")
    knobs = parser.add_argument_group("instead of what the cookbook says")
    knobs.add_argument("--render-patches", type=int, metavar="N", help="most frames; -1: every cell of the scan")
    knobs.add_argument("--defect-modes", metavar="LIST", help="shift,tombstone,sideflip or all")
    knobs.add_argument("--resolution", type=int, nargs=2, metavar=("W", "H"), help="pixels")
    knobs.add_argument("--spp", type=int, metavar="N", help="samples per pixel")
    knobs.add_argument("--seed", type=int, metavar="S", help="of all that is drawn (random_seed)")
    parser.add_argument("--with-golden", action="store_true", help="also the same frames of the board as it should be")
    parser.add_argument("--engine", choices=("auto", "mitsuba", "toy", "blender"), default="auto")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, say what would be done, write nothing"
    )
    parser.add_argument("--write-isaac", type=Path, metavar="DIR", help="write the cookbook for the original renderer")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, plan, render."""
    from noescape.board.scene.cookbook import load_cookbook
    from noescape.records import UsageError

    target, config = load_cookbook(
        args.target,
        args.config,
        render_patches=args.render_patches,
        defect_modes=args.defect_modes,
        resolution=args.resolution,
        spp=args.spp,
        seed=args.seed,
    )
    usd = args.usd or target.stage
    if args.write_isaac:
        from noescape.board.render.isaac import write_isaac

        for path in write_isaac(target, config, usd, args.write_isaac):
            print(path)
        return 0
    if usd is None:
        raise UsageError(f"which board? Give BOARD.usd, or say scene: in {args.target}")
    if args.with_golden and config.pipeline_type == "good":
        raise UsageError(f"--with-golden: {args.config} spoils nothing (pipeline_type good), so all frames are golden")
    if args.out is None and not args.dry_run:
        raise UsageError("--out says where the frames go (or --dry-run)")
    return _render(args, usd, target, config)


def _render(args: argparse.Namespace, usd: Path, target: object, config: object) -> int:
    from typing import cast

    from noescape.board.render.engine import renderer
    from noescape.board.render.job import render_job
    from noescape.board.render.plan import estimate, make_plan
    from noescape.board.scene.config import RenderConfig
    from noescape.board.scene.read import open_scene
    from noescape.board.scene.target import Target
    from noescape.cli.progress import tell

    target, config = cast(Target, target), cast(RenderConfig, config)
    scene = open_scene(usd, target, config.semantics)
    plan = make_plan(scene, target, config)
    engine = renderer(args.engine)
    triangles = sum(len(mesh.faces) for mesh in scene.meshes)
    cost = estimate(plan, config, engine.variant, triangles, 2 if args.with_golden else 1)
    if args.dry_run:
        _plan(args, plan, cost, f"{engine.name} ({engine.variant})", scene.notices)
        return 0
    print(f"{engine.name} ({engine.variant}): {_words(cost)}", file=sys.stderr)
    done = render_job(scene, target, config, args.out, engine, golden=args.with_golden, tell=tell)
    _finish(args, done)
    return 0


def _words(cost: Estimate) -> str:
    return (
        f"{cost.frames} frames, about {cost.cpu_s:.0f} CPU-s ({cost.wall_s:.0f} s here), {cost.memory_mb} MB of "
        f"memory, {cost.disk_mb} MB on disk"
    )


def _plan(args: argparse.Namespace, plan: Plan, cost: Estimate, engine: str, notices: tuple[str, ...]) -> None:
    from dataclasses import asdict

    from noescape.files import dump_json

    if args.json:
        frames = [{"trigger": frame.trigger, "cell": frame.name} for frame in plan.frames]
        told = {
            "engine": engine,
            "cells": plan.cells,
            "frames": frames,
            "bare": list(plan.bare),
            "notices": list(notices),
        }
        print(dump_json({**told, "estimate": asdict(cost)}), end="")
        return
    names = [frame.name for frame in plan.frames]
    print(f"{engine}: {_words(cost)}")
    print(f"{len(names)} frames over {plan.cells} cells: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}")
    if plan.bare:
        print(f"no part stands in: {', '.join(plan.bare[:12])}{' …' if len(plan.bare) > 12 else ''}")
    for notice in notices:
        print(f"note: {notice}")


def _finish(args: argparse.Namespace, done: Done) -> None:
    from noescape.files import dump_json

    for notice in done.notices:
        print(f"note: {notice}", file=sys.stderr)
    for row in done.failed:
        print(f"failed: {row['tree']}/trigger_{row['trigger']:04d}/{row['cell']}: {row['error']}", file=sys.stderr)
    if args.json:
        told = {"out": str(args.out), "rendered": done.rendered, "kept": done.kept, "failed": done.failed}
        print(dump_json({**told, "notices": done.notices}), end="")
        return
    kept = f", {done.kept} were there already" if done.kept else ""
    failed = f", {len(done.failed)} failed" if done.failed else ""
    print(f"{done.rendered} frames in {args.out}{kept}{failed}")
