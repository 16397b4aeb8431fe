"""Do something for each image on a few threads, results in order, never more than a window in flight.

Decoding, OpenCV, OpenVINO, matrix products and encoding release the GIL, so threads overlap the decoding of one image
with the work on another; the window bounds memory. Meanwhile the libraries underneath use one thread each: theirs on
top of ours would only get in each other's way.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
from threadpoolctl import threadpool_limits

from noescape.records import UsageError

T = TypeVar("T")
R = TypeVar("R")


def worker_count(wanted: int) -> int:
    """`wanted` threads, or one per available core for 0, at most 8. UsageError for a negative number."""
    if wanted < 0:
        raise UsageError(f"number of workers: expected 0 (one per core) or more, got {wanted}")
    return wanted or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def ordered_map(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield `function(item)` for each item, in order; at most 2 `workers` results wait at any time."""
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[R]] = deque()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with threadpool_limits(limits=1):
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            cv2.setNumThreads(threads)
