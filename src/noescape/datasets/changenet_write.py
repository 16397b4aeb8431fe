"""Write generated images as pairs for a change classifier: input/, golden/ and the CSV of 14 columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noescape.datasets.labelled import LabelledImage, copy_to, regions, whole_folder
from noescape.files import safe_name, write_csv
from noescape.records import UsageError

FILE = "changenet.csv"
COLUMNS = (
    "input_path", "golden_path", "label", "object_name", "project", "boardname", "comp_type_2", "mpass_mfail",
    "is_valid", "comp_name", "part_type", "number_of_pins", "description", "comp_type_1",
)  # fmt: skip


def write_changenet(items: Sequence[LabelledImage], out: Path, *, light: str = "SolderLight") -> dict[str, object]:
    """Write `items` to `out`: `<input_path>/<object_name>_<light>.png` beside its golden of the same name.

    The label is the type in lower case (everything but PASS is NO_PASS to its readers); the board is the clean surface,
    so that splits by board keep twins together. There are no PASS rows: a golden beside itself would teach nothing.
    UsageError where `light` cannot stand in a file name: readers put the name together again.
    """
    if light != safe_name(light):
        raise UsageError(f"light {light!r}: expected what can stand in a file name; try {safe_name(light)!r}")
    return whole_folder(out, "changenet", lambda part: _fill(items, part, light))


def _fill(items: Sequence[LabelledImage], part: Path, light: str) -> dict[str, object]:
    rows = []
    for item in items:
        found = regions(item)
        file = f"{item.name}_{light}.png"
        copy_to(item.image, part / "input" / file)
        copy_to(item.clean, part / "golden" / file)
        kind, description = item.defect.strip().lower(), f"generated, {len(found)} region(s)"
        rows.append(
            ("input", "golden", kind, item.name, "noescape", item.group, item.texture, "MFAIL", 1,
             item.name, item.texture, "", description, item.texture)
        )  # fmt: skip
    write_csv(part / FILE, COLUMNS, rows)
    return {"file": FILE, "images": len(items), "light": light, "classes": sorted({i.defect.lower() for i in items})}
