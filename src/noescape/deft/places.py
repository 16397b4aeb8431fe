"""Where things lie in a workspace, and the path rules of its CSVs: every path starts at the workspace, none leaves it.

Training rows are read with the workspace itself as images folder; KPI, validation and blind rows with kpi/images.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from noescape.changenet.rows import Files, Row
from noescape.changenet.spec import ClassifyData
from noescape.deft.hardstop import HardStop
from noescape.records import DataError, ImageError

KPI_IMAGES = "kpi/images"
POOL = "augmentation/mining_pool"
POOL_CSV = f"{POOL}/mining_pool.csv"
PREGEN = "augmentation/anomalygen"
DECISIONS = "labels/decisions.jsonl"


def checked_name(name: str, what: str) -> str:
    """A relative posix path that stays where it starts, tidied. HardStop path_rule otherwise."""
    windows = PureWindowsPath(name)
    tidy = posixpath.normpath(name) if name else "."
    outside = name.startswith(("/", "~")) or windows.drive or windows.root or "\\" in name or "\0" in name
    if outside or tidy == ".." or tidy.startswith("../"):
        raise HardStop(
            "path_rule",
            f"{what}: {name!r} leads out of the workspace; write it relative to its images folder, without ..",
        )
    return tidy


def joined(*parts: str) -> str:
    """Relative posix parts as one path, tidied."""
    return posixpath.normpath(posixpath.join(*parts))


def shown(path: Path, workspace: Path | None) -> str:
    """`path` relative to the workspace where it lies in it, else absolute as given; posix."""
    if workspace is not None:
        for one, home in ((path, workspace), (path.resolve(), workspace.resolve())):
            if one.is_relative_to(home):
                return one.relative_to(home).as_posix()
    return path.as_posix()


def reason(error: Exception, workspace: Path | None) -> str:
    """The words of an error, with places named from the workspace: the same wherever it lies."""
    text = str(error.reason) if isinstance(error, ImageError) else str(error)
    return text if workspace is None else text.replace(f"{workspace}/", "").replace(f"{workspace.resolve()}/", "")


def at(workspace: Path | None, name: str | Path) -> Path:
    """The file or folder `name`: absolute as it is, else inside the workspace (or the working directory)."""
    path = Path(name)
    return path if path.is_absolute() or workspace is None else workspace / path


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of a CSV: `files` finds them; names come out relative to `workspace`."""

    files: Files
    workspace: Path | None

    @classmethod
    def of(cls, data: ClassifyData, images_dir: str | Path, workspace: Path | None) -> Images:
        """With the lights and the suffix of a spec; a relative `images_dir` starts at the workspace."""
        return cls(files=Files.of(data, at(workspace, images_dir)), workspace=workspace)

    def key(self, row: Row) -> str:
        """What names the input image whatever CSV it is in: its path in the workspace without suffix (first light)."""
        light = self.files.lights[0]
        stem = row.object_name if light is None else f"{row.object_name}_{light}"
        return posixpath.normpath(posixpath.join(shown(self.files.root, self.workspace), row.input_path, stem))

    def names(self, row: Row) -> tuple[str, ...]:
        """The input image of each light, relative to the workspace; where one is missing, what it should be called."""
        try:
            return tuple(shown(path, self.workspace) for path in self.files.inputs(row))
        except DataError:
            folder = posixpath.join(shown(self.files.root, self.workspace), row.input_path)
            stems = (row.object_name if light is None else f"{row.object_name}_{light}" for light in self.files.lights)
            return tuple(posixpath.normpath(posixpath.join(folder, stem + (self.files.ext or ""))) for stem in stems)

    def input(self, row: Row) -> Path:
        """The input image under the first light. DataError where it is not there."""
        return self.files.inputs(row)[0]

    def golden(self, row: Row) -> Path:
        """The (first) golden under the first light. DataError where it is not there."""
        return self.files.goldens(row)[0][0]


def base_fields(fields: dict[str, str], where: str) -> dict[str, str]:
    """A row of train/base/training_set.csv as a training row: its paths start at kpi/images."""
    return fields | {
        side: joined(KPI_IMAGES, checked_name(fields[side], f"{where}, {side}"))
        for side in ("input_path", "golden_path")
    }


def pool_fields(fields: dict[str, str], workspace: Path, where: str) -> dict[str, str]:
    """A row of mining_pool.csv as a training row.

    Its input_path may name a file (then its folder counts) and starts at augmentation/mining_pool; its golden_path
    starts at kpi/images, or where that folder is not there, at augmentation/mining_pool too.
    """
    given = checked_name(fields["input_path"], f"{where}, input_path")
    folder = _folder_of(given)
    golden = _folder_of(checked_name(fields["golden_path"], f"{where}, golden_path"))
    documented, beside = joined(KPI_IMAGES, golden), joined(POOL, golden)
    here = documented if (workspace / documented).is_dir() or not (workspace / beside).is_dir() else beside
    return fields | {"input_path": joined(POOL, folder), "golden_path": here}


def _folder_of(name: str) -> str:
    path = PurePosixPath(name)
    is_file = path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
    return path.parent.as_posix() if is_file else name
