"""The two side files of the AnomalyGen layout: where defects of each type may lie, and what the colours of CAD mean.

defect_spec.jsonl                    {"defect_type": "Phone+oil", "spatial_dependency": "free|text|cad",
                                      "roi_prompt_defect_location": "where, in words; for text"}
semantic_segmentation_labels.json    {"(255, 0, 0, 255)": {"class": "pad"}}
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.files import read_json_object
from noescape.records import DataError

SPEC_FILE = "defect_spec.jsonl"
LABELS_FILE = "semantic_segmentation_labels.json"
DEPENDENCIES = ("free", "text", "cad")
UNNAMED = ("BACKGROUND", "UNLABELLED")

Colour = tuple[int, int, int]
Tell = Callable[[str, str], None]  # (code, what is wrong)


@dataclass(frozen=True, kw_only=True, slots=True)
class DefectSpec:
    """Where defects of one type may lie: `free` anywhere, `cad` by rules for CAD masks, `text` where `prompt` says."""

    spatial_dependency: str
    prompt: str = ""


def read_spec(path: Path, tell: Tell) -> dict[str, DefectSpec]:
    """The specification of each type, by key; every bad line is told and left out. Keeps the order of the file."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeError) as error:
        tell("spec_unreadable", f"cannot be read ({getattr(error, 'strerror', None) or error})")
        return {}
    spec: dict[str, DefectSpec] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                tell("spec_line", f"line {number}: not a row of JSON ({error})")
                continue
            _take_row(row, spec, lambda code, what, n=number: tell(code, f"line {n}: {what}"))  # type: ignore[misc]
    return spec


def _take_row(row: Any, spec: dict[str, DefectSpec], tell: Tell) -> None:
    if not isinstance(row, dict) or not isinstance(row.get("defect_type"), str):
        came = f"keys {', '.join(map(repr, row))}" if isinstance(row, dict) else type(row).__name__
        tell("spec_line", f'expected {{"defect_type": "TEXTURE+TYPE", "spatial_dependency": …}}, got {came[:120]}')
        return
    key, kind = row["defect_type"], row.get("spatial_dependency")
    prompt = row.get("roi_prompt_defect_location") or ""
    if kind not in DEPENDENCIES:
        near = difflib.get_close_matches(str(kind), DEPENDENCIES, 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        tell("spec_dependency", f"{key}: spatial_dependency {kind!r} is none of {', '.join(DEPENDENCIES)}{hint}")
    elif key in spec:
        tell("spec_twice", f"{key} is there twice")
    elif not isinstance(prompt, str) or (kind == "text" and not prompt.strip()):
        tell("spec_prompt", f"{key}: spatial_dependency text needs words in roi_prompt_defect_location")
    else:
        spec[key] = DefectSpec(spatial_dependency=kind, prompt=prompt.strip())


def unknown_type(key: str, known: Iterable[str]) -> str:
    """What to say about a type that the data set does not have."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"unknown type {key!r}; {hint}"


def read_labels(path: Path, tell: Tell) -> dict[Colour, str]:
    """Colour -> class (lower case; several classes of one colour joined by commas); bad entries are told, left out."""
    try:
        value = read_json_object(path, "colours and their classes")
    except DataError as error:
        tell("labels", str(error))
        return {}
    labels: dict[Colour, str] = {}
    for text, entry in value.items():
        name = entry.get("class") if isinstance(entry, dict) else None
        parts = re.fullmatch(
            r"\s*[(\[]\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?:,\s*\d{1,3}\s*)?[)\]]\s*", text
        )
        colour = tuple(int(p) for p in parts.groups()) if parts else (256,)
        if not isinstance(name, str) or max(colour) > 255:
            tell("labels", f'{text!r}: expected "(r, g, b, a)": {{"class": "pad"}} with values up to 255')
        elif name.strip() and name.strip().upper() not in UNNAMED:
            labels[colour[0], colour[1], colour[2]] = ",".join(part.strip().lower() for part in name.split(","))
    return labels
