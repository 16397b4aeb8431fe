"""Crops as clean images for defect placement: `<TEXTURE>/clean_image/<cell>__<stem>.png` with CAD masks of that name.

The folder is one for `noescape defects place --dataset-dir RAW --clean-dir DIR`, or RAW itself.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noescape.board.crop.config import BRIDGE
from noescape.board.crop.frames import Problem, spoken
from noescape.board.crop.job import FOLDER, LABELS_FILE
from noescape.datasets.folder import printable
from noescape.files import contained, read_json_object, safe_name, sha256_file, write_json
from noescape.imaging import is_image_name, read_picture
from noescape.records import DataError, ImageError, PathEscapeError, UsageError

MARK = "staged.json"
# Bridges are a defect of parts with many pins, so pairs of neighbours are clean images of theirs.
TEXTURES = {BRIDGE: "IC"}
IMAGES, MASKS = "normal_img", "cad_mask"
# The rules for CAD masks know two kinds of component; every other class is placed like the one it resembles.
LIKE = {
    "capacitor": ("resistor", "inductor", "diode", "led", "crystal", "electrolytic"),
    "ic": ("transistor", "connector", "other"),
}


@dataclass(kw_only=True)
class Staged:
    """How many clean images each texture has now, what was left out, and how many were there already, byte by byte."""

    textures: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    twice: int = 0


@dataclass(frozen=True, kw_only=True)
class _Crop:
    material: str
    cell: str
    stem: str
    image: Path
    mask: Path


def stage(crops: Path, out: Path, *, images: Path | None = None, textures: Mapping[str, str] = TEXTURES) -> Staged:
    """Copy the crops below `crops` (a `crop/` tree, or the folder that holds it) into `out`.

    `images` is a tree of the same shape with another look (`…/<cell>/normal_img/NNNN.*` or `…/<cell>/NNNN.*`); crops
    that have no twin there, or one of another size, are left out, one problem each; so are crops that are the same
    byte by byte as an earlier one (cells overlap), without a word. `textures` gives the texture of a material where it
    is not its own name. The labels get a second name for classes that placement does not know: "resistor,capacitor".
    What an earlier call staged in `out` is replaced; UsageError where a texture there has other clean images. DataError
    where nothing can be staged.
    """
    home = _home(crops)
    twins = _home(images) if images is not None else None
    done = Staged()
    found = _find(home, done)
    targets = {textures.get(crop.material, crop.material) for crop in found}
    for texture in targets:
        if safe_name(texture) != texture:
            raise UsageError(f"{texture!r} cannot be the folder of a texture; use letters, digits, '_', '-'")
    _make_room(out, targets)
    part = out / ".staged.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        seen: set[tuple[str, str, str]] = set()
        for crop in found:
            _stage_one(crop, textures.get(crop.material, crop.material), twins, part, done, seen)
        if not done.textures:
            why = f" ({done.problems[0]})" if done.problems else ""
            raise DataError(f"{home}: no crop to stage; expected <MATERIAL>/<cell>/{IMAGES}/NNNN.png{why}")
        labels = read_json_object(home / LABELS_FILE, "colours and their classes (written beside the crops)")
        write_json(out / MARK, {"textures": sorted(done.textures)})  # first: what a kill leaves is known to be ours
        for texture in sorted(done.textures):
            for folder in ("clean_image", "cad_mask"):
                (out / texture).mkdir(parents=True, exist_ok=True)
                (part / texture / folder).rename(out / texture / folder)
        write_json(out / LABELS_FILE, _familiar(labels))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done


def _home(folder: Path) -> Path:
    home = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    if not home.is_dir():
        raise DataError(f"{folder}: expected a folder of crops (`noescape board crop`), but there is no such folder")
    return home


def _find(home: Path, done: Staged) -> list[_Crop]:
    """All crops, by material, cell and number; cells are "" for a single aligned photo."""
    out = []
    for folder in sorted(p for p in home.glob(f"**/{IMAGES}") if p.is_dir()):
        parts = folder.relative_to(home).parts[:-1]
        if not 1 <= len(parts) <= 2 or any(part.startswith(".") for part in parts):
            continue
        for image in sorted(folder.iterdir()):
            if not is_image_name(image.name):
                continue
            where = printable(image.relative_to(home).as_posix())
            try:
                contained(home, image.relative_to(home).as_posix())
                named = [folder.parent / MASKS / f"{image.stem}{end}.png" for end in ("_cad_mask", "")]
                mask = next((path for path in named if path.is_file()), None)
                if mask is None:
                    raise DataError(f"no CAD mask; expected {MASKS}/{named[0].name}")
                contained(home, mask.relative_to(home).as_posix())
            except (PathEscapeError, DataError) as error:
                done.problems.append(Problem(where=where, what=spoken(error)))
            else:
                cell = parts[1] if len(parts) == 2 else ""
                out.append(_Crop(material=parts[0], cell=cell, stem=image.stem, image=image, mask=mask))
    return out


def _familiar(labels: Mapping[str, Any]) -> dict[str, Any]:
    """The labels with the class that each one is like beside its own."""
    out = {}
    for colour, entry in labels.items():
        if not isinstance(entry, Mapping):
            continue
        names = [name.strip().lower() for name in str(entry.get("class", "")).split(",")]
        more = [like for like, others in LIKE.items() if like not in names and set(others) & set(names)]
        out[colour] = {**entry, "class": ",".join([*names, *more])} if more else dict(entry)
    return out


def _stage_one(
    crop: _Crop, texture: str, twins: Path | None, part: Path, done: Staged, seen: set[tuple[str, str, str]]
) -> None:
    where = printable("/".join(filter(None, [crop.material, crop.cell, crop.stem])))
    try:
        image = crop.image if twins is None else _twin(crop, twins)
        picture, mask = read_picture(image), read_picture(crop.mask)
        if picture.rgb.shape != mask.rgb.shape:
            sizes = f"{picture.width}x{picture.height}, its CAD mask {mask.width}x{mask.height}"
            raise DataError(f"{image.name} is {sizes}")
    except (ImageError, DataError, PathEscapeError) as error:
        done.problems.append(Problem(where=where, what=spoken(error)))
        return
    key = (texture, sha256_file(image), sha256_file(crop.mask))
    if key in seen:
        done.twice += 1
        return
    seen.add(key)
    kind = [BRIDGE] if crop.material == BRIDGE else []
    name = safe_name("__".join(filter(None, [crop.cell, "_".join([*kind, crop.stem])])), limit=150)
    for folder, source, suffix in (("clean_image", image, image.suffix.lower()), ("cad_mask", crop.mask, ".png")):
        target = part / texture / folder / (name + suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    done.textures[texture] += 1


def _twin(crop: _Crop, twins: Path) -> Path:
    at = [crop.material, crop.cell] if crop.cell else [crop.material]
    for folder in ([*at, IMAGES], at):
        home = twins.joinpath(*folder)
        found = sorted(p for p in home.glob(f"{crop.stem}.*") if is_image_name(p.name)) if home.is_dir() else []
        if len(found) > 1:
            raise DataError(f"{len(found)} images named {crop.stem} in {home}")
        if found:
            return contained(twins, found[0].relative_to(twins).as_posix())
    raise DataError(f"no image of this crop in {twins}")


def _make_room(out: Path, targets: set[str]) -> None:
    """Remove what an earlier call staged; refuse to mix with other clean images."""
    ours = read_json_object(out / MARK, "what was staged").get("textures", []) if (out / MARK).is_file() else []
    mine = {texture for texture in ours if isinstance(texture, str) and safe_name(texture) == texture}
    for texture in sorted(targets - mine):
        for folder in ("clean_image", "cad_mask"):
            if (out / texture / folder).exists():
                raise UsageError(
                    f"{out / texture / folder} is there already and was not staged here; stage into another folder "
                    "and give it to `noescape defects place --clean-dir`"
                )
    for texture in sorted(mine):
        for folder in ("clean_image", "cad_mask"):
            shutil.rmtree(out / texture / folder, ignore_errors=True)
