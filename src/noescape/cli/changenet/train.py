"""`noescape changenet train`."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Train what the spec says into results_dir/train; run it again after a kill and it goes on.

  noescape changenet train -e spec.yaml
  noescape changenet train -e spec.yaml noescape.trainer=finetune train.num_epochs=3 dataset.classify.workers=2

Trainers (noescape.trainer): cached (frozen features, light head: minutes on a CPU), finetune (end to end), mapnet
(whole pairs with boxes, noescape.boxes), auto.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train`."""
    from noescape.cli.changenet.reading import add_spec

    p = commands.add_parser(
        "train", help="train from a spec", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_spec(p)
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it is trained."""
    from noescape.changenet.train import train
    from noescape.cli.changenet.reading import read_spec, say
    from noescape.files import dump_json

    spec = read_spec(args)
    trained = train(spec, spec.folder("train"), on_line=say)
    if args.json:
        result = {"best_val": str(trained.best), "latest": str(trained.latest), "val_loss": trained.val_loss}
        print(dump_json({"trainer": trained.trainer, **result}), end="")
        return 0
    loss = "" if trained.val_loss is None else f" (val_loss {trained.val_loss:.5g})"
    print(f"best_val: {trained.best}{loss}\nlatest: {trained.latest}")
    print(f"next: noescape changenet evaluate -e {args.experiment_spec} evaluate.checkpoint={trained.best}")
    return 0
