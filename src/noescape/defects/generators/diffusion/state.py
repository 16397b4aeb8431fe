"""A saved step: adapters, the optimisers' moments, and what run this is. Safetensors and JSON, nothing that is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from noescape.datasets.anomalygen import DefectType
from noescape.defects.generators.checkpoints import MODEL, open_step
from noescape.defects.generators.diffusion.adapters import Adapters, Tensors, file_name
from noescape.defects.generators.diffusion.options import DiffusionOptions
from noescape.defects.generators.recipe import Recipe
from noescape.files import sha256_file, sha256_named
from noescape.records import BundleError, UsageError

OPTIMISER = "optimizer.safetensors"
META = "diffusion"
POINTER = Path("checkpoints", "latest_checkpoint.txt")
# What may differ between a training and its resumption: how long, how often saved, where the model lies, speed.
FREE_OPTIONS = {"model", "revision", "variant", "allow_download", "gradient_checkpointing"}
FREE_OPTIONS |= {"validation_crops", "validation_images", "validation_steps"}
Optimisers = Sequence[torch.optim.AdamW]


def identity_of(
    types: Sequence[DefectType], recipe: Recipe, options: DiffusionOptions, fingerprint: str, world_size: int
) -> dict[str, Any]:
    """All that decides the bytes of step n, as plain data. Reads every example once."""
    files = [
        (f"{t.key}/{i}/{k}", sha256_file(p))
        for t in types
        for i, pair in enumerate(t.pairs)
        for k, p in enumerate(pair)
    ]
    train = recipe.dataloader_train
    return {
        "model_fingerprint": fingerprint,
        "examples_sha256": sha256_named(files),
        "anomaly_types": [t.key for t in types],
        "options": options.model_dump(mode="json", exclude=FREE_OPTIONS),
        "optimizer": recipe.optimizer.model_dump(mode="json"),
        "batch_size": train.batch_size,
        "image_size": train.dataset.image_size[0],
        "ratio_range": list(train.dataset.ratio_range),
        "data_augprob": train.dataset.data_augprob,
        "seed": train.dataset.seed,
        "warm_up_steps": recipe.trainer.warm_up_steps,
        "cycle_lengths": recipe.trainer.cycle_lengths,
        "processes": world_size,
    }


def step_files(adapters: Adapters, optimisers: Optimisers) -> dict[str, bytes]:
    """The content of a saved step by file name. Same state, same bytes."""
    moments: Tensors = {}
    for i, optimiser in enumerate(optimisers):
        for name, parameter in adapters.parameters(i).items():
            for what, value in optimiser.state.get(parameter, {}).items():
                moments[f"{i:03d}/{name}/{what}"] = value.detach().cpu().contiguous()
    files = {name: save(tensors) for name, tensors in adapters.files().items()}
    return {**files, OPTIMISER: save(moments)}


def restore(step: Path, adapters: Adapters, optimisers: Optimisers | None) -> None:
    """Bring adapters (and optimisers, to go on training) to a saved step. BundleError when it is not whole."""
    adapters.restore({file_name(i): read_tensors(step / file_name(i)) for i in range(len(adapters.types))})
    if optimisers is None:
        return
    moments = read_tensors(step / OPTIMISER)
    for i, optimiser in enumerate(optimisers):
        for name, parameter in adapters.parameters(i).items():
            start = f"{i:03d}/{name}/"
            state = {k.removeprefix(start): v for k, v in moments.items() if k.startswith(start)}
            if state:
                where = {k: v if k == "step" else v.to(parameter.device) for k, v in state.items()}
                optimiser.state[parameter] = where


def read_tensors(path: Path) -> Tensors:
    """The tensors of a safetensors file. BundleError when it is none."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{path}: expected safetensors, cannot be read ({error})") from None


def latest_step(output: Path, identity: Mapping[str, Any]) -> tuple[int, Path | None]:
    """Where the training in `output` stands: the step that the latest pointer names, (0, None) for a new one.

    UsageError when another training is there, saying what is different.
    """
    try:
        name = (output / POINTER).read_text("utf-8").strip()
    except OSError:
        return 0, None
    step = open_step(output / MODEL / name)
    there = dict(step.meta.get(META, {})).get("training", {}) if step.generator == "diffusion" else {}
    other = sorted(k for k in {*identity, *there} if identity.get(k) != there.get(k))
    if other:
        said = "; ".join(f"{k} {there.get(k)!r}, now {identity.get(k)!r}"[:200] for k in other[:4])
        raise UsageError(
            f"{output} holds another training (generator {step.generator}, step {step.number}; {said}): choose an "
            "empty folder, or go on with the same data, recipe, model and number of processes"
        )
    return step.number, step.path


def load_options(meta: Mapping[str, Any]) -> tuple[DiffusionOptions, dict[str, Any]]:
    """The options and the training's identity that a saved step keeps. BundleError when they are not there."""
    try:
        kept = meta[META]
        return DiffusionOptions.model_validate(kept["options"]), dict(kept["training"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the checkpoint's {META!r} part is not complete ({str(error)[:200]})") from None
