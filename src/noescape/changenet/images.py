"""From a row to arrays of network size: read, register the goldens, resize, lay the lights side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.changenet.augment import Draw, apply
from noescape.changenet.register import register
from noescape.changenet.rows import Files, Row
from noescape.changenet.spec_data import ClassifyData
from noescape.imaging import read_picture, resize_rgb

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedPair:
    """An input uint8 `[H, W, 3]` of network size and its goldens `[G, H, W, 3]`, laid on it."""

    input: U8
    goldens: U8


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Turns rows into arrays. `size` is that of one light (height, width); `grid` how lights lie (rows, columns)."""

    files: Files
    size: tuple[int, int]
    grid: tuple[int, int] = (1, 1)
    registration: str = "auto"

    @classmethod
    def of(cls, data: ClassifyData, images_dir: str | Path, registration: str) -> Loader:
        """From the spec's section."""
        return cls(
            files=Files.of(data, images_dir),
            size=(data.image_height, data.image_width),
            grid=data.grid,
            registration=registration,
        )

    def load(self, row: Row, rng: np.random.Generator | None = None) -> LoadedPair:
        """The pair of `row`. With several goldens, `rng` picks num_golden of them (the first by name without it).

        DataError where a file is missing, ImageError where one cannot be read.
        """
        inputs = [read_picture(path).rgb for path in self.files.inputs(row)]
        chosen = pick(self.files.goldens(row), self.files.num_golden, rng)
        goldens = [
            self._joined([self._laid(read_picture(path).rgb, seen) for path, seen in zip(one, inputs, strict=True)])
            for one in chosen
        ]
        return LoadedPair(input=self._joined(inputs), goldens=np.stack(goldens))

    def native(self, row: Row) -> tuple[list[U8], list[U8]]:
        """The input images and those of the first golden, of each light, as they are: for people's eyes."""
        inputs = [read_picture(path).rgb for path in self.files.inputs(row)]
        goldens = [read_picture(path).rgb for path in self.files.goldens(row)[0]]
        return inputs, goldens

    def paths(self, row: Row) -> tuple[tuple[Path, ...], ...]:
        """Every file that `load` without `rng` reads, the input's first."""
        return self.files.inputs(row), *pick(self.files.goldens(row), self.files.num_golden, None)

    def _laid(self, golden: U8, seen: U8) -> U8:
        if golden.shape != seen.shape:
            golden = resize_rgb(golden, *seen.shape[:2])
        return register(golden, seen, kind=self.registration).golden

    def _joined(self, lights: Sequence[U8]) -> U8:
        """Each light at its size, in rows and columns."""
        parts = [resize_rgb(image, *self.size) for image in lights]
        rows, columns = self.grid
        lines = [np.concatenate(parts[r * columns : (r + 1) * columns], axis=1) for r in range(rows)]
        return np.ascontiguousarray(np.concatenate(lines, axis=0))


def pick(
    found: tuple[tuple[Path, ...], ...], wanted: int, rng: np.random.Generator | None
) -> tuple[tuple[Path, ...], ...]:
    """`wanted` of the goldens: without repeats where there are enough, else some twice."""
    if wanted == 1 or len(found) == wanted:
        return found[:wanted]
    if rng is None:
        return tuple(found[i % len(found)] for i in range(wanted))
    at = rng.choice(len(found), size=wanted, replace=len(found) < wanted)
    return tuple(found[int(i)] for i in at)


def augmented(pair: LoadedPair, drawn: Draw) -> LoadedPair:
    """The pair after one draw, the same for all its images."""
    return LoadedPair(input=apply(drawn, pair.input), goldens=np.stack([apply(drawn, g) for g in pair.goldens]))
