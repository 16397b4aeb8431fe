"""What placement is asked to do, and everything about it that can be checked before it starts."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from noescape.datasets.anomalygen import AnomalyGenDataset, DefectType, cad_problems
from noescape.datasets.anomalygen_layout import Problem
from noescape.datasets.anomalygen_spec import SPEC_FILE, DefectSpec, unknown_type
from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.folder import printable
from noescape.defects.placement.allocate import by_hand, proportional, uniform
from noescape.defects.placement.augment import FULL, Ranges, typed
from noescape.defects.placement.roi import Rois, check_rois, read_rois
from noescape.defects.placement.submask import Submask, parts, take, traits
from noescape.defects.placement.text import VisionEndpoint
from noescape.imaging import read_picture
from noescape.records import DataError, UsageError

MAX_LISTED = 40


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """See `noescape defects place --help`. `anomaly_types` () takes all types of the data set; `instances` -1 draws
    their number."""

    num_sdg: int | None
    output_jsonl: Path
    amp_dir: Path
    mode: Literal["inference", "validation"] = "inference"
    per_defect_counts: Mapping[str, object] | None = None
    anomaly_types: tuple[str, ...] = ()
    default_dependency: str = "free"
    augmentation: Literal["typed", "full"] = "typed"
    instances: int = -1
    seed: int = 42
    guidance: float = 7.0
    num_steps: int = 35
    crop_ratio: float = 2.0
    legal_roi: Path | None = None
    illegal_roi: Path | None = None
    roi_json: Path | None = None
    vision: VisionEndpoint | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TypePlan:
    """One type: how many, where they may lie, from which masks, changed how far."""

    kind: DefectType
    count: int
    spec: DefectSpec
    submasks: tuple[Submask, ...]
    ranges: Ranges
    max_instance: int

    @property
    def stream(self) -> int:
        """Names its random numbers, so that other types come and go without moving this one's masks."""
        return stream(self.kind.key)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """All of it, checked. `sizes` are (height, width) of the clean images; `notices` are worth telling."""

    dataset: AnomalyGenDataset
    options: PlaceOptions
    types: tuple[TypePlan, ...]
    rois: Rois
    sizes: Mapping[Path, tuple[int, int]]
    notices: tuple[str, ...] = field(default=())

    @property
    def allocation(self) -> dict[str, int]:
        """Images of each type."""
        return {plan.kind.key: plan.count for plan in self.types}


def make_plan(dataset: AnomalyGenDataset, options: PlaceOptions) -> Plan:
    """Check everything, allocate, read the masks. Writes nothing; asks the vision endpoint whether it is there.

    UsageError for wrong options; DataError that lists all problems of the data set and of the regions at once.
    """
    kinds = _chosen(dataset, options)
    counts = _allocate(kinds, options)
    kinds = [kind for kind in kinds if counts[kind.key]]
    default = DefectSpec(spatial_dependency=options.default_dependency)
    specs = {kind.key: dataset.spec.get(kind.key, default) for kind in kinds}
    others = {kind.texture for kind in dataset.types} - {kind.texture for kind in kinds}  # asked for by nobody
    problems = [p for p in dataset.problems if p.fatal and p.where.partition("/")[0] not in others]
    problems += _placeable(dataset, kinds, specs)
    rois, wrong = read_rois(options.legal_roi, options.illegal_roi, options.roi_json)
    textures = sorted({kind.texture for kind in kinds})
    clean = [path for texture in textures for path in dataset.clean.get(texture, ())]
    sizes = {path: dataset.sizes.get(path) or _size(path) for path in clean} if not problems else {}
    problems += wrong + (check_rois(rois, list(sizes.items())) if not wrong and sizes else [])
    _refuse(dataset, problems)
    if options.vision and any(spec.spatial_dependency == "text" for spec in specs.values()):
        options.vision.check()
    plans = tuple(_type_plan(kind, counts[kind.key], specs[kind.key], options) for kind in kinds)
    return Plan(
        dataset=dataset, options=options, types=plans, rois=rois, sizes=sizes, notices=_notices(plans, dataset, options)
    )


def stream(name: str) -> int:
    """A number for a name, as part of a seed."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def _chosen(dataset: AnomalyGenDataset, options: PlaceOptions) -> list[DefectType]:
    known = {kind.key: kind for kind in dataset.types}
    lost = [key for key in options.anomaly_types if key not in known]
    if lost:
        raise UsageError("--anomaly-types: " + "; ".join(unknown_type(key, known) for key in lost))
    if options.default_dependency == "text":
        silent = [key for key in known if key not in dataset.spec and key in (options.anomaly_types or known)]
        if silent:
            what = f"text needs words for {', '.join(silent)}; give each a line in {SPEC_FILE}"
            raise UsageError(f"--default-spatial-dependency {what}")
    if not known:
        dataset.require_usable()
    return [known[key] for key in sorted(set(options.anomaly_types or known))]


def _allocate(kinds: list[DefectType], options: PlaceOptions) -> dict[str, int]:
    keys = [kind.key for kind in kinds]
    if options.per_defect_counts is not None:
        return by_hand(keys, options.per_defect_counts, options.num_sdg)
    if options.num_sdg is None or options.num_sdg < 1:
        raise UsageError("say how many images: --num-sdg N with N of at least 1, or --per-defect-counts")
    if options.mode == "validation":
        return proportional({kind.key: len(kind.pairs) for kind in kinds}, options.num_sdg)
    return uniform(keys, options.num_sdg)


def _placeable(dataset: AnomalyGenDataset, kinds: list[DefectType], specs: Mapping[str, DefectSpec]) -> list[Problem]:
    out: list[Problem] = []
    for kind in kinds:
        if specs[kind.key].spatial_dependency == "cad":
            out += cad_problems(dataset, kind)
        if not kind.pairs and not (specs[kind.key].spatial_dependency == "cad" and kind.name == "missing"):
            what = "no example with a mask that could be placed"
            out.append(Problem(code="no_masks", where=printable(kind.key), what=what))
    return out


def _refuse(dataset: AnomalyGenDataset, problems: list[Problem]) -> None:
    unique = list(dict.fromkeys(problems))
    if unique:
        more = [f"… and {len(unique) - MAX_LISTED} more"] if len(unique) > MAX_LISTED else []
        lines = "\n".join(f"  - {line}" for line in [*map(str, unique[:MAX_LISTED]), *more])
        name = printable(str(dataset.root))
        raise DataError(f"nothing was placed; {name} has {len(unique)} problem(s) to mend first:\n{lines}")


def _type_plan(kind: DefectType, count: int, spec: DefectSpec, options: PlaceOptions) -> TypePlan:
    masks = [read_binary_mask(mask) for _, mask in kind.pairs]
    submasks = tuple(take(mask) for mask in masks)
    several = bool(masks) and all(parts(mask > 0) > 1 for mask in masks)
    return TypePlan(
        kind=kind,
        count=count,
        spec=spec,
        submasks=submasks,
        ranges=typed(traits(submasks)) if options.augmentation == "typed" else FULL,
        max_instance=1 if several else 5,
    )


def _notices(plans: tuple[TypePlan, ...], dataset: AnomalyGenDataset, options: PlaceOptions) -> tuple[str, ...]:
    out = [str(problem) for problem in dataset.problems if not problem.fatal]
    spoken = [plan.kind.key for plan in plans if plan.spec.spatial_dependency == "text"]
    if spoken and options.vision is None:
        out.append(
            f"no --vision-endpoint: for {', '.join(spoken)} the words are not read; masks go on what stands out "
            "against the rim of each image"
        )
    return tuple(out)


def _size(path: Path) -> tuple[int, int]:
    picture = read_picture(path)
    return picture.height, picture.width
