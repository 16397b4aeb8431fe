"""Write a category in the MVTec AD layout: into a hidden folder beside its place, renamed when whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.datasets.folder import printable
from noescape.datasets.mvtec import GROUPS_FILE, INFO_FILE
from noescape.files import contained, dump_json, dump_row, read_json_object, safe_name, write_csv
from noescape.imaging import png_bytes, read_picture
from noescape.records import GOOD_TYPE, DataError, ImageError, UsageError

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One image and where it goes. `split` is train or test; `kind` is good, uncertain or a defect type.

    `mask` is a file (non-zero = defect), or a function that draws one `[H, W]`; None where there is no mask.
    `golden` is the source path of the defect-free twin, where there is one.
    """

    source: Path
    split: str
    kind: str
    name: str
    group: str | None = None
    mask: Path | Callable[[], Mask] | None = None
    mask_note: str = ""
    golden: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What an import did for one category. `counts`: images per `split/type`; `skipped`: one row per image left out;
    `done_before`: the very same import was already there, nothing was written."""

    out: Path
    category: str
    counts: dict[str, int]
    groups: dict[str, int]
    terms: str
    notes: tuple[str, ...]
    skipped: tuple[ImageError, ...]
    done_before: bool


def write_mvtec(
    out: Path,
    category: str,
    placements: Sequence[Placement],
    *,
    info: Mapping[str, Any],
    notes: Sequence[str] = (),
    skipped: Sequence[ImageError] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Write `placements` to `<out>/<category>` and return what is there.

    Image bytes are copied as they are; masks become PNG 0/255. Beside them: `dataset.json` (`info`, the counts, the
    digest of this plan), `groups.json`, and `pairs.csv` where images have a golden twin. The folder appears by one
    rename when it is whole; a killed import leaves only a hidden folder that the next one replaces. If the same plan
    was finished there before, nothing is written; any other non-empty folder is a DataError. An image or mask that
    cannot be read costs one row in the result's `skipped`, after those that the caller had to skip before.
    """
    if not category or category != safe_name(category):
        raise UsageError(f"category {category!r}: expected a plain name of letters, digits, '.', '_' and '-'")
    names = _target_names(placements)
    plan = _plan_digest(placements, names, info)
    target, part = out / category, out / f".{category}.part"
    if target.exists() or target.is_symlink():
        return _already_there(target, category, plan)
    _make(out)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        result = _fill(part, target, placements, names, info, notes, skipped, plan, progress)
        os.sync()  # one flush for thousands of files, before the name that promises they are whole
        part.rename(target)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise DataError(f"{target}: cannot be written ({error.strerror or error}); nothing was left there") from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return result


def refuse_overlap(src: Path, out: Path) -> None:
    """UsageError if `out` lies in `src` or `src` in `out`: an import never writes into its source."""
    a, b = src.resolve(), out.resolve()
    if a.is_relative_to(b) or b.is_relative_to(a):
        raise UsageError(f"OUT {out} and SRC {src} must be separate folders, neither inside the other")


def _fill(
    part: Path,
    target: Path,
    placements: Sequence[Placement],
    names: Sequence[str],
    info: Mapping[str, Any],
    notes: Sequence[str],
    skipped_before: Sequence[ImageError],
    plan: str,
    progress: Callable[[int, int], None] | None,
) -> ImportResult:
    groups: dict[str, str] = {}
    key_of: dict[Path, str] = {}
    pairs: list[tuple[str, Path]] = []
    skipped = list(skipped_before)
    counts: Counter[str] = Counter()
    empty = 0
    sides: dict[str, set[str]] = {"train": set(), "test": set()}
    for number, (place, name) in enumerate(zip(placements, names, strict=True), 1):
        key = f"{place.split}/{place.kind}/{name}"
        try:
            empty += _copy(part, place, key)
        except ImageError as error:
            skipped.append(error)
            continue
        counts[f"{place.split}/{place.kind}"] += 1
        key_of[place.source] = key
        if place.group is not None:
            groups[key] = place.group
            sides[place.split].add(place.group)
        if place.golden is not None:
            pairs.append((key, place.golden))
        if progress:
            progress(number, len(placements))
    if not counts.get(f"train/{GOOD_TYPE}"):
        raise DataError(f"{target}: no good image is left to train on; {len(skipped)} image(s) could not be read")
    if pairs:
        write_csv(part / "pairs.csv", ["key", "golden"], [(key, key_of.get(gold, "")) for key, gold in sorted(pairs)])
    if empty:
        notes = [*notes, f"{empty} mask(s) mark no pixel: the set does not say where those defects are"]
    if skipped:
        notes = [*notes, f"{len(skipped)} image(s) left out, first: {printable(str(skipped[0]))}"]
    count_rows = dict(sorted(counts.items()))
    group_rows = {side: len(members) for side, members in sides.items()} if groups else {}
    summary = {
        "counts": count_rows,
        "groups": group_rows,
        "notes": list(notes),
        "skipped": [{"name": printable(row.path.name), "code": row.code, "reason": row.reason} for row in skipped],
    }
    _write(part / GROUPS_FILE, dump_json(dict(sorted(groups.items()))).encode())
    _write(part / INFO_FILE, dump_json({**info, **summary, "plan_sha256": plan}).encode())
    return ImportResult(
        out=target,
        category=target.name,
        counts=count_rows,
        groups=group_rows,
        terms=str(info.get("terms", "")),
        notes=tuple(notes),
        skipped=tuple(skipped),
        done_before=False,
    )


def _copy(part: Path, place: Placement, key: str) -> bool:
    """Write the image and its mask; whether there is a mask that marks no pixel."""
    mask = _mask_of(place)
    try:
        data = place.source.read_bytes()
    except OSError as error:
        raise ImageError(place.source, "unreadable", f"cannot be read ({error.strerror or error})") from None
    _write(contained(part, key), data)
    if mask is None:
        return False
    stem = key.rpartition("/")[2].rpartition(".")[0]
    _write(contained(part, f"ground_truth/{place.kind}/{stem}_mask.png"), png_bytes(mask))
    return not mask.any()


def _mask_of(place: Placement) -> Mask | None:
    if place.mask is None:
        return None
    pixels = read_picture(place.mask).rgb.max(axis=2) if isinstance(place.mask, Path) else place.mask()
    return np.where(pixels > 0, np.uint8(255), np.uint8(0))


def _write(path: Path, data: bytes) -> None:
    _make(path.parent)
    path.write_bytes(data)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror or error})") from None


def _target_names(placements: Sequence[Placement]) -> list[str]:
    """File names that can be written anywhere and whose stems are unique in their folder (masks go by the stem)."""
    used: set[tuple[str, str, str]] = set()
    names = []
    for place in placements:
        name = _plain(place.name)
        stem, _, suffix = name.rpartition(".")
        if (place.split, place.kind, stem.casefold()) in used:
            stem = f"{stem[:180]}-{hashlib.sha256(os.fsencode(place.source)).hexdigest()[:12]}"
        used.add((place.split, place.kind, stem.casefold()))
        names.append(f"{stem}.{suffix}")
    return names


def _plain(name: str) -> str:
    """`name` itself if it is one visible UTF-8 path part of moderate length; else a safe name that tells it apart."""
    stem, _, suffix = name.rpartition(".")
    plain = printable(name) == name and "/" not in name and "\0" not in name
    if plain and stem and not name.startswith((".", "~")) and len(name.encode()) <= 200:
        return name
    return f"{safe_name(printable(stem))}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}.{safe_name(suffix)}"


def _plan_digest(placements: Sequence[Placement], names: Sequence[str], info: Mapping[str, Any]) -> str:
    rows = []
    for place, name in zip(placements, names, strict=True):
        masked = str(place.mask_note or place.mask is not None)
        size = place.source.stat().st_size if place.source.is_file() else None
        rows.append(dump_row({"key": [place.split, place.kind, name], "in": [place.group, size, masked]}))
    text = "\n".join([dump_row(dict(info)), *sorted(rows)])
    return hashlib.sha256(text.encode()).hexdigest()


def _already_there(target: Path, category: str, plan: str) -> ImportResult:
    try:
        info = read_json_object(target / INFO_FILE, "an earlier import")
    except DataError:
        info = {}
    if info.get("plan_sha256") != plan:
        what = "another import" if info.get("plan_sha256") else "something else"
        raise DataError(f"{target}: {what} is there already; choose another OUT, or remove that folder first")
    return ImportResult(
        out=target,
        category=category,
        counts=info["counts"],
        groups=info["groups"],
        terms=str(info.get("terms", "")),
        notes=tuple(info["notes"]),
        skipped=tuple(ImageError(row["name"], row["code"], row["reason"]) for row in info["skipped"]),
        done_before=True,
    )
