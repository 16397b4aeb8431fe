"""A fine-tuned checkpoint at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from noescape.changenet.checkpoint import fit_into, read_pth
from noescape.changenet.images import LoadedPair
from noescape.changenet.input_card import input_card, loader_of
from noescape.changenet.rows import Row
from noescape.changenet.siamese.batches import tensors as batch_tensors
from noescape.changenet.siamese.difference import LearnableDifference
from noescape.changenet.siamese.model import SiameseShape, build_siamese
from noescape.changenet.spec import Spec
from noescape.features.runtime import resolve_device

Float = npt.NDArray[np.float32]


class SiameseScorer:
    """Scores are the chance of NO_PASS (learnable), or a distance of at least 0 (euclidean)."""

    heat_share = 0.5
    kind = "siamese"

    def __init__(
        self, path: Path, tensors: dict[str, Tensor], card: dict[str, Any], spec: Spec, images_dir: str | Path
    ) -> None:
        self.card, self.shape = card, SiameseShape.from_json(card["shape"])
        self.heat_scale = (float(card["heat_scale"][0]), float(card["heat_scale"][1]))
        self.loader = loader_of(card, spec, images_dir)
        weights = spec.weights if spec.backbone == self.shape.backbone else None
        self.device = resolve_device(spec.noescape.device)
        self.model = build_siamese(self.shape, weights, seed=0, frozen=True)
        fit_into(self.model, tensors, path, whole=True)
        self.model.eval().requires_grad_(False).to(self.device)

    @classmethod
    def of_pth(cls, path: Path, spec: Spec, images_dir: str | Path) -> SiameseScorer:
        """From a `.pth` without a card: the spec says what the network looks like."""
        card = {**input_card(spec), "shape": SiameseShape.of(spec).to_json(), "heat_scale": [0.0, 1.0]}
        return cls(path, read_pth(path), card, spec, images_dir)

    def load(self, row: Row) -> LoadedPair:
        """The pair at network size, golden registered."""
        return self.loader.load(row)

    def score(self, pairs: Sequence[LoadedPair]) -> list[float]:
        """One by one, so that a score does not depend on what else is in the batch."""
        out: list[float] = []
        with torch.inference_mode():
            for pair in pairs:
                image, goldens = (t.to(self.device) for t in batch_tensors([pair]))
                out.append(float(self.model.scores(self.model(image, goldens))[0]))
        return out

    def heat(self, pair: LoadedPair) -> Float:
        """How much each place of the fused difference speaks for NO_PASS (its slope times its value, where positive);
        for distances, how far the features of the two lie apart."""
        image, goldens = (t.to(self.device) for t in batch_tensors([pair]))
        with torch.no_grad():
            seen, golden = self.model.features(image, goldens)
        difference = self.model.difference
        if not isinstance(difference, LearnableDifference):
            return _apart(seen, golden)
        with torch.no_grad():
            fused = difference.fused(seen, golden)
        fused = fused.clone().requires_grad_(True)
        logits = difference.head(fused.flatten(1))
        (slope,) = torch.autograd.grad(logits[0, 1] - logits[0, 0], fused)
        return np.asarray((slope * fused).detach()[0].sum(0).clamp(min=0).cpu().numpy(), np.float32)


def _apart(seen: Sequence[Tensor], golden: Sequence[Tensor]) -> Float:
    target = seen[0].shape[-2:]
    out = torch.zeros(target)
    for a, b in zip(seen, golden, strict=True):
        apart = (a - b).norm(dim=1, keepdim=True).cpu()
        out += nn.functional.interpolate(apart, target, mode="bilinear", align_corners=False)[0, 0]
    return np.asarray(out.numpy(), np.float32)
