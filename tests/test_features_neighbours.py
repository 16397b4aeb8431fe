"""Nearest neighbours and the runtime's choices, against numpy and against what this machine can do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noescape.features import neighbours
from noescape.features.neighbours import NearestNeighbours
from noescape.features.runtime import cpu_precision, resolve_device
from noescape.records import UsageError


def brute(bank: Any, queries: Any) -> Any:
    return np.linalg.norm(queries[:, None].astype(np.float64) - bank[None].astype(np.float64), axis=2)


@pytest.mark.parametrize("k", [1, 2, 9, 50, 80])
@pytest.mark.parametrize("offset", [0, 30])
def test_distances_are_numpys_nearest_first(k: int, offset: float) -> None:
    rng = np.random.default_rng(1)
    bank, queries = ((rng.normal(size=(n, 20)) + offset).astype(np.float32) for n in (50, 333))
    apart = brute(bank, queries)
    distances, rows = NearestNeighbours(bank).search(queries, k)
    assert distances.shape == rows.shape == (333, min(k, 50)) and distances.dtype == np.float32
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :k], rtol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(apart, rows, 1), distances, rtol=1e-4)


def test_any_cut_into_blocks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    bank, queries = rng.normal(size=(90, 7)).astype(np.float32), rng.normal(size=(500, 7)).astype(np.float32)
    whole = NearestNeighbours(bank).search(queries, 3)
    monkeypatch.setattr(neighbours, "BLOCK", 90 * 16)
    parts = NearestNeighbours(bank).search(queries, 3)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5)


def test_what_is_in_the_bank_is_at_distance_nought() -> None:
    bank = np.random.default_rng(3).normal(size=(200, 30)).astype(np.float32) * 10
    distances, rows = NearestNeighbours(bank).search(bank, 1)
    assert distances.max() == 0 and (rows[:, 0] == np.arange(200)).all()


def test_equal_vectors_in_the_bank_are_all_found() -> None:
    bank = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    distances, rows = NearestNeighbours(bank).search(bank[:1], 4)
    assert distances.max() == 0 and rows[0].tolist() == [0, 1, 2, 3]


def test_no_query_gives_no_answer() -> None:
    distances, rows = NearestNeighbours(np.eye(3, dtype=np.float32)).search(np.zeros((0, 3), np.float32), 2)
    assert distances.shape == rows.shape == (0, 2)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 2, 2)])
def test_a_bank_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[M, D\]"):
        NearestNeighbours(np.zeros(shape, np.float32))


def test_an_unknown_precision_or_device_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="expected one of f32, bf16, auto"):
        cpu_precision("f16")
    with pytest.raises(UsageError, match="expected auto, cpu or cuda"):
        resolve_device("tpu")


class Core:
    """An OpenVINO core of a machine with or without native bf16."""

    def __init__(self, *capabilities: str) -> None:
        self.capabilities = capabilities

    def get_property(self, device: str, name: str) -> Any:
        return {("CPU", "OPTIMIZATION_CAPABILITIES"): self.capabilities}[device, name]


def test_bf16_is_refused_where_it_is_not_native() -> None:
    assert cpu_precision("bf16", Core("FP32", "BF16")) == cpu_precision("auto", Core("BF16")) == "bf16"
    assert cpu_precision("auto", Core("FP32")) == cpu_precision("f32", Core("BF16")) == "f32"
    with pytest.raises(UsageError, match="no native bf16; use f32"):
        cpu_precision("bf16", Core("FP32"))


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="use --device cpu"):
        resolve_device("cuda:0")
