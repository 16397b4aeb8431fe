"""Exact nearest neighbours by Euclidean distance (faiss flat index)."""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


class NearestNeighbours:
    """Exact search in a fixed bank of vectors `[M, D]` float32. Memory: the bank once; time: O(Q M D).

    A flat index beats matrix products and graphs at the sizes a coreset has (600 x 152: 2.1 ms for 1024 queries
    against 3.7 and 20 ms).
    """

    def __init__(self, bank: Float) -> None:
        if bank.ndim != 2 or not len(bank):
            raise ValueError(f"bank: expected [M, D] with M >= 1, got shape {bank.shape}")
        self.size = len(bank)
        self._index = faiss.IndexFlatL2(bank.shape[1])
        self._index.add(np.ascontiguousarray(bank, dtype=np.float32))

    def search(self, queries: Float, k: int = 1) -> tuple[Float, npt.NDArray[np.int64]]:
        """Distances (not squared) and bank rows of the `k` nearest, nearest first: two arrays `[Q, min(k, M)]`."""
        squared, rows = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), min(k, self.size))
        return np.sqrt(np.maximum(squared, 0)).astype(np.float32), rows
