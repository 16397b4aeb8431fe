"""PaDiM against the textbook: explicit covariances, scipy's Mahalanobis distance, any order of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from noescape.anomaly.padim import Padim, choose_channels, fit_padim

P, D, N = 6, 10, 40
RIDGE = 0.01


def images(n: int = N, seed: int = 0, d: int = D) -> Any:
    """`[n, P, d]`: each position with a mean, and a mixing of its own so that dimensions are correlated."""
    rng = np.random.default_rng(seed)
    where = np.random.default_rng(99)
    mixing, mean = where.normal(size=(P, d, d)), where.normal(size=(P, d)) * 3
    return (mean + np.einsum("pde,npe->npd", mixing, rng.normal(size=(n, P, d)))).astype(np.float32)


def explicit(x: Any, rank: int | None) -> tuple[Any, Any]:
    """Means, and covariances as they are written: S = sum over the strongest of l u u' + ridge I."""
    x = x.astype(np.float64)
    raw = np.stack([np.cov(x[:, p], rowvar=False) for p in range(x.shape[1])])
    ridge = RIDGE * np.mean([np.diag(s).mean() for s in raw])
    out = []
    for s in raw:
        if rank is not None:
            values, vectors = np.linalg.eigh(s)
            keep = np.argsort(values)[::-1][:rank]
            s = sum(values[k] * np.outer(vectors[:, k], vectors[:, k]) for k in keep)
        out.append(s + ridge * np.eye(x.shape[2]))
    return x.mean(0), np.stack(out)


@pytest.mark.parametrize("rank", [None, 1, 3, D, D + 5])
def test_distances_are_mahalanobis_distances(rank: int | None) -> None:
    x = images()
    padim = fit_padim(iter([x]), np.arange(D), RIDGE, rank)
    mean, covariance = explicit(x, rank)
    for new in (*x[:5], *images(5, seed=1), *(3 * images(5, seed=2))):
        got = padim.distances(new)
        want = [mahalanobis(new[p], mean[p], np.linalg.inv(covariance[p])) for p in range(P)]
        np.testing.assert_allclose(got, want, rtol=2e-3)


def test_fewer_images_than_dimensions_still_give_the_textbook_distance() -> None:
    """What the 256 images of a usual training set are to hundreds of dimensions."""
    x = images(4)
    padim = fit_padim(iter([x]), np.arange(D), RIDGE)
    mean, covariance = explicit(x, None)
    new = images(1, seed=5)[0]
    want = [mahalanobis(new[p], mean[p], np.linalg.inv(covariance[p])) for p in range(P)]
    np.testing.assert_allclose(padim.distances(new), want, rtol=2e-3)


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [39], [16, 32], [*range(1, 40)]])
def test_batches_may_be_cut_anywhere(cuts: list[int]) -> None:
    x = images()
    whole = fit_padim(iter([x]), np.arange(D), RIDGE)
    parts = fit_padim(iter(np.split(x, cuts)), np.arange(D), RIDGE)
    new = images(1, seed=4)[0] * 2
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(parts.ridge, whole.ridge, rtol=1e-5)
    np.testing.assert_allclose(parts.distances(new), whole.distances(new), rtol=1e-3)


def test_a_far_off_mean_costs_no_accuracy() -> None:
    """Variance 1 around 1,000: the naive sum of squares in float32 would lose it."""
    x = images()
    near, far = (fit_padim(iter(np.split(v, 4)), np.arange(D), RIDGE) for v in (x, x + np.float32(1000)))
    new = images(1, seed=3)[0]
    np.testing.assert_allclose(far.distances(new + np.float32(1000)), near.distances(new), rtol=2e-2)


def test_random_channels_are_the_seeds_and_the_rest_is_not_looked_at() -> None:
    channels = choose_channels(D, 4, seed=42)
    assert channels.tolist() == choose_channels(D, 4, seed=42).tolist() == sorted({*channels.tolist()})
    assert len(channels) == 4 and channels.tolist() != choose_channels(D, 4, seed=43).tolist()
    x = images()
    padim = fit_padim(iter([x]), channels, RIDGE)
    alone = fit_padim(iter([x[:, :, channels]]), np.arange(4), RIDGE)
    new = images(1, seed=6)[0]
    np.testing.assert_array_equal(padim.distances(new), alone.distances(new[:, channels]))
    other = new.copy()
    other[:, np.setdiff1d(np.arange(D), channels)] = 1e6
    np.testing.assert_array_equal(padim.distances(other), padim.distances(new))


@pytest.mark.parametrize("wanted", [None, D, D + 1])
def test_all_channels_where_no_fewer_are_wanted(wanted: int | None) -> None:
    assert choose_channels(D, wanted, 0).tolist() == [*range(D)]


def test_a_position_that_never_changes_is_no_trouble() -> None:
    x = images()
    x[:, 2] = x[0, 2]
    padim = fit_padim(iter([x[:16], x[16:]]), np.arange(D), RIDGE)
    good = padim.distances(x[0])
    assert np.isfinite(good).all() and good[2] == pytest.approx(0, abs=1e-3)
    moved = x[0].copy()
    moved[2] += 1
    assert padim.distances(moved)[2] == pytest.approx(np.sqrt(D / padim.ridge), rel=1e-3)


def test_images_that_are_all_the_same_give_finite_distances() -> None:
    x = np.repeat(images(1), 5, axis=0)
    padim = fit_padim(iter([x]), np.arange(D), RIDGE)
    assert np.isfinite(padim.distances(x[0])).all() and np.isfinite(padim.distances(x[0] + 1)).all()


def test_arrays_go_there_and_back() -> None:
    padim = fit_padim(iter([images()]), choose_channels(D, 5, 1), RIDGE, 3)
    again = Padim.from_tensors(padim.tensors())
    new = images(1, seed=8)[0]
    np.testing.assert_array_equal(again.distances(new), padim.distances(new))


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    good = fit_padim(iter([images()]), np.arange(D), RIDGE, 3).tensors()
    for name, other in (("mean", good["mean"][:2]), ("basis", good["basis"][0]), ("channels", good["channels"][1:])):
        with pytest.raises(ValueError, match="expected"):
            Padim.from_tensors({**good, name: other})


def test_one_image_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        fit_padim(iter([images(1)]), np.arange(D), RIDGE)


def test_another_number_of_positions_is_refused() -> None:
    padim = fit_padim(iter([images()]), np.arange(D), RIDGE)
    with pytest.raises(ValueError, match="features of 5 positions, the model has 6"):
        padim.distances(images(1)[0][:5])
