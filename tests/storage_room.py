"""Small folders for tests of storage: made from a seed, compared byte by byte, checked against their store."""

from __future__ import annotations

import random
from pathlib import Path

from noescape.flow.storage import Store
from noescape.flow.storage.names import is_own

NAMES = ("a.txt", "img/0001.png", "img/ü ' \".png", "img/deep/er/x.bin", "empty", "日本/b.csv")


def fill(folder: Path, seed: int, *, most: int = 20_000, names: tuple[str, ...] = NAMES) -> dict[str, bytes]:
    """Write files of random sizes and contents; what each path holds."""
    rng = random.Random(seed)
    files = {name: b"" if name == "empty" else rng.randbytes(rng.randrange(1, most)) for name in names}
    write(folder, files)
    return files


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write these files under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def content(folder: Path) -> dict[str, bytes]:
    """What the files under `folder` hold; all of them, also those of noescape itself."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def data(folder: Path) -> dict[str, bytes]:
    """The same without what noescape keeps beside the data."""
    found = content(folder) if folder.exists() else {}
    return {path: held for path, held in found.items() if not any(map(is_own, path.split("/")))}


def fetched(store: Store, dest: Path) -> dict[str, bytes]:
    """What the store gives, by way of an empty folder."""
    store.download(dest)
    return content(dest)
