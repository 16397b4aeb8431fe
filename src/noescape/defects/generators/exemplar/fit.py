"""Learn a bank from a data set: cut the exemplars out, take them apart, measure the surfaces, choose arms per type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.datasets.anomalygen import AnomalyGenDataset, DefectType
from noescape.datasets.binary_mask import read_binary_mask
from noescape.defects.generators.exemplar.bank import Bank, Piece, Surface, TypeBank
from noescape.defects.generators.exemplar.exemplars import Traits, take_apart
from noescape.defects.generators.exemplar.grain import measure_grain
from noescape.defects.generators.exemplar.logdomain import to_log, unit
from noescape.defects.generators.exemplar.mix import MIX
from noescape.defects.generators.recipe import ExemplarOptions
from noescape.files import sha256_file
from noescape.imaging import label_regions, read_picture
from noescape.records import DataError, ImageError, UsageError

MOST_EXEMPLARS = 64  # of a type; more are thinned out evenly
TEXTURES, TEXTURE_SIDE = 8, 256
ARMS = ("transplant", "cutpaste", "perlin", "missing")
MISSING = {"missing": 1.0}
U8 = npt.NDArray[np.uint8]


def fit_bank(
    dataset: AnomalyGenDataset, types: tuple[DefectType, ...], options: ExemplarOptions, on_step: Callable[[], None]
) -> Bank:
    """The bank for `types` of `dataset`; `on_step` is called after each file. About .1 CPU-s per 512 x 512 picture.

    DataError with every pair that cannot be used: what is learnt from must be right.
    """
    problems: list[str] = []
    kinds, textures = {}, sorted({t.texture for t in types})
    arms = {t.key: arms_of(t.key, options.arms, {k.key for k in dataset.types}) for t in types}
    for kind in types:
        pieces = []
        for image, mask in _thinned(kind.pairs):
            try:
                pieces.append(cut_out(image, mask))
            except ImageError as error:
                problems.append(str(error))
            on_step()
        if pieces:
            kinds[kind.key] = _type_bank(kind.key, pieces, arms[kind.key])
        else:
            problems.append(f"{kind.key}: no example that can be used")
    surfaces = {t: _surface(t, dataset.clean.get(t, ()), problems, on_step) for t in textures}
    if problems:
        raise DataError("\n".join(["nothing was learnt:", *(f"  - {p}" for p in problems[:40])]))
    return Bank(types=kinds, surfaces=surfaces, options=options.model_dump(mode="json"))


def arms_of(key: str, asked: Mapping[str, Mapping[str, float]], known: set[str]) -> dict[str, float]:
    """Weights of the arms for a type: the recipe's for it, else its "*" (but for a type called missing, which no other
    arm can draw), else none, which means the mix by the type's size. UsageError for unknown names."""
    for name, weights in asked.items():
        if name != "*" and name not in known:
            raise UsageError(f"exemplar.arms: no type {name!r} in the data set; there are {', '.join(sorted(known))}")
        strange = sorted(set(weights) - set(ARMS))
        if strange or not sum(weights.values()) > 0:
            raise UsageError(f"exemplar.arms.{name}: expected weights of {', '.join(ARMS)}, got {dict(weights)}")
    usual = MISSING if key.partition("+")[2].casefold() == "missing" else asked.get("*", {})
    return _shares(asked.get(key, usual))


def mix_into(size: str) -> dict[str, float]:
    """The mix that teaches a detector most about types of this size (`mix.MIX`), as far as it can draw into a given
    mask: a real picture moved as a whole brings its own."""
    return _shares(Counter(arm for arm in MIX[size] if arm in ARMS))


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {arm: round(weights[arm] / total, 6) for arm in ARMS if weights.get(arm)}


def cut_out(image: Path, mask: Path) -> Piece:
    """One exemplar as it is kept: the part of the picture around its mask. ImageError where it cannot be used."""
    rgb, marked = read_picture(image).rgb, marking_mask(mask)
    if marked.shape != rgb.shape[:2]:
        size = f"{marked.shape[1]}x{marked.shape[0]}, its image {rgb.shape[1]}x{rgb.shape[0]}"
        raise ImageError(mask, "size", f"is {size}")
    whole = take_apart(image.name, rgb, marked)
    x0, y0, x1, y1 = whole.box
    height, width = marked.shape
    margin = round(max(10 * unit(marked.shape), 0.25 * max(x1 - x0, y1 - y0)))
    cut = (max(0, x0 - margin), max(0, y0 - margin), min(width, x1 + margin), min(height, y1 + margin))
    at = (slice(cut[1], cut[3]), slice(cut[0], cut[2]))
    return Piece(
        name=image.name, image_sha256=sha256_file(image), mask_sha256=sha256_file(mask), source_size=(height, width),
        cut=cut, touch=whole.touch, share=round(whole.share, 8), elongation=round(whole.elongation, 4),
        rgb=rgb[at], mask=np.where(marked[at], np.uint8(255), np.uint8(0)),
        residual=whole.residual[at].astype(np.float16),
    )  # fmt: skip


def marking_mask(path: Path) -> npt.NDArray[np.bool_]:
    """A mask file as bool [H, W] that marks something. ImageError where it is blank or no mask at all."""
    marked = read_binary_mask(path) > 0
    if not marked.any():
        raise ImageError(path, "mask_blank", "marks nothing: expected a mask with white where the defect is")
    return np.asarray(marked, np.bool_)


def _thinned(pairs: tuple[tuple[Path, Path], ...]) -> list[tuple[Path, Path]]:
    if len(pairs) <= MOST_EXEMPLARS:
        return list(pairs)
    return [pairs[round(k * (len(pairs) - 1) / (MOST_EXEMPLARS - 1))] for k in range(MOST_EXEMPLARS)]


def _type_bank(key: str, pieces: list[Piece], arms: Mapping[str, float]) -> TypeBank:
    kind = Traits(
        share=round(float(np.median([p.share for p in pieces])), 8),
        elongation=round(float(np.median([p.elongation for p in pieces])), 4),
    )
    scattered = all(int(label_regions(p.mask).max()) > 1 for p in pieces)
    return TypeBank(key=key, traits=kind, arms=arms or mix_into(kind.size), scattered=scattered, pieces=tuple(pieces))


def _surface(texture: str, paths: tuple[Path, ...], problems: list[str], on_step: Callable[[], None]) -> Surface:
    if not paths:
        problems.append(f"{texture}: no clean image to learn the surface from")
    logs: list[Any] = []
    kept: list[U8] = []
    for number, path in enumerate(paths):
        try:
            rgb = read_picture(path).rgb
        except ImageError as error:
            problems.append(str(error))
            continue
        finally:
            on_step()
        logs.append(to_log(rgb))
        if number % max(1, len(paths) // TEXTURES) == 0 and len(kept) < TEXTURES:
            y, x = ((side - min(side, TEXTURE_SIDE)) // 2 for side in rgb.shape[:2])
            kept.append(np.ascontiguousarray(rgb[y : y + TEXTURE_SIDE, x : x + TEXTURE_SIDE]))
    grain = measure_grain(logs)
    return Surface(texture=texture, grain=grain, textures=tuple(kept), statistics=_statistics(logs))


def _statistics(logs: list[Any]) -> dict[str, float]:
    if not logs:
        return {}
    means = [float(log.mean()) for log in logs]
    return {
        "images": len(logs),
        "mean_log": round(float(np.mean(means)), 5),
        "sd_between_images": round(float(np.std(means)), 5),
        "sd_within_images": round(float(np.mean([log.std() for log in logs])), 5),
    }
