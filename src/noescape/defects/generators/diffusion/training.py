"""Training: types take turns, each with its own adapter and optimiser; killed, it goes on from the last saved step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from noescape.datasets.anomalygen import DefectType
from noescape.defects.generators.base import OnStep
from noescape.defects.generators.checkpoints import MODEL, pick_step, point, save_step, step_name, steps, write_kpi
from noescape.defects.generators.diffusion.adapters import Adapters, noised
from noescape.defects.generators.diffusion.backbone import load_backbone
from noescape.defects.generators.diffusion.denoise import masked_loss, random_times
from noescape.defects.generators.diffusion.examples import Cropping, TypeExamples, batch_of, read_examples
from noescape.defects.generators.diffusion.options import diffusion_options
from noescape.defects.generators.diffusion.schedule import (
    NOISE,
    has_stalled,
    lr_at,
    saves_at,
    stream,
    turn_of,
    validates_at,
)
from noescape.defects.generators.diffusion.state import META, identity_of, latest_step, restore, step_files
from noescape.defects.generators.diffusion.validation import Rows, Validation, scores_of
from noescape.defects.generators.diffusion.world import World
from noescape.defects.generators.recipe import Recipe
from noescape.files import remove_parts
from noescape.records import WorkError

NAME = "diffusion"


def train(types: Sequence[DefectType], recipe: Recipe, output: Path, on_step: OnStep, world: World) -> Path:
    """Learn `types`; returns the folder of the newest step. Every process of `world` calls this; process 0 writes.

    The same data, recipe, model and number of processes give the same bytes on the same kind of machine, however often
    it is killed. UsageError before anything is loaded where the recipe cannot work, or another training is there.
    """
    options = diffusion_options(recipe)
    examples = [read_examples(kind, options.holdout) for kind in types]
    device = world.device()
    _be_repeatable(options.deterministic)
    backbone = load_backbone(options, [options.words(kind.key) for kind in types], device)
    identity = identity_of(types, recipe, options, backbone.fingerprint, world.size)
    done, from_step = latest_step(output, identity)
    world.wait()  # nobody writes before everybody has read
    if world.leads and (output / "checkpoints").is_dir():
        remove_parts(output)
    if options.gradient_checkpointing:
        backbone.unet.enable_gradient_checkpointing()
    adapters = Adapters(backbone, options, [kind.key for kind in types], recipe.dataloader_train.dataset.seed)
    trainer = Trainer(adapters, examples, recipe, world)
    if from_step is not None:
        restore(from_step, adapters, trainer.optimisers)
    apart = {kind.key: [kind.pairs[i][0].name for i in e.valid] for kind, e in zip(types, examples, strict=True)}
    kept = {"training": identity, "options": options.model_dump(mode="json"), "held_out": apart}
    return trainer.run(output, done, on_step, kept)


class Trainer:
    """Adapters with their optimisers, and what they learn from."""

    def __init__(self, adapters: Adapters, examples: Sequence[TypeExamples], recipe: Recipe, world: World) -> None:
        data, adam = recipe.dataloader_train.dataset, recipe.optimizer
        self.adapters, self.examples, self.recipe, self.world = adapters, examples, recipe, world
        self.lr = adapters.options.lr or adam.lr
        self.cropping = Cropping(
            size=data.image_size[0], ratio_range=data.ratio_range, turn_share=data.data_augprob, seed=data.seed
        )
        self.optimisers = [
            torch.optim.AdamW(
                list(adapters.parameters(i).values()), lr=self.lr, betas=adam.betas, eps=adam.eps,
                weight_decay=adam.weight_decay, foreach=False,
            )
            for i in range(len(examples))
        ]  # fmt: skip
        self.validation = Validation(adapters, examples, self.cropping, world)

    def run(self, output: Path, done: int, on_step: OnStep, kept: Mapping[str, Any]) -> Path:
        """From step `done` to the recipe's last, or until the scores stall; see `train`."""
        last = max(self.recipe.trainer.max_iter, done)
        if done == 0 and self.recipe.trainer.run_validation_on_start:
            self._validate(output, 0)
        step = done
        while step < last and not (step and self._stalled(output, step)):
            step += 1
            try:
                self.learn(step)
            except torch.OutOfMemoryError:
                raise WorkError(
                    f"step {step}: the device has not enough memory; a smaller batch_size or image_size, or "
                    "diffusion.gradient_checkpointing: true, needs less. What was saved stays"
                ) from None
            stalled = False
            if validates_at(self.recipe, step, last):
                self._validate(output, step)
                stalled = self._stalled(output, step)
            if saves_at(self.recipe, step, last) or stalled:
                self._save(output, step, kept)
            if self.world.leads:
                on_step(step, last)
        if self.world.leads and steps(output):
            point(output, "best", pick_step(output))  # a kill may have come between a step and this
        self.world.wait()
        return output / MODEL / step_name(step)

    def learn(self, step: int) -> float:
        """One step of the type whose turn it is; returns this process's loss."""
        turn = turn_of(step, len(self.examples))
        adapters, backbone = self.adapters, self.adapters.backbone
        seed, batch = self.cropping.seed, self.recipe.dataloader_train.batch_size
        adapters.use(turn.kind)
        views = batch_of(self.examples[turn.kind], self.cropping, turn.turn, batch, self.world, turn.kind)
        rng = stream(seed, NOISE, step, self.world.rank)
        untold = rng.random() < adapters.options.condition_dropout
        told = adapters.untold() if untold else noised(adapters.told(turn.kind), adapters.options.prompt_noise, rng)
        times = random_times(batch, backbone, rng)
        loss = masked_loss(backbone, views, told.times(batch), times, rng, adapters.options.outside_weight).mean()
        if not torch.isfinite(loss):
            raise WorkError(f"step {step}: the loss is {float(loss)}; a lower learning rate (diffusion.lr) may help")
        optimiser = self.optimisers[turn.kind]
        parameters = list(adapters.parameters(turn.kind).values())
        for p in parameters:  # zeros and not None: a step without condition moves the tokens by their momentum,
            p.grad = torch.zeros_like(p)  # in a run that has just been resumed as in one that was not
        loss.backward()  # type: ignore[no-untyped-call]
        _average_gradients(parameters, self.world)
        torch.nn.utils.clip_grad_norm_(parameters, adapters.options.clip_norm, foreach=False)
        for group in optimiser.param_groups:
            group["lr"] = lr_at(self.recipe, self.lr, step)
        optimiser.step()
        return float(loss.detach())

    def _validate(self, output: Path, step: int) -> None:
        rows: Rows = self.validation.figures()
        if self.world.leads:
            write_kpi(output, step, self.adapters.types, rows)

    def _save(self, output: Path, step: int, kept: Mapping[str, Any]) -> None:
        if self.world.leads:
            meta = {"anomaly_types": list(self.adapters.types), META: dict(kept)}
            save_step(output, step, NAME, step_files(self.adapters, self.optimisers), meta)
            point(output, "best", pick_step(output))

    def _stalled(self, output: Path, step: int) -> bool:
        """What process 0 finds in the figures on disk, told to all."""
        rule = self.recipe.trainer.early_stop
        if not rule.enabled:
            return False
        found = self.world.leads and has_stalled(scores_of(output, step), rule)
        flag = torch.tensor([float(found)], device=self.adapters.backbone.device)
        return bool(self.world.add_up(flag) > 0)


def _average_gradients(parameters: Sequence[torch.nn.Parameter], world: World) -> None:
    """The mean over the processes, in one message: an adapter is a few megabytes. torch's own wrapper for parallel
    training wants every trainable weight used in every step; here all but one adapter rest."""
    if world.size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    world.add_up(flat).div_(world.size)
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()


def _be_repeatable(wanted: bool) -> None:
    """Repeatable kernels where there are any; on the CPU all that is used here repeat anyway."""
    if wanted and torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
