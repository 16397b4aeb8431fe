"""What a training leaves: checkpoints, and which of them is the best and which the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.files import read_json_object, write_json
from noescape.records import BundleError

RECORD = "checkpoints.json"


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One validated checkpoint. `epoch` counts from 0 as in its name; losses as trained (None where not measured)."""

    epoch: int
    step: int
    file: str
    train_loss: float | None
    val_loss: float | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """`best` has the lowest val_loss (the earliest of equals), `latest` is the last; the same file where they agree."""

    folder: Path
    trainer: str
    best: Path
    latest: Path
    val_loss: float | None
    epochs: tuple[Epoch, ...]


def best_of(epochs: Sequence[Epoch]) -> Epoch:
    """The lowest val_loss, of equals the earliest; without any the last."""
    measured = [(e.val_loss, e.epoch, e) for e in epochs if e.val_loss is not None]
    return min(measured, key=lambda m: m[:2])[2] if measured else epochs[-1]


def record(folder: Path, trainer: str, epochs: list[Epoch], held_out: str, digest: str) -> Trained:
    """Choose, and write checkpoints.json: from here on the training is finished."""
    best = best_of(epochs)
    value: dict[str, Any] = {
        "trainer": trainer,
        "best_val": best.file,
        "latest": epochs[-1].file,
        "val_loss": best.val_loss,
        "chosen_on": held_out,
        "identity": digest,
        "epochs": [
            {"epoch": e.epoch, "step": e.step, "file": e.file, "train_loss": e.train_loss, "val_loss": e.val_loss,
             "note": e.note} for e in epochs
        ],
    }  # fmt: skip
    write_json(folder / RECORD, value)
    return read_trained(folder)


def read_trained(folder: Path) -> Trained:
    """What lies in the folder of a finished training; BundleError where it is not finished or a file is missing."""
    path = folder / RECORD
    if not path.is_file():
        raise BundleError(f"{folder} holds no finished training ({RECORD} is missing): run noescape changenet train")
    value = read_json_object(path, "the checkpoints of a training", error=BundleError)
    try:
        epochs = tuple(Epoch(**e) for e in value["epochs"])
        names = (str(value["best_val"]), str(value["latest"]))
        trainer, loss = str(value["trainer"]), value["val_loss"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"{path} is not what train writes ({error!r})") from None
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise BundleError(f"{path} names {name!r}, which is not in {folder}")
    best, latest = (folder / name for name in names)
    return Trained(folder=folder, trainer=trainer, best=best, latest=latest, val_loss=loss, epochs=epochs)


def identity_of(folder: Path) -> str | None:
    """What the finished training in `folder` was, or None."""
    path = folder / RECORD
    return str(read_json_object(path, "the checkpoints of a training").get("identity")) if path.is_file() else None
