"""Which image lies where in the AnomalyGen layout, and what lies where nothing should; nothing is decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noescape.datasets.folder import find_images, printable
from noescape.records import ImageError

TYPED = ("anomaly_image", "mask")  # with a folder for each type
FOLDERS = (*TYPED, "clean_image", "cad_mask")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """`where` (a path inside the data set) and `what` is wrong with it; `code` is a short stable word for programs.

    `fatal` problems make the data set unusable as it is; the others are worth a look.
    """

    code: str
    where: str
    what: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Teller:
    """Notes a problem; paths become printable."""

    def __init__(self, found: list[Problem]) -> None:
        self._found = found

    def within(self, root: Path) -> Callable[[str, Path, str, bool], None]:
        """One that takes paths, and names those under `root` relative to it."""

        def tell(code: str, path: Path, what: str, fatal: bool) -> None:
            inside = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
            self(code, inside, what, fatal)

        return tell

    def __call__(self, code: str, where: str, what: str, fatal: bool = True) -> None:
        """Note it."""
        self._found.append(Problem(code=code, where=printable(where), what=printable(what), fatal=fatal))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Images by texture, folder and type ("" for folders without types); `loose` ones lie in no texture's folder."""

    root: Path
    textures: frozenset[str]
    files: dict[str, dict[str, dict[str, list[Path]]]]
    loose: list[Path]


def read_layout(root: Path, tell: Teller, *, clean: bool = False) -> Layout:
    """Find every image below `root`. With `clean` images straight in `<root>/<TEXTURE>/` count as clean ones, and no
    folder is expected to hold examples."""
    refused: list[ImageError] = []
    files: dict[str, dict[str, dict[str, list[Path]]]] = {}
    loose: list[Path] = []
    for key, path in find_images(root, refused):
        folders = path.relative_to(root).parts[:-1]
        texture, folder = (*folders, "", "")[:2]
        rest = folders[2:]
        if clean and texture and not folder:
            folder = "clean_image"
        if folder not in FOLDERS:
            loose += [path] if not texture else []
            continue
        here = files.setdefault(texture, {name: defaultdict(list) for name in FOLDERS})
        typed = folder in TYPED
        if len(rest) != int(typed):
            shape = f"{texture}/{folder}/{'<TYPE>/' if typed else ''}<file>"
            tell("misplaced", key, f"expected {shape}")
            continue
        here[folder][rest[0] if rest else ""].append(path)
    for row in refused:
        tell(row.code, row.path.relative_to(root).as_posix(), row.reason)
    textures = [] if clean else texture_folders(root)
    for texture in sorted(textures):
        files.setdefault(texture, {name: defaultdict(list) for name in FOLDERS})
        if "+" in texture:
            tell("texture_name", texture, "the name of a texture must not hold '+', which parts it from the type")
    return Layout(root=root, textures=frozenset(textures), files=files, loose=loose)


def texture_folders(root: Path) -> list[str]:
    """Folders that hold examples or masks of them; empty ones count, so that what is missing is told."""
    here = [p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return [p.name for p in here if (p / "anomaly_image").is_dir() or (p / "mask").is_dir()]


def by_stem_of(root: Path, paths: list[Path], tell: Teller) -> dict[str, Path]:
    """The paths by their names without suffix; a second one of the same stem is told and left out."""
    out: dict[str, Path] = {}
    for path in sorted(paths):
        if path.stem in out:
            where = path.relative_to(root).as_posix()
            tell("same_stem", where, f"differs from {out[path.stem].name} in its suffix alone; rename one")
        else:
            out[path.stem] = path
    return out
