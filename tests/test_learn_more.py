"""More good images for a fitted model: the same as if all had been fitted together, as far as that can be known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noescape.anomaly.coreset import greedy_coreset, greedy_coreset_plain
from noescape.anomaly.learn_more import extend_bank, merge_appearance, merge_moments, recover_moments
from noescape.anomaly.padim import fit_padim, gather_moments, padim_from_moments
from noescape.anomaly.patchcore import fit_patchcore
from noescape.anomaly.unlike import Seen, summarise
from noescape.imaging import Appearance


@pytest.mark.parametrize("given_rows", [1, 5, 40])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_greedy_choice_goes_on_as_the_plain_loop_does(given_rows: int, seed: int) -> None:
    """Also with many equal distances."""
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(600, 12)).astype(np.float32)
    stepped = rng.integers(0, 3, (600, 4)).astype(np.float32)
    for vectors in (smooth, stepped):
        fast = greedy_coreset(vectors, 60, given=given_rows)
        assert fast.tolist() == greedy_coreset_plain(vectors, 60, given=given_rows).tolist()
        assert fast[:given_rows].tolist() == list(range(given_rows))


def test_going_on_from_a_choice_gives_the_longer_choice() -> None:
    vectors = np.random.default_rng(4).normal(size=(500, 8)).astype(np.float32)
    chosen = greedy_coreset(vectors, 50)
    reordered = np.concatenate([vectors[chosen[:20]], vectors])
    on = greedy_coreset(reordered, 50, given=20)
    assert (on[20:] - 20).tolist() == chosen[20:].tolist()


def _bank(rng: np.random.Generator, rows: int = 200) -> Any:
    patches = rng.normal(size=(rows, 6)).astype(np.float32)
    return fit_patchcore([patches], total=rows, ratio=0.1, num_neighbors=3, memory_budget_mb=16)


def test_the_bank_takes_the_farthest_new_patches() -> None:
    rng = np.random.default_rng(5)
    core = _bank(rng)
    near = core.bank[:10] + np.float32(1e-3)
    far = rng.normal(size=(5, 6)).astype(np.float32) + 30
    more, read = extend_bank(core, [near, far], ratio=1 / 5, num_neighbors=3, memory_budget_mb=16)
    assert read == 15 and len(more.bank) == len(core.bank) + 3
    assert np.array_equal(more.bank[: len(core.bank)], core.bank), "what was there stays"
    assert all(row.tolist() in far.tolist() for row in more.bank[len(core.bank) :])
    assert more.kin.shape == (len(more.bank), 3) and more.kin.max() < len(more.bank)


def test_a_patch_that_is_known_is_not_added_again() -> None:
    core = _bank(np.random.default_rng(6))
    more, _ = extend_bank(core, [core.bank], ratio=1.0, num_neighbors=3, memory_budget_mb=16)
    assert np.array_equal(more.bank, core.bank)


def test_at_least_one_patch_is_learnt_and_parts_share_out_the_ratio() -> None:
    rng = np.random.default_rng(7)
    core = _bank(rng)
    few = rng.normal(size=(3, 6)).astype(np.float32) + 9
    assert len(extend_bank(core, [few], ratio=0.01, num_neighbors=3, memory_budget_mb=16)[0].bank) == len(core.bank) + 1
    wide = fit_patchcore([rng.normal(size=(50, 4096)).astype(np.float32)], total=50, ratio=0.2, num_neighbors=3,
                         memory_budget_mb=16)  # fmt: skip
    batches = [rng.normal(size=(100, 4096)).astype(np.float32) for _ in range(9)]  # 16 MB hold 512 rows of these
    more, read = extend_bank(wide, batches, ratio=0.05, num_neighbors=3, memory_budget_mb=16)
    assert read == 900 and len(more.bank) == len(wide.bank) + 45


def test_merged_gaussians_are_those_of_all_images_together() -> None:
    """Every direction stored: mean, ridge and distances as if fitted on all at once."""
    rng = np.random.default_rng(8)
    images = (rng.normal(size=(40, 5, 12)) * rng.uniform(0.2, 3, 12) + rng.normal(size=(1, 5, 12))).astype(np.float32)
    channels, test = np.arange(12), rng.normal(size=(5, 12)).astype(np.float32) * 4
    together = fit_padim([images], channels, 0.01)
    first = fit_padim([images[:25]], channels, 0.01)
    merged = merge_moments(recover_moments(first, 25, 0.01), gather_moments([images[25:]], channels))
    more = padim_from_moments(merged, channels, 0.01, None)
    assert merged.count == 40
    assert more.ridge == pytest.approx(together.ridge, rel=1e-5)
    assert np.allclose(more.mean, together.mean, atol=1e-5)
    assert np.allclose(more.distances(test), together.distances(test), rtol=2e-4)
    alone = first.distances(test)
    assert not np.allclose(alone, together.distances(test), rtol=2e-2), "the new images made no difference"


def test_few_images_leave_few_directions_and_merge_exactly_too() -> None:
    """Fewer images than the rank: what the basis does not hold is nothing."""
    rng = np.random.default_rng(9)
    images = rng.normal(size=(16, 4, 30)).astype(np.float32)
    channels, test = np.arange(30), rng.normal(size=(4, 30)).astype(np.float32) * 2
    first = fit_padim([images[:9]], channels, 0.01, 10)
    merged = merge_moments(recover_moments(first, 9, 0.01), gather_moments([images[9:]], channels))
    more, together = padim_from_moments(merged, channels, 0.01, 20), fit_padim([images], channels, 0.01, 20)
    assert np.allclose(more.distances(test), together.distances(test), rtol=2e-3)


def test_dropped_directions_keep_their_variance_on_the_whole() -> None:
    """More images than the rank: the ridge, which holds the mean variance, is still that of all together."""
    rng = np.random.default_rng(10)
    images = (rng.normal(size=(60, 4, 20)) * np.linspace(0.3, 3, 20)).astype(np.float32)
    channels, test = np.arange(20), rng.normal(size=(4, 20)).astype(np.float32)
    first = fit_padim([images[:40]], channels, 0.01, 8)
    merged = merge_moments(recover_moments(first, 40, 0.01), gather_moments([images[40:]], channels))
    more, together = padim_from_moments(merged, channels, 0.01, 8), fit_padim([images], channels, 0.01, 8)
    assert more.ridge == pytest.approx(together.ridge, rel=1e-5)
    assert np.allclose(more.distances(test), together.distances(test), rtol=0.25)


def test_the_looks_of_old_and_new_images_become_one() -> None:
    rng = np.random.default_rng(11)
    seen = [
        Seen(
            height=int(rng.integers(90, 99)),
            width=128,
            bits=8 if i < 6 else 16,
            appearance=Appearance(
                brightness=float(rng.uniform(80, 140)),
                contrast=float(rng.uniform(5, 9)),
                sharpness=float(rng.uniform(1, 2)),
            ),
        )
        for i in range(10)
    ]
    merged, whole = merge_appearance(summarise(seen[:6]), 6, summarise(seen[6:]), 4), summarise(seen)
    assert {k: merged[k] for k in ("sizes", "bits")} == {k: whole[k] for k in ("sizes", "bits")}
    for name, values in whole["measures"].items():
        assert merged["measures"][name] == pytest.approx(values, abs=1e-3)
