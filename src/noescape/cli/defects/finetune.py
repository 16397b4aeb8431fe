"""`noescape defects finetune`: learn a generator's checkpoint from a data set in the AnomalyGen layout."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

DESCRIPTION = """\
Learn from a few examples per type how its defects look: a checkpoint that `generate` draws with.

  noescape defects finetune --config ag_config.yaml --dataset-dir raw/ --output-dir models/my_part

The exemplar generator (default) takes seconds on a CPU. The diffusion generator trains adapters on an inpainting model
that the recipe names (diffusion: {model: …}), on one GPU or, started by torchrun, on several: see docs/diffusion.md.
The recipe's anomaly_types choose the types (none: all). Same data and recipe give the same bytes; a killed run is
started again by the same command.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `finetune`."""
    p = commands.add_parser(
        "finetune",
        help="learn a generator from a few examples",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--config", type=Path, metavar="YAML", help="ag_config.yaml (default: everything by default)")
    p.add_argument("--dataset-dir", type=Path, required=True, metavar="D", help="data set; only read")
    p.add_argument("--output-dir", type=Path, required=True, metavar="C", help="folder of the checkpoint")
    p.add_argument("--base-model", metavar="M", help="diffusion: in place of the recipe's diffusion.model")
    p.add_argument("--generator", default="exemplar", choices=("exemplar", "diffusion"))
    p.add_argument(
        "--step", type=int, metavar="N", help="number of the step (exemplar; default: the recipe's max_iter)"
    )
    p.add_argument("--choice", type=Path, metavar="JSON", help="what `noescape defects choose` found (its arms)")
    p.add_argument("--no-validation", action="store_true", help="write no valid/<step>/valid_kpi.csv")
    p.add_argument("--dry-run", action="store_true", help="check everything, say what would be learnt, and stop")
    p.add_argument("--json", action="store_true", help="say what was done as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Learn, validate, and say where it is."""
    from noescape.cli.progress import tell
    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.defects.generators.base import generator_class
    from noescape.defects.generators.checkpoints import open_step
    from noescape.defects.generators.choice import with_choice
    from noescape.defects.generators.diffusion.options import diffusion_options
    from noescape.defects.generators.diffusion.world import world_of
    from noescape.defects.generators.recipe import Recipe, checked_types, read_recipe, with_step
    from noescape.files import check_folder, dump_json, one_at_a_time
    from noescape.records import UsageError

    world = world_of()
    check_folder(args.output_dir)
    _refuse_what_means_nothing(args)
    if world.size > 1 and args.generator != "diffusion":
        raise UsageError(f"the {args.generator} generator learns in one process, not in {world.size} (torchrun)")
    recipe = read_recipe(args.config) if args.config else Recipe()
    recipe = with_step(recipe, args.step)
    if args.choice:
        recipe = with_choice(recipe, args.choice)
    if args.base_model:
        recipe = recipe.model_copy(update={"diffusion": {**recipe.diffusion, "model": args.base_model}})
    dataset = read_anomalygen(args.dataset_dir).require_usable()
    types = checked_types(recipe, dataset)
    if args.generator == "diffusion":
        diffusion_options(recipe)  # so that a dry run checks it too
        if args.no_validation:
            trainer = recipe.trainer.model_copy(update={"run_validation": False})
            recipe = recipe.model_copy(update={"trainer": trainer})
    maker = generator_class(args.generator)
    for problem in dataset.problems:
        print(f"note: {problem}", file=sys.stderr)
    if args.dry_run:
        for kind in types:
            print(f"{kind.key}: {len(kind.pairs)} examples, {len(dataset.clean.get(kind.texture, ()))} clean images")
        return 0
    advance = None

    def on_step(done: int, total: int) -> None:
        nonlocal advance
        advance = advance or tell("learning", total)
        advance(done)

    with one_at_a_time(args.output_dir) if world.leads else nullcontext():
        step = open_step(maker.finetune(dataset, recipe, args.output_dir, on_step))
        told = {"checkpoint": str(step.path), "step": step.number, "generator": step.generator, "sha256": step.digest}
        if not args.no_validation and args.generator == "exemplar":
            from noescape.defects.generators.validate import validate

            told["nn_score"] = validate(args.output_dir, step, dataset, recipe, tell=tell)
    if not world.leads:
        return 0
    if args.json:
        print(dump_json(told), end="")
        return 0
    print(f"{len(types)} types learnt: {', '.join(kind.key for kind in types)}")
    if "nn_score" in told:
        print(f"nn_score of a validation: {told['nn_score']:.3f} (higher: more like the real defects)")
    print(f"checkpoint: {step.path}")
    return 0


def _refuse_what_means_nothing(args: argparse.Namespace) -> None:
    """UsageError for a flag that the other generator alone understands: it would be ignored."""
    from noescape.records import UsageError

    of = {"exemplar": ("step", "choice"), "diffusion": ("base_model",)}
    for generator, names in of.items():
        given = [f"--{n.replace('_', '-')}" for n in names if getattr(args, n) is not None]
        if given and generator != args.generator:
            raise UsageError(f"{', '.join(given)}: only for --generator {generator}, not for {args.generator}")
