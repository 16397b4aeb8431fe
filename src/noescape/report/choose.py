"""Which images a report can show when there are more than fit: by rule and in a fixed order, never at random."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from noescape.report.run_folder import ImageRow


def choose_cards(rows: Sequence[ImageRow], threshold: float, limit: int) -> list[int]:
    """Indices of at most `limit` rows, most anomalous first.

    Four queues take turns until the limit is reached: defects with the lowest scores, good parts with the highest,
    images nearest to `threshold`, images with the highest scores. The queues do not stop at the threshold, so that
    the gallery still holds the worst cases after the threshold is moved. Equal scores go by file order.
    """
    if len(rows) <= limit:
        return most_anomalous(rows, range(len(rows)))
    every = range(len(rows))
    queues = (
        sorted((i for i in every if rows[i].truth == 1), key=lambda i: (rows[i].score, i)),
        most_anomalous(rows, [i for i in every if rows[i].truth == 0]),
        sorted(every, key=lambda i: (abs(rows[i].score - threshold), i)),
        most_anomalous(rows, every),
    )
    chosen: dict[int, None] = {}
    for turn in zip_longest(*queues):
        for index in turn:
            if index is not None and len(chosen) < limit:
                chosen.setdefault(index)
        if len(chosen) >= limit:
            break
    return most_anomalous(rows, chosen)


def worst_cases(rows: Sequence[ImageRow], cards: Sequence[int], threshold: float, limit: int) -> set[int]:
    """The rows among `cards` that deserve a larger picture: misses, then false calls, by how wrong; then top scores."""
    misses = [i for i in cards if rows[i].truth == 1 and not rows[i].score > threshold]
    calls = [i for i in cards if rows[i].truth == 0 and rows[i].score > threshold]
    wrong = sorted(misses, key=lambda i: (rows[i].score, i)) + most_anomalous(rows, calls)
    return set(list(dict.fromkeys([*wrong, *most_anomalous(rows, cards)]))[:limit])


def most_anomalous(rows: Sequence[ImageRow], indices: Sequence[int] | range | dict[int, None]) -> list[int]:
    """`indices` with the highest score first; equal scores by file order."""
    return sorted(indices, key=lambda i: (-rows[i].score, i))
