"""Base models that generators for GPUs start from: brought from a folder, never fetched."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from noescape.files import write_json
from noescape.records import DataError

INDEX = "model_index.json"
LIST_FILE = "base_models.json"
FOLDER = "inpainting"
TAKEN = (".safetensors", ".json", ".txt", ".model", ".md")


@dataclass(frozen=True, kw_only=True)
class Brought:
    """How many files were brought, and what a person should know."""

    files: int
    notes: tuple[str, ...] = ()


def check_base_model(folder: Path) -> None:
    """DataError unless `folder` is a model in the diffusers layout, as far as names tell."""
    if not (folder / INDEX).is_file():
        raise DataError(
            f"{folder}: no base model here ({INDEX}); bring one by setup_pretrained with pretrained_url_root=PLACE, or "
            "generate on the CPU with profile=cpu"
        )


def bring(source: Path | None, out: Path, *, required: bool = False) -> Brought:
    """Put the model of `source` into `<out>/inpainting`; `out` gets `base_models.json` in any case.

    Only safetensors weights, configurations and vocabularies are taken; what else there is is left out and noted.
    DataError when `source` has not exactly one model (a folder with model_index.json and safetensors weights), or when
    one is required and none given.
    """
    if source is None:
        if required:
            raise DataError(
                "this profile generates with a diffusion model, and none was given: --set pretrained_url_root=PLACE, a "
                f"folder or prefix with an inpainting model ({INDEX} and safetensors), or profile=cpu"
            )
        write_json(out / LIST_FILE, {"models": [], "note": "the exemplar generator needs no base model"})
        return Brought(files=0)
    homes = sorted(p.parent for p in source.rglob(INDEX)) if source.is_dir() else []
    if len(homes) != 1:
        names = ", ".join(home.relative_to(source).as_posix() for home in homes) or "none"
        raise DataError(f"{source}: expected one inpainting model (a folder with {INDEX}), found: {names}")
    files = sorted(p for p in homes[0].rglob("*") if p.is_file() and not p.is_symlink())
    taken = [p for p in files if p.suffix.lower() in TAKEN]
    if not any(p.suffix == ".safetensors" for p in taken):
        raise DataError(f"{homes[0]}: expected safetensors weights, there are none")
    for path in taken:
        target = out / FOLDER / path.relative_to(homes[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    write_json(out / LIST_FILE, {"models": [FOLDER]})
    left = len(files) - len(taken)
    notes = (f"{left} files were left out; taken are {', '.join(TAKEN)}",) if left else ()
    return Brought(files=len(taken), notes=notes)
