"""One restyling from its inputs to its folder: plan, check all that can be checked, then work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noescape.defects.restyle.config import RestyleConfig
from noescape.defects.restyle.endpoint import Endpoint
from noescape.defects.restyle.engines import EndpointEngine, Engine, fit_local
from noescape.defects.restyle.files import Tree, read_tree
from noescape.defects.restyle.retry import Backoff
from noescape.defects.restyle.transport import origin_of
from noescape.defects.restyle.tree import Result, check_places, open_folder, restyle_tree
from noescape.files import check_folder, sha256_file, sha256_named
from noescape.records import DataError, UsageError

SECONDS_LOCAL = 0.1  # for an image of 512 x 512 on one core
SECONDS_ENDPOINT = 30.0  # a guess; 30 steps of a 20B model were not measured


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done: `engine` in words, `tree`, `photos`, `seconds` (a rough guess)."""

    tree: Tree
    photos: tuple[Path, ...]
    engine: str
    words: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        numbers = {"images": len(self.tree.images), "along": len(self.tree.along), "reference_photos": len(self.photos)}
        return {"engine": self.engine, "words": self.words, **numbers, "seconds_about": round(self.seconds)}


def plan(source: Path, out: Path, config: RestyleConfig, references: Sequence[Path], *, pick: str = "") -> Plan:
    """Look at everything that needs no work: folders, address, photos. UsageError or DataError on what cannot be."""
    check_places(source, out)
    check_folder(out)
    tree = read_tree(source, pick)
    if not tree.images:
        if pick:
            raise DataError(f"{source}: no images to restyle in folders called {pick!r}")
        raise DataError(f"{source}: no images to restyle (masks and other files alone: {len(tree.along)})")
    count = len(tree.images)
    if config.endpoint:
        _, root = origin_of(config.endpoint)
        if references:
            raise UsageError(
                "--reference is for local transfer; with an endpoint the model gives the look: leave one out"
            )
        words = f"image-edit service {root} with model {config.model}, aligned back by mutual information"
        return Plan(tree=tree, photos=(), engine="endpoint", words=words, seconds=count * SECONDS_ENDPOINT)
    photos = tuple(photo for reference in references for photo in _photos(reference))
    words = f"local transfer to {len(photos)} reference photos, no endpoint was given"
    if not photos:
        words = "local transfer to a plain camera (slight blur, some noise; tone and colour stay): neither an endpoint "
        words += "nor reference photos were given"
    return Plan(tree=tree, photos=photos, engine="local", words=words, seconds=5 + count * SECONDS_LOCAL)


def work(
    planned: Plan, out: Path, config: RestyleConfig, *, overwrite: bool, progress: Callable[[int], None]
) -> tuple[Result, list[str]]:
    """Check the service or fit the transfer, then restyle. The result, and the models that the service listed.

    EndpointError before anything is written when the given service is not well or serves another model. A service that
    was given is never replaced by local transfer.
    """
    models: list[str] = []
    engine: Engine
    if planned.engine == "endpoint":
        backoff = Backoff(retry=config.retry, first_s=config.backoff_s, rng=np.random.default_rng(config.seed))
        endpoint = Endpoint(config, backoff)
        models = endpoint.check()
        engine = EndpointEngine(config, endpoint, out)
    else:
        images = [planned.tree.source(name) for name in planned.tree.images]
        digest = sha256_named((photo.name, sha256_file(photo)) for photo in planned.photos) if planned.photos else ""
        engine = fit_local(config, images, planned.photos, digest)
    open_folder(out, engine.identity(), overwrite=overwrite)
    return restyle_tree(planned.tree, out, engine, seed=config.seed, progress=progress), models


def _photos(reference: Path) -> list[Path]:
    """The photos of a folder, or one photo."""
    if reference.is_file():
        return [reference]
    tree = read_tree(reference)
    if not tree.images:
        raise DataError(f"{reference}: no reference photos in it")
    return [reference / name for name in tree.images]
