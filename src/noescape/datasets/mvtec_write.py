"""Write generated images in the MVTec AD layout, one category a texture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noescape.datasets.labelled import LabelledImage, clean_images, regions, whole_folder
from noescape.datasets.write import Placement, write_mvtec
from noescape.files import safe_name
from noescape.records import GOOD_TYPE, UNCERTAIN_TYPE

NOTE = "test images are drawn on the surfaces of train/good: for training on labels, not for measuring on new parts"


def write_generated_mvtec(items: Sequence[LabelledImage], out: Path) -> dict[str, object]:
    """Write `items` to `<out>/<TEXTURE>`: clean surfaces in train/good, defects in test/<TYPE> with ground_truth,
    and pairs.csv naming each one's clean twin. `read_mvtec` reads it. UsageError where something else is there."""
    return whole_folder(out, "mvtec", lambda part: _fill(items, part))


def _fill(items: Sequence[LabelledImage], out: Path) -> dict[str, object]:
    counts: dict[str, int] = {}
    for texture in sorted({item.texture for item in items}):
        mine = [item for item in items if item.texture == texture]
        surfaces = clean_images(mine)
        by_bytes = {path.read_bytes(): path for path in surfaces.values()}
        placements = [
            Placement(source=path, split="train", kind=GOOD_TYPE, name=name) for name, path in surfaces.items()
        ]  # fmt: skip
        for item in mine:
            regions(item)  # a label that marks nothing, or is of another size, is an error as in every format
            golden = by_bytes[item.clean.read_bytes()]
            kind = _kind(item.defect)
            placements.append(
                Placement(
                    source=item.image, split="test", kind=kind, name=f"{item.name}.png", mask=item.mask, golden=golden
                )
            )
        category = safe_name(texture)
        info = {"name": f"generated defects on {texture}", "category": category, "terms": "as the source images"}
        result = write_mvtec(out, category, placements, info=info, notes=(NOTE,))
        counts |= {f"{category}/{name}": count for name, count in result.counts.items()}
    return {"file": ".", "images": len(items), "counts": counts, "note": NOTE}


def _kind(name: str) -> str:
    plain = safe_name(name)
    return f"defect_{plain}" if plain in (GOOD_TYPE, UNCERTAIN_TYPE) else plain
