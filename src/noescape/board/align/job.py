"""`noescape board align` as a function: read, line up, judge, write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.board.align.config import AlignConfig
from noescape.board.align.files import read_photo, read_render, write_aligned
from noescape.board.align.gate import notices, refusals
from noescape.board.align.lineup import Found, line_up
from noescape.files import sha256_file, write_json
from noescape.files.fresh import UNFINISHED, fresh_folder
from noescape.records import DataError

FOLDER = "aligned"


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """The outcome. `refused`: why it was not taken, or, `forced`, taken nevertheless. `folder` None: none written."""

    found: Found
    refused: tuple[str, ...]
    notices: tuple[str, ...]
    forced: bool
    folder: Path | None
    row: dict[str, Any]


def align_photo(render: Path, photo: Path, out: Path, config: AlignConfig, *, force: bool = False) -> Aligned:
    """Lay `photo` on `render` and write `out/aligned/`; nothing is written where it is refused and not forced.

    `params.json` holds the seven keys of the original, `alignment.json` those and everything else that is known.
    Raises ImageError, DataError (`out/aligned` holds files already).
    """
    folder = out / FOLDER
    if folder.is_dir() and any(folder.iterdir()) and not (folder / UNFINISHED).is_dir():
        raise DataError(f"{folder}: holds an alignment already; name another folder, or remove it")
    sides, picture = read_render(render), read_photo(photo)
    found = line_up(sides.rgb, picture, config)
    refused, told = tuple(refusals(found, config)), list(notices(found))
    if not sides.masks:
        told.append(f"{sides.path.name} has no masks beside it: only pictures are written")
    row = _row(found, config, refused, told, forced=force and bool(refused))
    row |= {"render_sha256": sha256_file(sides.path), "photo_sha256": sha256_file(photo)}
    if refused and not force:
        return Aligned(found=found, refused=refused, notices=tuple(told), forced=False, folder=None, row=row)
    with fresh_folder(folder):
        row["box_xyxy"] = list(write_aligned(folder, sides, picture, found.placed))
        write_json(folder / "params.json", _params(found))
        write_json(folder / "alignment.json", row)
    return Aligned(found=found, refused=refused, notices=tuple(told), forced=bool(refused), folder=folder, row=row)


def _params(found: Found) -> dict[str, float]:
    values = found.placed.pose.to_json() | {"mi_before": found.mi_before, "mi_after": found.mi_after}
    return {key: round(value, 6) for key, value in values.items()}


def _row(
    found: Found, config: AlignConfig, refused: tuple[str, ...], told: list[str], *, forced: bool
) -> dict[str, Any]:
    placed, peak = found.placed, found.peak
    return _params(found) | {
        "coverage": round(found.coverage, 6),
        "sharpness": round(peak.sharpness, 4),
        "agreement": round(peak.agreement, 4) if peak.windows else None,
        "windows": peak.windows,
        "min_mi": config.min_mi,
        "quarter_turns": found.quarter,
        "mirrored": found.mirrored,
        "refused": list(refused),
        "forced": forced,
        "notices": told,
        "render_size": [placed.render[1], placed.render[0]],
        "photo_size": [placed.photo[1], placed.photo[0]],
    }
