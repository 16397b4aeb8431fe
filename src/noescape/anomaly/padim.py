"""PaDiM (Defard et al. 2021): one Gaussian over features for each position, distance of Mahalanobis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Padim:
    """`mean` `[P, d]` and `whitening` `[P, d, d]` (lower triangular, W' W = inverse covariance) per position;
    `channels` `[d]` are the feature dimensions that are used. Memory 4 P d² bytes."""

    mean: Float
    whitening: Float
    channels: npt.NDArray[np.int64]

    def distances(self, features: Float) -> Float:
        """Mahalanobis distance of each position: `[P, D]` to `[P]` (the paper's eq. 2). Cost P d² multiplications."""
        if features.shape[0] != self.mean.shape[0]:
            raise ValueError(f"features of {features.shape[0]} positions, the model has {self.mean.shape[0]}")
        centred = features[:, self.channels] - self.mean
        white = np.matmul(self.whitening, centred[:, :, None])[:, :, 0]
        distance: Float = np.sqrt(np.einsum("pd,pd->p", white, white))
        return distance

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays to store."""
        return {"mean": self.mean, "whitening": self.whitening, "channels": self.channels}

    @classmethod
    def from_tensors(cls, tensors: dict[str, npt.NDArray[np.generic]]) -> Padim:
        """The inverse of `tensors`."""
        return cls(
            mean=tensors["mean"].astype(np.float32, copy=False),
            whitening=tensors["whitening"].astype(np.float32, copy=False),
            channels=tensors["channels"].astype(np.int64, copy=False),
        )


def choose_channels(dims: int, wanted: int | None, seed: int) -> npt.NDArray[np.int64]:
    """`wanted` of `dims` dimensions at random (section 3.1: as good as PCA), sorted; all for None."""
    if wanted is None or wanted >= dims:
        return np.arange(dims)
    return np.sort(np.random.default_rng(seed).choice(dims, wanted, replace=False))


def fit_padim(batches: Iterable[Float], channels: npt.NDArray[np.int64], regularization: float) -> Padim:
    """Fit from batches `[B, P, D]`, each read once. Memory: 12 P d² bytes whatever the number of images.

    Covariance = sum of (x - m)(x - m)' / (n - 1) + e I (eq. 1), gathered around the first batch's mean and in float64,
    so that nothing cancels. e is `regularization` times the mean variance of all positions and dimensions: the paper's
    fixed 0.01 means something else for each backbone and each scaling of features.
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
    if shift is None or total is None or products is None or count < 2:
        raise ValueError(f"PaDiM needs at least 2 images, got {count}")
    offset = total / count
    products -= count * offset[:, :, None] * offset[:, None, :]
    products /= count - 1
    diagonal = np.arange(len(channels))
    variances = products[:, diagonal, diagonal]
    products[:, diagonal, diagonal] += regularization * max(float(variances.mean()), 1e-12)
    whitening = np.empty(products.shape, np.float32)
    for position in range(len(products)):  # one at a time: the inverse in float64 needs no second full array
        whitening[position] = np.linalg.inv(np.linalg.cholesky(products[position]))
    return Padim(mean=(shift + offset).astype(np.float32), whitening=whitening, channels=channels)
