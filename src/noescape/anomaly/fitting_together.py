"""Do the parts of a bundle belong to one run? What one says about another is tried before the first image."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from noescape.anomaly.detector import Model, PadimScorer, PatchCoreScorer, View
from noescape.features.runtime import Embedder
from noescape.records import BundleError


def refuse_misfits(folder: Path, view: View, embedder: Embedder, model: Model) -> None:
    """BundleError unless `embedder` takes the images that `view` shows and gives what `model` learnt from.

    Cost: one image through the embedder.
    """
    height, width = view.image_size
    patches, dims = prod(view.grid), _dimensions(model)
    try:
        given = embedder(np.zeros((height, width, 3), np.uint8)).shape
    except RuntimeError as error:
        came = last_line(error)
    else:
        positions = _positions(model)
        if given[0] == patches and given[1] in dims and (view.tile is not None or positions in (None, patches)):
            return
        stored = "" if positions is None else f" at {positions} positions"
        came = f"the graph gives {given[0]} patches of {given[1]} features, the model is of {_said(dims)}{stored}"
    raise BundleError(
        f"{folder}: weights/embedding.xml, weights/model.safetensors and meta.json are not of one run: expected a "
        f"graph from {height} x {width} RGB pixels to {patches} patches, as meta.json says; {came}. Copy the whole run "
        "folder again from where it was fitted, or fit again"
    )


def last_line(error: RuntimeError) -> str:
    """What a runtime's error says in the end: the reason, where the lines before are places in its source."""
    return str(error).strip().rpartition("\n")[2].strip()[:200]


def _dimensions(model: Model) -> range:
    """How many features of a patch a model can take."""
    if isinstance(model, PatchCoreScorer):
        return range(model.core.bank.shape[1], model.core.bank.shape[1] + 1)
    assert isinstance(model, PadimScorer)  # noqa: S101 - there are two kinds
    return range(int(model.padim.channels.max()) + 1, 1 << 31)


def _said(dims: range) -> str:
    return f"{dims.start} features" if len(dims) == 1 else f"at least {dims.start} features"


def _positions(model: Model) -> int | None:
    return len(model.padim.mean) if isinstance(model, PadimScorer) else None
