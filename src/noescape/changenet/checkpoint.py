"""A checkpoint: tensors and a card that says what they are, in one safetensors file. Nothing in it can run.

The card is JSON in the file's metadata: `kind` (cached, siamese or mapnet), `format`, and what that kind needs to be
built again: backbone, sizes, lights, registration. A `.pth` from elsewhere has no card: see `read_pth`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noescape.features.weights import load_state
from noescape.files import write_with
from noescape.records import BundleError

FORMAT = 1
KINDS = ("cached", "siamese", "mapnet")
_KEY = "noescape"


def checkpoint_name(epoch: int, step: int) -> str:
    """`model_epoch_003_step_00120.safetensors`."""
    return f"model_epoch_{epoch:03d}_step_{step:05d}.safetensors"


def write_checkpoint(path: Path, kind: str, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write tensors and card; the file appears whole. Same content, same bytes."""
    from safetensors.torch import save_file

    whole = {"format": FORMAT, "kind": kind, **card}
    text = json.dumps(whole, sort_keys=True, ensure_ascii=True, allow_nan=False)
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_with(path, lambda part: save_file(plain, part, {_KEY: text}))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and card of a checkpoint. BundleError where it is missing, damaged, or not one of ours."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        raise BundleError(f"{path}: expected a .safetensors checkpoint of changenet")
    try:
        with safe_open(path, "pt") as f:
            card = json.loads((f.metadata() or {}).get(_KEY, "null"))
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise BundleError(f"{path}: expected a checkpoint of changenet, which cannot be read ({reason})") from None
    if not isinstance(card, dict) or card.get("kind") not in KINDS:
        raise BundleError(
            f"{path} is no checkpoint of changenet: its card is missing; train it with noescape changenet"
        )
    if card.get("format") != FORMAT:
        raise BundleError(f"{path} has format {card.get('format')!r}; this version reads format {FORMAT}")
    if not all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point()):
        raise BundleError(f"{path} holds weights that are no finite numbers")
    return tensors, card


def read_pth(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth` or card-less `.safetensors`, read so that no code in it can run."""
    if not path.is_file():
        raise BundleError(f"{path}: no such weights file")
    return load_state(path)


def fit_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], path: Path, *, whole: bool) -> int:
    """Put `tensors` into `module` by name; the number that fitted.

    `whole`: every tensor of the module must be there. BundleError for one that is missing, of another shape, or when
    none fits at all.
    """
    own = module.state_dict()
    fitting = {name: value for name, value in tensors.items() if name in own}
    wrong = [name for name, value in fitting.items() if value.shape != own[name].shape]
    if wrong:
        shapes = f"{list(tensors[wrong[0]].shape)}, expected {list(own[wrong[0]].shape)}"
        raise BundleError(f"{path} does not fit the network of this spec: tensor {wrong[0]!r} has shape {shapes}")
    lacking = [name for name in own if name not in fitting]
    if not fitting or (whole and lacking):
        first = lacking[0] if lacking else "any"
        raise BundleError(f"{path} does not fit the network of this spec: it has no tensor {first!r}")
    module.load_state_dict({**own, **fitting})
    return len(fitting)
