"""PatchCore against its paper written out, and its memory budget against a measurement."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from noescape.anomaly.coreset import greedy_coreset
from noescape.anomaly.patchcore import PatchCore, fit_patchcore
from noescape.features.neighbours import NearestNeighbours
from noescape.records import WorkError


def fit(x: Any, parts: int = 3, *, ratio: float = 0.2, neighbors: int = 4, budget: int = 64) -> PatchCore:
    return fit_patchcore(
        iter(np.array_split(x, parts)), total=len(x), ratio=ratio, num_neighbors=neighbors, memory_budget_mb=budget
    )


def normal(n: int, d: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def textbook_score(bank: Any, patches: Any, b: int) -> float:
    """Equations 6 and 7 of the paper in float64: s = (1 - e^|m-m*| / sum over N_b(m*) of e^|m-n|) |m-m*|."""
    bank, patches = bank.astype(np.float64), patches.astype(np.float64)
    apart = np.linalg.norm(patches[:, None] - bank[None], axis=2)
    worst = int(apart.min(1).argmax())
    nearest = int(apart[worst].argmin())
    s = apart[worst, nearest]
    kin = np.argsort(np.linalg.norm(bank - bank[nearest], axis=1), kind="stable")[:b]
    return float((1 - np.exp(s) / np.exp(apart[worst, kin]).sum()) * s)


def test_distances_are_those_of_brute_force() -> None:
    core, queries = fit(normal(400, 12)), normal(200, 12, 1) * 2
    apart = np.linalg.norm(queries[:, None].astype(np.float64) - core.bank[None].astype(np.float64), axis=2)
    distance, row = core.distances(queries)
    np.testing.assert_allclose(distance, apart.min(1), rtol=1e-4)
    assert (row == apart.argmin(1)).all()


@pytest.mark.parametrize("b", [2, 3, 9, 50])
@pytest.mark.parametrize("seed", range(3))
def test_the_image_score_is_equation_7(b: int, seed: int) -> None:
    core = fit(normal(300, 8), neighbors=b)
    patches = normal(60, 8, 10 + seed) * 1.5
    distance, row = core.distances(patches)
    worst = int(distance.argmax())
    score = core.reweight(patches[worst], float(distance[worst]), int(row[worst]))
    assert score == pytest.approx(textbook_score(core.bank, patches, b), rel=1e-4)


def test_far_away_patches_do_not_overflow() -> None:
    core = fit(normal(100, 6))
    far = np.full((1, 6), 1e4, np.float32)
    distance, row = core.distances(far)
    assert np.isfinite(core.reweight(far[0], float(distance[0]), int(row[0])))


@pytest.mark.parametrize(("neighbors", "count"), [(1, 30), (9, 1)])
def test_without_neighbours_the_score_is_the_distance(neighbors: int, count: int) -> None:
    core = fit(normal(30, 5), ratio=count / 30, neighbors=neighbors)
    assert core.reweight(normal(1, 5, 9)[0], 1.25, 0) == 1.25


def test_where_all_fits_the_bank_is_the_exact_coreset_however_it_comes() -> None:
    x = normal(700, 10)
    whole = x[greedy_coreset(x, 140)]
    for parts in (1, 2, 7, 350):
        np.testing.assert_array_equal(fit(x, parts).bank, whole)


def test_identical_patches_make_a_bank_all_the_same() -> None:
    core = fit(np.full((50, 6), 0.5, np.float32))
    distance, row = core.distances(np.full((3, 6), 0.5, np.float32))
    score = core.reweight(np.full(6, 0.5, np.float32), float(distance[0]), int(row[0]))
    assert distance.max() < 1e-3 and np.isfinite(score)


BUDGET_MB, WORKING_MB = 32, 32


def streamed(n: int, d: int, batch: int) -> Iterator[Any]:
    """Clustered patches in batches that are forgotten, as they come from a cache on disk."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, d)).astype(np.float32) * 5
    for begin in range(0, n, batch):
        size = min(batch, n - begin)
        yield centres[rng.integers(0, 40, size)] + rng.normal(size=(size, d)).astype(np.float32)


@pytest.mark.parametrize("batch", [500, 120000])
def test_the_memory_budget_is_kept(batch: int) -> None:
    """120,000 x 128 patches are 61 MB: more than the budget. A batch that is larger than the budget is its owner's
    memory; what comes on top of it stays within the budget too."""
    n, d = 120000, 128
    tracemalloc.start()
    try:
        core = fit_patchcore(
            streamed(n, d, batch), total=n, ratio=0.005, num_neighbors=2, memory_budget_mb=BUDGET_MB
        )  # fmt: skip
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert core.bank.shape == (600, d)
    owners = 3 * 4 * batch * d  # the batch, and what the generator above needs to make it
    assert peak < (BUDGET_MB + WORKING_MB) * 2**20 + owners


@pytest.mark.parametrize("ratio", [0.01, 0.2])
def test_all_of_the_budget_is_used(ratio: float) -> None:
    """As long as all patches and those chosen fit, with 16 bytes of bookkeeping a row, the choice is the exact one;
    with one MB less it is not. So no room is kept for a copy that nobody makes."""
    n, d = 20000, 64
    x = np.concatenate([*streamed(n, d, 4000)])
    fits = -(-(n * (4 * d + 16) + int(n * ratio) * 4 * d) // 2**20)
    exact = x[greedy_coreset(x, int(n * ratio))]
    assert np.array_equal(fit(x, 10, ratio=ratio, budget=fits).bank, exact)
    assert not np.array_equal(fit(x, 10, ratio=ratio, budget=fits - 1).bank, exact)


def test_the_choice_makes_no_copy_of_the_patches() -> None:
    n, d = 30000, 128  # 15.4 MB
    x = normal(n, d)
    tracemalloc.start()
    try:
        greedy_coreset(x, 50)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes * 1.2 + WORKING_MB * 2**20 / 2


def cover(x: Any, bank: Any) -> float:
    return float(NearestNeighbours(bank).search(x, 1)[0].max())


def test_the_coreset_of_coresets_covers_nearly_as_well() -> None:
    """Its radius is at most twice that of the exact coreset of the same size (a merge can at worst add radii)."""
    x = np.concatenate([*streamed(40000, 64, 4000)])
    tight = fit(x, 10, ratio=0.01, budget=8)
    exact = x[greedy_coreset(x, 400)]
    assert tight.bank.shape == exact.shape and not np.array_equal(tight.bank, exact), "the budget had no effect"
    assert cover(x, tight.bank) <= 2 * cover(x, exact)


def test_every_bank_vector_is_one_of_the_patches() -> None:
    x = np.concatenate([*streamed(40000, 64, 4000)])
    bank = fit(x, 10, ratio=0.002, budget=8).bank
    known = {row.tobytes() for row in x}
    assert all(row.tobytes() in known for row in bank)


def test_a_coreset_that_does_not_fit_is_refused_with_the_budget_that_helps() -> None:
    x = normal(4000, 64)
    with pytest.raises(WorkError, match=r"does not fit into memory_budget_mb 1: raise it to (\d+)") as caught:
        fit(x, 10, ratio=0.9, budget=1)
    enough = int(str(caught.value).split("raise it to ")[1].split()[0])
    assert len(fit(x, 10, ratio=0.9, budget=enough).bank) == 3600
    with pytest.raises(WorkError):
        fit(x, 10, ratio=0.9, budget=enough - 1)


def test_no_patch_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one patch"):
        fit_patchcore(iter([]), total=0, ratio=0.1, num_neighbors=2, memory_budget_mb=16)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    core = fit(normal(40, 5))
    good = core.tensors()
    again = PatchCore.from_tensors(good)
    np.testing.assert_array_equal(again.bank, core.bank)
    broken = [
        {**good, "kin": good["kin"] + 1000},
        {**good, "kin": -1 - good["kin"]},
        {**good, "kin": good["kin"][:-1]},
        {**good, "bank": good["bank"][0]},
        {**good, "bank": np.full_like(good["bank"], np.nan)},
    ]
    for tensors in broken:
        with pytest.raises(ValueError, match="bank"):
            PatchCore.from_tensors(tensors)
