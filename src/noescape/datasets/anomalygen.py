"""The AnomalyGen layout on disk: a few examples of each defect with masks, and clean images to put new ones on.

<TEXTURE>/anomaly_image/<TYPE>/<stem>.<ext>     examples of one type of defect
<TEXTURE>/mask/<TYPE>/<stem>_mask.<ext>         where the defect is (<stem>.<ext> is read too)
<TEXTURE>/clean_image/<stem>.<ext>              images of good parts
<TEXTURE>/cad_mask/<stem>.png                   optional: what is where, in colours (<stem>_cad_mask.png is read too)
defect_spec.jsonl, semantic_segmentation_labels.json    see `anomalygen_spec`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from noescape.datasets.anomalygen_checks import check_files
from noescape.datasets.anomalygen_layout import (
    FOLDERS,
    Layout,
    Problem,
    Teller,
    by_stem_of,
    read_layout,
    texture_folders,
)
from noescape.datasets.anomalygen_spec import (
    LABELS_FILE,
    SPEC_FILE,
    Colour,
    DefectSpec,
    read_labels,
    read_spec,
    unknown_type,
)
from noescape.datasets.folder import printable
from noescape.imaging import MAX_PIXELS
from noescape.records import DataError

CAD_TYPES = ("missing", "excess_solder", "less_solder", "bridge")
MAX_LISTED = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class DefectType:
    """One type of defect on one texture; `pairs` are (image, mask), sorted by the image's name."""

    texture: str
    name: str
    pairs: tuple[tuple[Path, Path], ...]

    @property
    def key(self) -> str:
        """ "TEXTURE+TYPE"."""
        return f"{self.texture}+{self.name}"


@dataclass(frozen=True, kw_only=True)
class AnomalyGenDataset:
    """What is there, sorted by name, and everything that is wrong with it. Only sound pairs and clean images are in.

    `clean` and `cad` are by texture and by clean image; `labels` give the class of each colour of the CAD masks;
    `spec` is by type key and may lack types. `sizes` are (height, width) of the clean images, where they were decoded.
    """

    root: Path
    types: tuple[DefectType, ...]
    clean: Mapping[str, tuple[Path, ...]]
    cad: Mapping[Path, Path]
    labels: Mapping[Colour, str]
    spec: Mapping[str, DefectSpec]
    problems: tuple[Problem, ...]
    sizes: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Nothing fatal was found."""
        return not any(problem.fatal for problem in self.problems)

    def require_usable(self) -> AnomalyGenDataset:
        """Itself, or a DataError that lists all fatal problems."""
        fatal = [problem for problem in self.problems if problem.fatal]
        if fatal:
            more = [f"… and {len(fatal) - MAX_LISTED} more"] if len(fatal) > MAX_LISTED else []
            lines = "\n".join(f"  - {line}" for line in [*map(str, fatal[:MAX_LISTED]), *more])
            raise DataError(f"{printable(str(self.root))} cannot be used yet, {len(fatal)} problem(s):\n{lines}")
        return self


def read_anomalygen(
    root: Path,
    *,
    spec_file: Path | None = None,
    clean_root: Path | None = None,
    decode: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> AnomalyGenDataset:
    """Read the data set at `root`; `spec_file` stands in for its own defect_spec.jsonl.

    Clean images, CAD masks and labels come from `clean_root` where it is given: the same layout, or
    `<clean_root>/<TEXTURE>/*`, or for a data set of one texture `<clean_root>/*`.
    Never fails over what is inside: all problems at once are in `problems` (unpaired images or masks, masks that are
    not binary, blank or of another size, unreadable files, unknown types in the specification, empty clean folders,
    `cad` without masks or labels, `text` without words, what is there twice). With `decode` every file is read once
    (about 5 ms for 512 x 512); without, only names are checked. DataError where there is no such folder.
    """
    found: list[Problem] = []
    tell = Teller(found)
    layout = read_layout(root, tell)
    place = read_layout(clean_root, tell, clean=True) if clean_root is not None else layout
    if clean_root is not None and place.loose and not place.files:
        textures = sorted(layout.textures)
        if len(textures) == 1:
            place.files[textures[0]] = {"clean_image": {"": place.loose}, "cad_mask": {}}
        elif textures:
            tell("clean_where", str(clean_root), f"say which texture is on them: one folder each of {textures}")
    types = [kind for texture in sorted(layout.textures) for kind in _types(layout, texture, tell)]
    clean = {texture: _clean(place, texture, tell) for texture in sorted(layout.textures)}
    cad = _cad(place, clean, tell)
    if not types:
        tell("no_types", ".", _no_types(root))
    sizes: dict[Path, tuple[int, int]] = {}
    if decode:
        types, clean, cad, sizes = check_files(types, clean, cad, tell.within(root), max_pixels, progress)
    spec, labels = _side_files(spec_file or root / SPEC_FILE, place.root / LABELS_FILE, spec_file is not None, tell)
    for key in [key for key in spec if key not in {kind.key for kind in types}]:
        tell(
            "spec_unknown",
            SPEC_FILE if spec_file is None else str(spec_file),
            unknown_type(key, (kind.key for kind in types)),
        )
    dataset = AnomalyGenDataset(
        root=root, types=tuple(types), clean=clean, cad=cad, labels=labels, spec=spec, problems=(), sizes=sizes
    )
    for kind in types:
        if kind.key in spec and spec[kind.key].spatial_dependency == "cad":
            found += cad_problems(dataset, kind)
    found.sort(key=lambda p: (not p.fatal, p.where, p.code))
    return replace(dataset, problems=tuple(dict.fromkeys(found)))


def cad_problems(dataset: AnomalyGenDataset, kind: DefectType) -> list[Problem]:
    """Why `kind` cannot be placed by the rules for CAD masks; empty if it can."""
    out = []
    offer = 'use "spatial_dependency": "free" to place it anywhere'
    if kind.name not in CAD_TYPES:
        what = f"{kind.key}: rules on CAD masks exist for {', '.join(CAD_TYPES)}; {offer}"
        out.append(Problem(code="cad_type", where=SPEC_FILE, what=what))
    if not dataset.labels:
        what = f"{kind.key} is placed by cad, which needs this file to name the colours of CAD masks; {offer}"
        out.append(Problem(code="cad_labels", where=LABELS_FILE, what=what))
    clean = dataset.clean.get(kind.texture, ())
    lost = [path.name for path in clean if path not in dataset.cad]
    if lost:
        names = ", ".join(printable(name) for name in lost[:5]) + (" …" if len(lost) > 5 else "")
        what = f"{kind.key} is placed by cad, but {len(lost)} of {len(clean)} clean images have no mask here ({names})"
        out.append(Problem(code="cad_mask", where=f"{printable(kind.texture)}/cad_mask", what=f"{what}; {offer}"))
    return out


def _no_types(root: Path) -> str:
    expected = "expected <TEXTURE>/anomaly_image/<TYPE>/ with examples and <TEXTURE>/mask/<TYPE>/ with their masks"
    if any((root / name).is_dir() for name in FOLDERS):
        return f"{expected}; this looks like the folder of one texture, give the one above it"
    below = [p.name for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".") and texture_folders(p)]
    return f"{expected}; did you mean its subfolder {below[0]!r}?" if below else expected


def _types(layout: Layout, texture: str, tell: Teller) -> list[DefectType]:
    images, masks = layout.files[texture]["anomaly_image"], layout.files[texture]["mask"]
    empty = {p.name for p in (layout.root / texture / "anomaly_image").glob("*/") if not p.name.startswith(".")}
    out = []
    for name in sorted({*images, *masks, *empty}):
        by_stem = by_stem_of(layout.root, images.get(name, []), tell)
        of = by_stem_of(layout.root, masks.get(name, []), tell)
        if not by_stem and not of:
            tell("type_empty", f"{texture}/anomaly_image/{name}", "holds no image")
        pairs = []
        for stem, image in sorted(by_stem.items()):
            mask = of.pop(f"{stem}_mask", None) or of.pop(stem, None)
            if mask is None:
                where = image.relative_to(layout.root).as_posix()
                tell("unpaired_image", where, f"no mask; expected {texture}/mask/{name}/{stem}_mask.png")
            else:
                pairs.append((image, mask))
        for mask in of.values():
            stem = mask.stem.removesuffix("_mask")
            what = f"no image; expected {texture}/anomaly_image/{name}/{stem}.png (or .jpg, .bmp, .tif, .webp)"
            tell("unpaired_mask", mask.relative_to(layout.root).as_posix(), what)
        out.append(DefectType(texture=texture, name=name, pairs=tuple(pairs)))
    return out


def _clean(place: Layout, texture: str, tell: Teller) -> tuple[Path, ...]:
    folders = place.files.get(texture) or {"clean_image": {}}
    found = tuple(sorted(by_stem_of(place.root, folders["clean_image"].get("", []), tell).values()))
    if not found:
        there = (place.root / texture / "clean_image").is_dir()
        what = "holds no image: nothing to put defects on" if there else "is not there: nothing to put defects on"
        tell("clean_empty", f"{texture}/clean_image", what)
    return found


def _cad(place: Layout, clean: Mapping[str, tuple[Path, ...]], tell: Teller) -> dict[Path, Path]:
    out: dict[Path, Path] = {}
    for texture, paths in clean.items():
        of = by_stem_of(place.root, (place.files.get(texture) or {"cad_mask": {}})["cad_mask"].get("", []), tell)
        for path in paths:
            mask = of.pop(path.stem, None) or of.pop(f"{path.stem}_cad_mask", None)
            if mask is not None:
                out[path] = mask
        for mask in of.values():
            what = f"no clean image of this name in {texture}/clean_image"
            tell("cad_orphan", mask.relative_to(place.root).as_posix(), what, fatal=False)
    return out


def _side_files(
    spec: Path, labels: Path, asked_for: bool, tell: Teller
) -> tuple[dict[str, DefectSpec], dict[Colour, str]]:
    where = str(spec) if asked_for else spec.name
    named = spec.is_file() or asked_for
    return (
        read_spec(spec, lambda code, what: tell(code, where, what)) if named else {},
        read_labels(labels, lambda code, what: tell(code, labels.name, what)) if labels.is_file() else {},
    )
