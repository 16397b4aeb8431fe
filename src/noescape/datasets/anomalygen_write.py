"""Write a data set in the AnomalyGen layout: examples with their masks, clean images, where defects may lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.datasets.anomalygen_spec import SPEC_FILE
from noescape.files import dump_row, safe_name, write_bytes, write_json, write_text
from noescape.imaging import png_bytes
from noescape.records import DataError

SOURCE_FILE = "source.json"
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One picture of a defect, taken as it is, with its mask uint8 0/255 `[H, W]`."""

    image: Path
    mask: Mask


def write_anomalygen(
    out: Path,
    texture: str,
    examples: Mapping[str, Sequence[Example]],
    clean: Sequence[Path],
    *,
    spatial_dependency: str = "free",
    source: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Write `<out>/<texture>/…` with `defect_spec.jsonl` and `source.json` (where it is from, under which terms).

    Pictures are copied byte by byte under their own names, masks become PNG. Returns the number of images per type and
    of clean ones. DataError when there is nothing to write. Same input, same bytes. Use `files.fresh_folder` around it.
    """
    if not clean or not any(examples.values()):
        raise DataError(f"{out}: expected examples and clean images, got {len(clean)} clean and {len(examples)} types")
    home, counts = out / texture, {}
    for kind, items in sorted(examples.items()):
        names = _names([item.image for item in items])
        for name, item in zip(names, items, strict=True):
            write_bytes(home / "anomaly_image" / kind / name, item.image.read_bytes(), sync=False)
            write_bytes(home / "mask" / kind / f"{Path(name).stem}_mask.png", png_bytes(item.mask), sync=False)
        counts[f"{texture}+{kind}"] = len(items)
    for name, path in zip(_names(clean), clean, strict=True):
        write_bytes(home / "clean_image" / name, path.read_bytes(), sync=False)
    rows = [{"defect_type": key, "spatial_dependency": spatial_dependency} for key in counts]
    write_text(out / SPEC_FILE, "".join(dump_row(row) + "\n" for row in rows))
    write_json(out / SOURCE_FILE, dict(source or {}))
    return counts | {"clean": len(clean)}


def _names(paths: Sequence[Path]) -> list[str]:
    """File names that are safe, and distinct also without their suffixes."""
    taken: set[str] = set()
    out = []
    for path in paths:
        stem, number = safe_name(path.stem), 1
        name = stem
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        out.append(name + path.suffix.lower())
    return out
