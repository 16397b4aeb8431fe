"""PaDiM (Defard et al. 2021): one Gaussian over features for each position, distance of Mahalanobis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.imaging.parallel import ordered_map, worker_count

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Padim:
    """`mean` `[P, d]`, `basis` `[P, r, d]` and `ridge` describe each position's covariance as S = sum over r of
    l u u' + ridge I: its r strongest directions, and the same small variance in all others. The rows of `basis` are
    u sqrt(l / (l + ridge)), so that x' S^-1 x = (|x|^2 - |basis x|^2) / ridge (Woodbury). `channels` `[d]` are the
    feature dimensions that are used. Memory 4 P r d bytes."""

    mean: Float
    basis: Float
    ridge: float
    channels: npt.NDArray[np.int64]

    def distances(self, features: Float) -> Float:
        """Mahalanobis distance of each position: `[P, D]` to `[P]` (the paper's eq. 2). Cost P r d multiplications."""
        if features.shape[0] != self.mean.shape[0]:
            raise ValueError(f"features of {features.shape[0]} positions, the model has {self.mean.shape[0]}")
        centred = features[:, self.channels] - self.mean
        along = np.matmul(self.basis, centred[:, :, None])[:, :, 0]
        squared = np.einsum("pd,pd->p", centred, centred) - np.einsum("pr,pr->p", along, along)
        distance: Float = np.sqrt(np.maximum(squared, 0) / np.float32(self.ridge))
        return distance

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays to store."""
        ridge = np.array([self.ridge], np.float64)
        return {"mean": self.mean, "basis": self.basis, "ridge": ridge, "channels": self.channels}

    @classmethod
    def from_tensors(cls, tensors: dict[str, npt.NDArray[np.generic]]) -> Padim:
        """The inverse of `tensors`; ValueError where they do not belong together."""
        shapes = {name: tensors[name].shape for name in ("mean", "basis", "channels", "ridge")}
        mean, basis = shapes["mean"], shapes["basis"]
        fit = len(mean) == 2 and len(basis) == 3 and (basis[0], basis[2]) == mean and shapes["channels"] == mean[1:]
        if not fit or shapes["ridge"] != (1,):
            raise ValueError(f"mean [P, d], basis [P, r, d], channels [d] and ridge [1] expected, got {shapes}")
        return cls(
            mean=tensors["mean"].astype(np.float32, copy=False),
            basis=tensors["basis"].astype(np.float32, copy=False),
            ridge=float(tensors["ridge"].astype(np.float64)[0]),
            channels=tensors["channels"].astype(np.int64, copy=False),
        )


def choose_channels(dims: int, wanted: int | None, seed: int) -> npt.NDArray[np.int64]:
    """`wanted` of `dims` dimensions at random (section 3.1: as good as PCA), sorted; all for None."""
    if wanted is None or wanted >= dims:
        return np.arange(dims)
    return np.sort(np.random.default_rng(seed).choice(dims, wanted, replace=False))


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What PaDiM needs to know of `count` images: `mean` `[P, d]`, and `scatter` `[P, d, d]`, the sum of
    (x - mean)(x - mean)'; both float64."""

    count: int
    mean: npt.NDArray[np.float64]
    scatter: npt.NDArray[np.float64]


def fit_padim(
    batches: Iterable[Float], channels: npt.NDArray[np.int64], regularization: float, rank: int | None = None
) -> Padim:
    """Fit from batches `[B, P, D]`, each read once. Memory: 8 P d² bytes whatever the number of images."""
    moments = gather_moments(batches, channels)
    if moments.count < 2:
        raise ValueError(f"PaDiM needs at least 2 images, got {moments.count}")
    return padim_from_moments(moments, channels, regularization, rank)


def gather_moments(batches: Iterable[Float], channels: npt.NDArray[np.int64]) -> Moments:
    """The moments of all images in batches `[B, P, D]`, each read once. ValueError without any image.

    Gathered around the first batch's mean and in float64, so that nothing cancels.
    """
    count, shift, total, products = 0, None, None, None
    for batch in batches:
        x = batch[:, :, channels].transpose(1, 0, 2)
        if shift is None or total is None or products is None:
            shift = x.mean(1)
            total = np.zeros(shift.shape)
            products = np.zeros((*shift.shape, len(channels)))
        x = x - shift[:, None, :]
        count += x.shape[1]
        total += x.sum(1, dtype=np.float64)
        products += np.matmul(x.transpose(0, 2, 1), x)
    if shift is None or total is None or products is None or not count:
        raise ValueError("PaDiM needs at least one image, got none")
    offset = total / count
    for position in range(len(products)):  # one at a time: no second full array
        products[position] -= count * np.outer(offset[position], offset[position])
    return Moments(count=count, mean=shift + offset, scatter=products)


def padim_from_moments(
    moments: Moments, channels: npt.NDArray[np.int64], regularization: float, rank: int | None
) -> Padim:
    """The model of `moments`, whose `scatter` is used up.

    Covariance = scatter / (n - 1) + ridge I (eq. 1). ridge is `regularization` times the mean variance of all
    positions and dimensions: the paper's fixed 0.01 means something else for each backbone and each scaling of
    features. Only the `rank` strongest directions keep a variance of their own (None = all): with fewer images than
    dimensions the weak ones are noise, and the model shrinks from P d² to P r d numbers.
    """
    products = moments.scatter
    products /= moments.count - 1
    diagonal = np.arange(len(channels))
    ridge = regularization * max(float(products[:, diagonal, diagonal].mean()), 1e-12)
    kept = min(rank or len(channels), len(channels))
    basis = np.empty((len(products), kept, len(channels)), np.float32)

    def decompose(position: int) -> None:
        values, vectors = np.linalg.eigh(products[position])
        strongest = np.maximum(values[::-1][:kept], 0)
        basis[position] = (vectors[:, ::-1][:, :kept] * np.sqrt(strongest / (strongest + ridge))).T

    for _ in ordered_map(decompose, range(len(products)), worker_count(0)):
        pass
    return Padim(mean=moments.mean.astype(np.float32), basis=basis, ridge=ridge, channels=channels)
