"""Fine-tune the siamese network end to end; killed and started again, it goes on from the last whole epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from noescape.changenet.checkpoint import checkpoint_name, fit_into, read_checkpoint, read_pth, write_checkpoint
from noescape.changenet.heat import heat_scale
from noescape.changenet.images import Loader
from noescape.changenet.input_card import input_card
from noescape.changenet.sampler import epoch_order
from noescape.changenet.siamese.batches import Reader
from noescape.changenet.siamese.difference import contrastive_loss
from noescape.changenet.siamese.model import Siamese, SiameseShape, build_siamese
from noescape.changenet.siamese.resume import FILE, load_state, save_state
from noescape.changenet.siamese.scorer import SiameseScorer
from noescape.changenet.spec import Spec
from noescape.changenet.trained import Epoch, best_of
from noescape.changenet.training import Job, Rowset
from noescape.features.runtime import resolve_device
from noescape.imaging.parallel import worker_count
from noescape.records import BundleError, DataError, WorkError


def fit_siamese(job: Job) -> list[Epoch]:
    """Train on `job`; the validated or kept epochs in order. WorkError when the loss is no longer a number."""
    with _steady():
        return _Fit(job).run()


@contextmanager
def _steady() -> Iterator[None]:
    """One thread on a CPU: sums in another order would be other sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Fit:
    """One training from its first epoch to its last."""

    def __init__(self, job: Job) -> None:
        self.job, self.spec = job, job.spec
        data = self.spec.dataset.classify
        self.device = resolve_device(self.spec.noescape.device)
        self.shape = SiameseShape.of(self.spec)
        frozen = self.spec.model.backbone.freeze_backbone
        self.model = build_siamese(self.shape, self.spec.weights, seed=self.spec.train.seed, frozen=frozen)
        start_from(self.model, self.spec)
        self.model.to(self.device)
        self.optimiser = _optimiser(self.model, self.spec)
        workers = worker_count(min(data.workers, 8))
        registration = self.spec.noescape.registration
        self.readers = [
            Reader(part.rows, Loader.of(data, part.images_dir, registration), change, workers)
            for part, change in zip(job.parts, (data.augmentation_config, None), strict=True)
        ]
        self.defect = np.array([row.is_defect for row in job.train.rows], np.bool_)
        self.batch = min(data.batch_size, len(job.train.rows))
        if self.batch < 2:
            raise DataError(f"{job.train.csv}: expected at least 2 rows and a batch_size of 2 to fine-tune")
        self.weight = torch.tensor(self.spec.train.classify.cls_weight, device=self.device)

    def run(self) -> list[Epoch]:
        """All epochs that are not done yet."""
        state, total = self.job.out / FILE, self.spec.train.num_epochs
        epochs: list[Epoch] = []
        done = step = 0
        given = self.spec.train.resume_training_checkpoint_path
        if state.is_file() or given:
            epochs, done, step = load_state(state if state.is_file() else Path(str(given)), self.model, self.optimiser)
            self.job.on_line(f"goes on after epoch {done} of {total}")
        for number in range(done, total):
            loss, step = self._epoch(number, step)
            epochs = self._kept(epochs, number, step, loss)
            save_state(state, self.model, self.optimiser, epochs, number + 1, step)
        for part, reader in zip(self.job.parts, self.readers, strict=True):
            self.job.skip(part, reader.errors)
        for name in sorted({best_of(epochs).file, epochs[-1].file}):
            self._scaled(name)
        state.unlink(missing_ok=True)
        return epochs

    def _epoch(self, number: int, step: int) -> tuple[float, int]:
        seed = self.spec.train.seed
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.spec, number)
        fpratio = self.spec.dataset.classify.fpratio_sampling
        order = epoch_order(self.defect, fpratio, np.random.default_rng([seed, number]))
        self.model.train()
        losses = []
        for image, goldens, defect in self.readers[0].batches(
            order.tolist(), self.batch, (seed, number), drop_last=True
        ):
            self.optimiser.zero_grad(set_to_none=True)
            loss = self._loss(self.model(image.to(self.device), goldens.to(self.device)), defect.to(self.device))
            if not bool(torch.isfinite(loss)):
                raise WorkError(f"epoch {number + 1}: the loss is no number; lower train.optim.lr")
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            losses.append(float(loss.detach()))
            step += 1
        if not losses:
            raise DataError(f"{self.job.train.csv}: too few rows can be read for a batch of {self.batch}")
        return float(np.mean(losses)), step

    def _kept(self, epochs: list[Epoch], number: int, step: int, loss: float) -> list[Epoch]:
        """The list with this epoch, where it is validated, due for a checkpoint, or the last."""
        train, last = self.spec.train, number + 1 == self.spec.train.num_epochs
        measured = last or (number + 1) % train.validation_interval == 0
        val = self._validate() if measured else None
        name = checkpoint_name(number, step)
        epoch = Epoch(epoch=number, step=step, file=name, train_loss=loss, val_loss=val)
        self.job.epoch_done(epoch, train.num_epochs)
        if not measured and (number + 1) % train.checkpoint_interval:
            return epochs
        write_checkpoint(self.job.out / name, "siamese", self.model.state_dict(), self._card())
        return [*epochs, epoch]

    def _validate(self) -> float | None:
        part = self.job.validation
        if not part.rows:
            return None
        self.model.eval()
        total, count = 0.0, 0.0
        with torch.inference_mode():
            for image, goldens, defect in self.readers[1].batches(
                range(len(part.rows)), self.batch, (0,), drop_last=False
            ):
                out = self.model(image.to(self.device), goldens.to(self.device))
                weight = float(len(defect))
                if self.model.learnable:
                    weight = float(self.weight[defect.long().to(self.device)].sum())
                total += weight * float(self._loss(out, defect.to(self.device)))
                count += weight
        return total / count if count else None

    def _loss(self, out: Tensor, defect: Tensor) -> Tensor:
        if self.model.learnable:
            return functional.cross_entropy(out, defect.long(), weight=self.weight)
        return contrastive_loss(out, defect, self.spec.model.classify.train_margin_euclid)

    def _card(self) -> dict[str, object]:
        return {**input_card(self.spec), "shape": self.shape.to_json(), "heat_scale": [0.0, 1.0]}

    def _scaled(self, name: str) -> None:
        """Write the scale of heat into a checkpoint that will be used."""
        tensors, card = read_checkpoint(self.job.out / name)
        part: Rowset = self.job.train
        scorer = SiameseScorer(self.job.out / name, tensors, card, self.spec, part.images_dir)
        plain = {key: value for key, value in card.items() if key not in ("format", "kind")}
        write_checkpoint(
            self.job.out / name, "siamese", tensors, {**plain, "heat_scale": heat_scale(scorer, part.rows)}
        )


def rate_at(spec: Spec, epoch: int) -> float:
    """The learning rate of an epoch (from 0): falling in a line to almost 0, or by tens in three steps."""
    optim, total = spec.train.optim, spec.train.num_epochs
    if optim.policy == "linear":
        return optim.lr * (1 - epoch / (total + 1))
    return float(optim.lr * 0.1 ** (epoch // max(1, total // 3)))


def start_from(model: Siamese, spec: Spec) -> None:
    """Weights only, from train.pretrained_model_path: a checkpoint of ours, or a `.pth` whose names fit."""
    if spec.train.pretrained_model_path is None:
        return
    path = Path(spec.train.pretrained_model_path)
    if path.suffix == ".safetensors":
        tensors, card = read_checkpoint(path)
        if card["kind"] != "siamese":
            raise BundleError(f"{path}: expected a fine-tuned model to start from, got one of kind {card['kind']}")
    else:
        tensors = read_pth(path)
    fit_into(model, tensors, path, whole=False)


def _optimiser(model: Siamese, spec: Spec) -> torch.optim.Optimizer:
    optim = spec.train.optim
    learning = [p for p in model.parameters() if p.requires_grad]
    if optim.optim == "sgd":
        return torch.optim.SGD(learning, lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay)
    kind = torch.optim.AdamW if optim.optim == "adamw" else torch.optim.Adam
    return kind(learning, lr=optim.lr, weight_decay=optim.weight_decay)
