"""The part of a checkpoint's card that says how rows become inputs: what was trained is what is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noescape.changenet.images import Loader
from noescape.changenet.rows import Files
from noescape.changenet.spec import Spec


def input_card(spec: Spec) -> dict[str, Any]:
    """Sizes, lights and registration of a spec."""
    data = spec.dataset.classify
    return {
        "image_size": [data.image_height, data.image_width],
        "grid": list(data.grid),
        "lights": list(data.lights),
        "num_golden": data.num_golden,
        "registration": spec.noescape.registration,
    }


def loader_of(card: dict[str, Any], spec: Spec, images_dir: str | Path) -> Loader:
    """The loader of a checkpoint; the names of lights and the suffix are those of the spec."""
    from noescape.records import UsageError

    data = spec.dataset.classify
    files = Files.of(data, images_dir)
    if len(files.lights) != len(card["lights"]):
        raise UsageError(
            f"the checkpoint was trained with {len(card['lights'])} lights, dataset.classify.input_map names "
            f"{len(files.lights)}"
        )
    height, width = (int(v) for v in card["image_size"])
    rows, columns = (int(v) for v in card["grid"])
    return Loader(files=files, size=(height, width), grid=(rows, columns), registration=str(card["registration"]))


def input_size(card: dict[str, Any]) -> tuple[int, int]:
    """Height and width of the whole model input."""
    (height, width), (rows, columns) = card["image_size"], card["grid"]
    return int(height) * int(rows), int(width) * int(columns)
