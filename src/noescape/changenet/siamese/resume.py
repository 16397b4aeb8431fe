"""Where a training stood after its last whole epoch: network and optimiser, in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noescape.changenet.checkpoint import read_checkpoint, write_checkpoint
from noescape.changenet.trained import Epoch
from noescape.records import BundleError

FILE = "resume.safetensors"


def save_state(
    path: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer, epochs: list[Epoch], done: int, step: int
) -> None:
    """Write it; the file appears whole."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"optim/{key}": value for key, value in _flat(optimiser.state_dict()["state"]).items()}
    card = {"resume": {"done": done, "step": step, "epochs": [asdict(e) for e in epochs]}}
    write_checkpoint(path, "siamese", tensors, card)


def load_state(path: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> tuple[list[Epoch], int, int]:
    """Put it back; the epochs so far, how many are done, and the step. BundleError where it does not fit."""
    tensors, card = read_checkpoint(path)
    try:
        model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
        state: dict[int, dict[str, Any]] = {}
        for name, value in tensors.items():
            if name.startswith("optim/"):
                _, number, key = name.split("/")
                state.setdefault(int(number), {})[key] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        where = card["resume"]
        return [Epoch(**e) for e in where["epochs"]], int(where["done"]), int(where["step"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{path} is not where a training of this spec stood ({reason})") from None


def _flat(state: Mapping[int, Mapping[str, Any]]) -> dict[str, Tensor]:
    return {
        f"{number}/{key}": value if isinstance(value, Tensor) else torch.tensor(float(value))
        for number, values in state.items()
        for key, value in values.items()
        if value is not None
    }
