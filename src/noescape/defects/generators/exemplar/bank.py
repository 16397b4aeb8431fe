"""What the exemplar generator has learnt, and its files: residuals and shapes per type, statistics per surface.

bank.json          per type traits, weights of the arms, exemplars (name, digests, where the piece was cut); per texture
                   the grain and the statistics of the clean images
bank.safetensors   per exemplar the piece around its mask (uint8), its mask, its residual (float16); clean textures
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_safetensors

from noescape.defects.copies import Gallery, poses_of
from noescape.defects.generators.exemplar.exemplars import Exemplar, Touch, Traits
from noescape.defects.generators.exemplar.given import Stock
from noescape.defects.generators.exemplar.grain import Grain
from noescape.defects.generators.exemplar.logdomain import to_log
from noescape.defects.generators.exemplar.shapes import shape_of
from noescape.files import dump_json, read_json_object
from noescape.records import Box, BundleError

TABLE, TENSORS = "bank.json", "bank.safetensors"
VERSION = 1
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """An exemplar as kept: `rgb`, `mask` (0/255) and `residual` of the part of its picture around the defect."""

    name: str
    image_sha256: str
    mask_sha256: str
    source_size: tuple[int, int]  # height, width of the picture that it was cut from
    cut: Box
    touch: Touch
    share: float
    elongation: float
    rgb: U8
    mask: U8
    residual: npt.NDArray[np.float16]

    @cached_property
    def exemplar(self) -> Exemplar:
        """As the arms want it, in the frame of the piece."""
        marked = self.mask > 0
        ys, xs = np.nonzero(marked)
        log = to_log(self.rgb)
        return Exemplar(
            name=self.name, log=log, mask=marked, residual=self.residual.astype(np.float32),
            box=(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1),
            touch=self.touch, share=self.share, elongation=self.elongation,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class TypeBank:
    """One type. `scattered`: every example has several parts, so a mask of several parts is drawn as one."""

    key: str
    traits: Traits
    arms: Mapping[str, float]
    scattered: bool
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """One texture: its grain, pieces of clean surface, and plain statistics for people."""

    texture: str
    grain: Grain
    textures: tuple[U8, ...]
    statistics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bank:
    """All that was learnt. `options` are the recipe's exemplar options."""

    types: Mapping[str, TypeBank]
    surfaces: Mapping[str, Surface]
    options: Mapping[str, Any]

    @cached_property
    def gallery(self) -> tuple[Gallery, tuple[str, ...]]:
        """Every exemplar of every type, to find copies with, and their names ("TEXTURE+TYPE/file")."""
        pieces = [(f"{kind.key}/{p.name}", p) for kind in self.types.values() for p in kind.pieces]
        return Gallery([poses_of(p.rgb, p.mask > 0) for _, p in pieces]), tuple(name for name, _ in pieces)

    def stock(self, key: str) -> Stock:
        """What drawing one type needs; about 3 CPU-ms an exemplar."""
        kind, surface = self.types[key], self.surfaces[key.partition("+")[0]]
        exemplars = [p.exemplar for p in kind.pieces]
        return Stock(
            exemplars=exemplars, shapes=[shape_of(e.mask) for e in exemplars], traits=kind.traits,
            grain=surface.grain, textures=[to_log(t) for t in surface.textures],
        )  # fmt: skip


def bank_files(bank: Bank) -> dict[str, bytes]:
    """The bank as files; same bank, same bytes."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    types, surfaces = [], []
    for i, kind in enumerate(bank.types.values()):
        rows = []
        for j, p in enumerate(kind.pieces):
            tensors |= {f"type{i}.{j}.rgb": p.rgb, f"type{i}.{j}.mask": p.mask, f"type{i}.{j}.residual": p.residual}
            named = ("name", "image_sha256", "mask_sha256", "source_size", "cut", "share", "elongation")
            rows.append({n: getattr(p, n) for n in named} | {"touch": asdict(p.touch)})
        types.append(
            {"key": kind.key, "traits": asdict(kind.traits), "arms": dict(kind.arms), "scattered": kind.scattered,
             "exemplars": rows}
        )  # fmt: skip
    for i, surface in enumerate(bank.surfaces.values()):
        tensors |= {f"surface{i}.{j}": t for j, t in enumerate(surface.textures)}
        surfaces.append(
            {"texture": surface.texture, "grain": asdict(surface.grain), "textures": len(surface.textures),
             "statistics": dict(surface.statistics)}
        )  # fmt: skip
    table = {"version": VERSION, "options": dict(bank.options), "types": types, "surfaces": surfaces}
    packed = to_safetensors({k: np.ascontiguousarray(v) for k, v in sorted(tensors.items())})
    return {TABLE: dump_json(table).encode(), TENSORS: packed}


def read_bank(folder: Path) -> Bank:
    """Read it back. BundleError for another version, and for anything that does not fit together."""
    table = read_json_object(folder / TABLE, "the bank of an exemplar checkpoint", error=BundleError)
    if table.get("version") != VERSION:
        raise BundleError(
            f"{folder / TABLE}: is of version {table.get('version')!r}, expected {VERSION}: finetune again"
        )
    try:
        tensors = load_file(folder / TENSORS)
        types = {row["key"]: _type(row, i, tensors) for i, row in enumerate(table["types"])}
        surfaces = {row["texture"]: _surface(row, i, tensors) for i, row in enumerate(table["surfaces"])}
        lost = [key for key in types if key.partition("+")[0] not in surfaces]
        if lost:
            raise ValueError(f"no surface for {lost}")
        return Bank(types=types, surfaces=surfaces, options=dict(table["options"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
        raise BundleError(f"{folder}: the bank does not fit together ({type(error).__name__}: {error})") from None


def _type(row: Mapping[str, Any], i: int, tensors: Mapping[str, npt.NDArray[Any]]) -> TypeBank:
    pieces = tuple(_piece(e, f"type{i}.{j}", tensors) for j, e in enumerate(row["exemplars"]))
    if not pieces:
        raise ValueError(f"no exemplar of {row['key']}")
    return TypeBank(
        key=str(row["key"]), traits=Traits(**row["traits"]), arms={str(k): float(v) for k, v in row["arms"].items()},
        scattered=bool(row["scattered"]), pieces=pieces,
    )  # fmt: skip


def _piece(row: Mapping[str, Any], name: str, tensors: Mapping[str, npt.NDArray[Any]]) -> Piece:
    rgb, mask, residual = (tensors[f"{name}.{part}"] for part in ("rgb", "mask", "residual"))
    size = mask.shape
    fits = rgb.shape == (*size, 3) and residual.shape[:2] == size and residual.shape[2] in (1, 3)
    if not fits or rgb.dtype != np.uint8 or mask.dtype != np.uint8 or residual.dtype != np.float16 or not mask.any():
        raise ValueError(f"{name} has pictures that do not belong together")
    return Piece(
        name=str(row["name"]), image_sha256=str(row["image_sha256"]), mask_sha256=str(row["mask_sha256"]),
        source_size=tuple(row["source_size"]), cut=tuple(row["cut"]), touch=Touch(**row["touch"]),
        share=float(row["share"]), elongation=float(row["elongation"]), rgb=rgb, mask=mask, residual=residual,
    )  # fmt: skip


def _surface(row: Mapping[str, Any], i: int, tensors: Mapping[str, npt.NDArray[Any]]) -> Surface:
    textures: Sequence[U8] = [tensors[f"surface{i}.{j}"] for j in range(row["textures"])]
    return Surface(
        texture=str(row["texture"]), grain=Grain(**row["grain"]), textures=tuple(textures), statistics=row["statistics"]
    )
