"""The CSV of pairs: 14 columns, of which four are mandatory; every problem of a file in one error."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.spec_data import ClassifyData
from noescape.datasets.changenet_write import COLUMNS
from noescape.files import plain_text
from noescape.imaging import is_image_name
from noescape.records import DataError

MANDATORY = COLUMNS[:4]
PASS = "PASS"  # noqa: S105 - the label of a good part
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
SHOWN = 20  # problems of a file that are spelt out


@dataclass(frozen=True, kw_only=True)
class Row:
    """One pair as the CSV has it: `fields` are all its columns as text, in the file's order."""

    number: int
    fields: dict[str, str]

    @property
    def input_path(self) -> str:
        """Folder of the input image, relative to images_dir."""
        return self.fields["input_path"]

    @property
    def golden_path(self) -> str:
        """Folder of the golden."""
        return self.fields["golden_path"]

    @property
    def label(self) -> str:
        """As written: PASS, or the type of the defect."""
        return self.fields["label"]

    @property
    def object_name(self) -> str:
        """Stem of the file, always text (`007` stays `007`)."""
        return self.fields["object_name"]

    @property
    def is_defect(self) -> bool:
        """Everything but PASS, in whatever case and with whatever blanks around it, is a defect."""
        return is_defect(self.label)


def is_defect(label: str) -> bool:
    """Whether a label means NO_PASS."""
    return label.strip().upper() != PASS


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a CSV, in order; every cell is text. DataError lists all that is wrong: columns, labels, names."""
    header, rows = _table(path)
    lacking = [name for name in MANDATORY if name not in header]
    if lacking:
        raise DataError(f"{path}: the columns {', '.join(lacking)} are missing; expected {', '.join(MANDATORY)}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the columns {', '.join(twice)} are there more than once")
    if not rows:
        raise DataError(f"{path}: holds no row of data")
    problems, out = [], []
    for number, cells in enumerate(rows, 1):
        if len(cells) > len(header):
            problems.append(f"row {number}: {len(cells)} cells for {len(header)} columns")
            continue
        fields = dict(zip(header, [*cells, *[""] * (len(header) - len(cells))], strict=True))
        empty = [name for name in MANDATORY if not fields[name].strip()]
        problems += [f"row {number}: {', '.join(empty)} empty"] if empty else []
        out.append(Row(number=number, fields=fields))
    if problems:
        raise DataError(listed(f"{path}: {len(problems)} rows cannot be used:", problems))
    return tuple(out)


def listed(title: str, problems: Sequence[str]) -> str:
    """A title and its first problems, one a line."""
    more = [f"  - … and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n".join([title, *(f"  - {p}" for p in problems[:SHOWN]), *more])


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            lines = [[plain_text(cell) for cell in line] for line in csv.reader(f, strict=True) if line]
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: expected a table (CSV) of pairs, which cannot be read ({reason})") from None
    if not lines:
        raise DataError(f"{path}: is empty; expected the columns {', '.join(MANDATORY)} …")
    return [name.strip() for name in lines[0]], lines[1:]


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the images of rows lie: `root` is images_dir; lights and suffix are those of the spec."""

    root: Path
    lights: tuple[str | None, ...] = (None,)
    ext: str | None = None
    num_golden: int = 1

    @classmethod
    def of(cls, data: ClassifyData, images_dir: str | Path) -> Files:
        """From the spec's section."""
        ext = data.image_ext
        if ext and not ext.startswith("."):
            ext = f".{ext}"
        return cls(root=Path(images_dir), lights=data.lights, ext=ext, num_golden=data.num_golden)

    def inputs(self, row: Row) -> tuple[Path, ...]:
        """The input image for each light. DataError where one is missing or lies outside of `root`."""
        return tuple(self._one(row.input_path, row.object_name, light) for light in self.lights)

    def goldens(self, row: Row) -> tuple[tuple[Path, ...], ...]:
        """The images of each golden: one by the row's own name, or with num_golden > 1 all those in golden_path,
        sorted by name."""
        if self.num_golden == 1:
            return (tuple(self._one(row.golden_path, row.object_name, light) for light in self.lights),)
        found = tuple(self._sets(self._folder(row.golden_path)))
        if not found:
            raise DataError(f"no golden image in {self.root / row.golden_path}")
        return found

    def _sets(self, folder: Path) -> Iterator[tuple[Path, ...]]:
        """Every image in the folder; with lights, every name that is there under all of them."""
        try:
            names = sorted(p for p in folder.iterdir() if is_image_name(p.name))
        except OSError as error:
            raise DataError(f"no folder of goldens {folder} ({error.strerror})") from None
        if self.ext:
            names = [p for p in names if p.suffix == self.ext]
        first = self.lights[0]
        for path in names:
            if first is None:
                yield (path,)
                continue
            if not path.stem.endswith(f"_{first}"):
                continue
            stem = path.stem.removesuffix(f"_{first}")
            whole = tuple(path.with_name(f"{stem}_{light}{path.suffix}") for light in self.lights)
            if all(p.is_file() for p in whole):
                yield whole

    def _folder(self, name: str) -> Path:
        inside = os.path.normpath(name)
        if "\0" in name or Path(name).is_absolute() or Path(inside).parts[:1] == ("..",):
            raise DataError(f"{name!r} leads out of {self.root}")
        return self.root / inside

    def _one(self, folder: str, name: str, light: str | None) -> Path:
        stem = name if light is None else f"{name}_{light}"
        if "/" in name or "\0" in name:
            raise DataError(f"object_name {name!r} is no name of a file")
        place = self._folder(folder)
        if self.ext:
            return _there(place / f"{stem}{self.ext}")
        for suffix in SUFFIXES:
            if (path := place / f"{stem}{suffix}").is_file():
                return path
        raise DataError(f"no image {place / stem} (.jpg, .png, …)")


def _there(path: Path) -> Path:
    try:
        if path.is_file():
            return path
    except (OSError, ValueError) as error:
        raise DataError(f"no file {path} ({error})") from None
    raise DataError(f"no file {path}")


def missing(rows: Sequence[Row], files: Files) -> dict[int, str]:
    """The rows (by their place in `rows`) whose images are not all there, each with its reason."""
    out: dict[int, str] = {}
    for index, row in enumerate(rows):
        try:
            files.inputs(row)
            files.goldens(row)
        except DataError as error:
            out[index] = str(error)
    return out


def refuse_missing(rows: Sequence[Row], files: Files, where: Path | str) -> None:
    """DataError with one list of every row whose images are not there."""
    lost = missing(rows, files)
    if lost:
        problems = [f"row {rows[index].number}: {reason}" for index, reason in lost.items()]
        raise DataError(listed(f"{where}: {len(lost)} of {len(rows)} rows have no image:", problems))
