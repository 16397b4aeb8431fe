"""The one interface of all generators: learn a checkpoint from a data set, then draw one defect per test case."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from noescape.datasets.anomalygen import AnomalyGenDataset
from noescape.defects.generators.recipe import Recipe
from noescape.defects.placement.testcase import TestCase
from noescape.records import Box, UsageError

if TYPE_CHECKING:
    from noescape.defects.quality.judge import Example

U8 = npt.NDArray[np.uint8]
OnStep = Callable[[int, int], None]  # steps done, steps in all

# Name of the generator -> module and class. A module is imported when it is asked for.
GENERATORS = {
    "exemplar": ("noescape.defects.generators.exemplar.generator", "ExemplarGenerator", None),
    "diffusion": ("noescape.defects.generators.diffusion.generator", "DiffusionGenerator", "diffusion"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """One defect picture.

    `image` and `clean` RGB uint8 [H, W, 3] differ only where the (slightly widened) `mask` uint8 0/255 [H, W] is;
    `instances` are the connected parts of the mask as (box, type), largest first;
    `provenance` is plain data; `change` float32 [H, W] >= 0 where a generator knows it better than the difference.
    """

    image: U8
    mask: U8
    clean: U8
    instances: tuple[tuple[Box, str], ...]
    provenance: dict[str, Any]
    change: npt.NDArray[np.float32] | None = None


class Generator(Protocol):
    """What `noescape defects finetune` and `generate` need of a generator.

    `types` are the keys "TEXTURE+TYPE" that it can draw. `parallel` says whether `infer` may run in several threads.
    """

    name: ClassVar[str]
    parallel: ClassVar[bool]

    @property
    def types(self) -> tuple[str, ...]:
        """The keys that it can draw."""
        ...

    @classmethod
    def finetune(cls, dataset: AnomalyGenDataset, recipe: Recipe, output: Path, on_step: OnStep) -> Path:
        """Learn from `dataset`; returns the folder of the newest step, under `<output>/checkpoints/model`."""
        ...

    @classmethod
    def load(cls, step: Path) -> Self:
        """Open the folder of one step. BundleError when it is not whole."""
        ...

    @property
    def examples(self) -> Callable[[], Iterable[Example]] | None:
        """Real defects that pictures can be scored against, where the checkpoint keeps any."""
        ...

    def infer(self, case: TestCase, rng: np.random.Generator) -> Generated:
        """Draw one picture; everything random comes from `rng`. ImageError or DataError cost this row alone."""
        ...


def generator_class(name: str) -> type[Generator]:
    """The class called `name`; UsageError where there is none, or where what it needs is not installed."""
    if name not in GENERATORS:
        raise UsageError(f"generator {name!r}: expected one of {', '.join(GENERATORS)}")
    module, attribute, extra = GENERATORS[name]
    try:
        found: type[Generator] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        how = f"install noescape[{extra}]" if extra else "install noescape again"
        raise UsageError(f"the {name} generator is not installed here (no module {error.name}): {how}") from None
    return found
