"""More good images for a model that is fitted, without the images it was fitted on.

PatchCore: the greedy choice of patches goes on from the bank that is there. PaDiM: the moments of the old images come
back from the stored Gaussians and are merged with those of the new ones, as if all had been fitted together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.bundle import Bundle, Tensors
from noescape.anomaly.coreset import greedy_coreset
from noescape.anomaly.detector import PatchCoreScorer, embed
from noescape.anomaly.padim import Moments, Padim, gather_moments, padim_from_moments
from noescape.anomaly.patchcore import BESIDE, PatchCore
from noescape.anomaly.progress import Tell
from noescape.features.neighbours import NearestNeighbours
from noescape.imaging import read_picture
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import DataError, Sample

Float = npt.NDArray[np.float32]
BATCH = 16


def learn_more(bundle: Bundle, samples: Sequence[Sample], tell: Tell) -> tuple[Tensors, dict[str, Any]]:
    """What the bundle's model is after learning `samples` (good, readable): all its arrays, and what was learnt.

    Reads and embeds each image once. Memory: PaDiM 16 P d² bytes, PatchCore the patches within its memory budget.
    """
    features = _features(bundle, samples, tell)
    model, config = bundle.model, bundle.config.model
    if isinstance(model, PatchCoreScorer):
        kept = (f if mask is None else f[mask] for f, mask in features)
        core, read = extend_bank(
            model.core,
            kept,
            ratio=config.coreset_sampling_ratio,
            num_neighbors=config.num_neighbors,
            memory_budget_mb=config.memory_budget_mb,
        )
        said = {"patches": read, "bank_before": len(model.core.bank), "bank_after": len(core.bank)}
        return {**bundle.tensors, **core.tensors()}, said
    padim: Padim = model.padim  # type: ignore[attr-defined]
    known = int(bundle.meta["good_images"])
    fresh = gather_moments(_stacks(f for f, _ in features), padim.channels)
    old = recover_moments(padim, known, config.regularization)
    exact = padim.basis.shape[1] >= min(known - 1, padim.basis.shape[2])
    merged = padim_from_moments(merge_moments(old, fresh), padim.channels, config.regularization, config.rank)
    said = {"patches": fresh.count * len(padim.mean), "images": known + fresh.count, "exact": exact}
    return {**bundle.tensors, **merged.tensors()}, said


def extend_bank(
    core: PatchCore, batches: Iterable[Float], *, ratio: float, num_neighbors: int, memory_budget_mb: int
) -> tuple[PatchCore, int]:
    """The bank of `core` with `ratio` of the new patches (batches `[n, D]`) added, and how many new patches there were.

    Those are added that lie farthest from all that is in the bank, one after the other: the greedy rule of fitting,
    gone on with. A patch equal to one that is there is never added. Where bank and new patches do not fit into the
    budget together, they are taken in parts, each with its own share.
    """
    bank, read, due = core.bank, 0, 0.0
    waiting: list[Float] = []
    for batch in batches:
        one = 4 * batch.shape[1]  # those that wait are there twice: as they came, and beside the bank
        limit = (memory_budget_mb * 2**20 - len(bank) * (one + BESIDE)) // (2 * one + BESIDE)
        if waiting and sum(map(len, waiting)) + len(batch) > limit:
            bank, due = _add(bank, waiting, due, ratio)
            waiting = []
        waiting.append(batch)
        read += len(batch)
    if not read:
        raise DataError("the region of interest covers no patch of any new image")
    least = 1 - sum(map(len, waiting)) * ratio if len(bank) == len(core.bank) else 0.0  # however few, at least one
    bank, _ = _add(bank, waiting, max(due, least), ratio)
    _, kin = NearestNeighbours(bank).search(bank, num_neighbors)
    return PatchCore(bank=bank, kin=kin), read


def _add(bank: Float, patches: Sequence[Float], due: float, ratio: float) -> tuple[Float, float]:
    """The bank with the share of `patches` that is due; what remains due is carried on."""
    due += sum(map(len, patches)) * ratio
    count = int(due + 1e-9)
    pool = np.concatenate([bank, *patches])
    chosen = greedy_coreset(pool, len(bank) + count, given=len(bank))[len(bank) :]
    fresh = chosen[chosen >= len(bank)]  # rows of the bank come up again only when nothing new is left
    return np.concatenate([bank, pool[fresh]]), due - count


def recover_moments(padim: Padim, count: int, regularization: float) -> Moments:
    """The moments of the `count` images that `padim` was fitted on.

    A row b of the basis has |b|² = l / (l + ridge), which gives back l. Exact to rounding where the basis holds every
    direction that the images had (count - 1 at most). Of directions that were dropped only the mean variance is known,
    from the ridge; it is spread evenly over them.
    """
    positions, rank, dims = padim.basis.shape
    basis = padim.basis.astype(np.float64)
    share = np.minimum(np.einsum("prd,prd->pr", basis, basis), 1 - 1e-9)
    variance = padim.ridge * share / (1 - share)
    dropped = 0.0
    if rank < min(dims, count - 1):
        total = padim.ridge / regularization * positions * dims
        dropped = max(0.0, total - float(variance.sum())) / (positions * (dims - rank))
    weight = np.divide(variance - dropped, share, out=np.zeros_like(share), where=share > 1e-12)
    scatter = np.empty((positions, dims, dims))
    for p in range(positions):
        scatter[p] = (basis[p].T * weight[p]) @ basis[p]
        scatter[p].flat[:: dims + 1] += dropped
        scatter[p] *= count - 1
    return Moments(count=count, mean=padim.mean.astype(np.float64), scatter=scatter)


def merge_moments(a: Moments, b: Moments) -> Moments:
    """The moments of the images of both; uses up the scatter of `a`."""
    count = a.count + b.count
    apart = b.mean - a.mean
    for p in range(len(a.scatter)):
        a.scatter[p] += b.scatter[p] + np.outer(apart[p], apart[p]) * (a.count * b.count / count)
    return Moments(count=count, mean=a.mean + apart * (b.count / count), scatter=a.scatter)


def merge_appearance(old: dict[str, Any], n_old: int, new: dict[str, Any], n_new: int) -> dict[str, Any]:
    """Two results of `unlike.summarise` as one, over all images of both."""
    n = n_old + n_new
    measures = {}
    for name, a in old["measures"].items():
        b = new["measures"][name]
        mean = (a["mean"] * n_old + b["mean"] * n_new) / n
        square = (n_old * (a["std"] ** 2 + a["mean"] ** 2) + n_new * (b["std"] ** 2 + b["mean"] ** 2)) / n
        measures[name] = {
            "low": min(a["low"], b["low"]),
            "high": max(a["high"], b["high"]),
            "mean": round(mean, 4),
            "std": round(max(0.0, square - mean**2) ** 0.5, 4),
        }
    sizes = {k: [min(v[0], new["sizes"][k][0]), max(v[1], new["sizes"][k][1])] for k, v in old["sizes"].items()}
    return {**old, "sizes": sizes, "bits": sorted({*old["bits"], *new["bits"]}), "measures": measures}


def _features(
    bundle: Bundle, samples: Sequence[Sample], tell: Tell
) -> Iterator[tuple[Float, npt.NDArray[np.bool_] | None]]:
    """Features `[T * P, D]` of each image, and which of its patches lie in the region of interest (None: all)."""
    workers = worker_count(bundle.config.data.num_workers)
    view, embedder = bundle.view, bundle.embedder(workers, None, "cpu")
    read = partial(read_picture, max_pixels=bundle.config.data.max_pixels, white_level=bundle.meta["white_level"])

    def one(sample: Sample) -> tuple[Float, npt.NDArray[np.bool_] | None]:
        rgb = read(sample.image).rgb
        return embed(view, embedder, rgb), view.kept_patches(*rgb.shape[:2])

    step = tell("learning new good images", len(samples))
    for number, result in enumerate(ordered_map(one, samples, workers), 1):
        yield result
        step(number)


def _stacks(features: Iterable[Float]) -> Iterator[Float]:
    batch: list[Float] = []
    for one in features:
        batch.append(one)
        if len(batch) == BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
