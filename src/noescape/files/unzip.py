"""Unpack a zip that came from outside: nothing leaves its folder, and nothing grows without end."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noescape.files.paths import contained
from noescape.records import DataError, PathEscapeError

_CHUNK = 1 << 20
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class ZipLimits:
    """What an archive may hold: `entries`, bytes in all, and bytes over those of the archive itself beyond `slack`."""

    entries: int = 200_000
    total_bytes: int = 32 << 30
    ratio: float = 20.0
    slack_bytes: int = 256 << 20

    def most(self, packed: int) -> int:
        """Bytes that an archive of `packed` bytes may become."""
        return int(min(self.total_bytes, self.ratio * packed + self.slack_bytes))


def unzip(
    archive: Path, dest: Path, *, wanted: Callable[[str], bool] = lambda name: True, limits: ZipLimits | None = None
) -> list[str]:
    """Unpack the entries that `wanted` picks by name into the folder `dest`; their names, sorted.

    Everything is looked at before anything is written: DataError lists names that lead out of `dest` (absolute, `..`,
    drives, backslashes), links and other things that are no file, encrypted entries, names given twice (also in other
    case), and an archive that says it would grow beyond `limits`. What really comes out is counted too, since sizes in
    an archive are only claims. DataError for what is no zip or is damaged. Memory: 1 MiB.
    """
    limits = limits or ZipLimits()
    try:
        with zipfile.ZipFile(archive) as opened:
            picked = _checked(archive, opened, dest, wanted, limits)
            left = limits.most(archive.stat().st_size)
            for entry, target in picked:
                left -= _unpack(opened, entry, target, left, archive)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{archive}: expected a zip, which cannot be unpacked ({error}); copy it again") from None
    except FileNotFoundError:
        raise DataError(f"{archive}: no such file") from None
    return sorted(entry.filename for entry, _ in picked)


def _checked(
    archive: Path, opened: zipfile.ZipFile, dest: Path, wanted: Callable[[str], bool], limits: ZipLimits
) -> list[tuple[zipfile.ZipInfo, Path]]:
    entries = opened.infolist()
    if len(entries) > limits.entries:
        raise DataError(f"{archive}: holds {len(entries)} entries, at most {limits.entries} are unpacked")
    problems: list[str] = []
    picked: list[tuple[zipfile.ZipInfo, Path]] = []
    seen: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        problem = _problem(entry, dest)
        if problem is None and not entry.is_dir() and wanted(entry.filename):
            other = seen.setdefault(entry.filename.casefold(), entry)
            problem = None if other is entry else f"{entry.filename!r}: is there twice ({other.filename!r})"
            picked.append((entry, dest / entry.filename))
        problems += [problem] if problem else []
    most, said = limits.most(archive.stat().st_size), sum(entry.file_size for entry, _ in picked)
    if said > most:
        problems.append(f"would become {said} bytes, at most {most} are unpacked from an archive of this size")
    if problems:
        more = [f"  - … and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        lines = [f"{archive} is not unpacked:", *(f"  - {p}" for p in problems[:_SHOWN]), *more]
        raise DataError("\n".join(lines))
    return picked


def _problem(entry: zipfile.ZipInfo, dest: Path) -> str | None:
    name, mode = entry.filename, entry.external_attr >> 16
    try:
        if "\\" in entry.orig_filename:
            return f"{name!r}: a backslash in a name"
        contained(dest, name)
    except PathEscapeError as error:
        return str(error)
    if entry.flag_bits & 1:
        return f"{name!r}: is encrypted"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{name!r}: is a link or a device, no file"
    return None


def _unpack(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int, archive: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with opened.open(entry) as packed, target.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            count += len(chunk)
            if count > left:
                out.close()
                target.unlink()
                raise DataError(f"{archive}: {entry.filename!r} grows beyond what its size says; unpacking was stopped")
            out.write(chunk)
    return count
