"""Hard stops: what ends a loop at once, is never tried again, and is explained in docs/deft-hard-stops.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from noescape.records import WorkError

CODES = {
    "pregen_missing": "a folder of pre-generated pairs is not there",
    "pregen_empty": "a folder of pre-generated pairs holds no image",
    "pregen_unpaired": "a pre-generated image has no partner of the same stem",
    "pregen_mutated": "the pre-generated images changed while the loop ran",
    "pool_missing": "mining_pool.csv is not there",
    "pool_empty": "mining_pool.csv has no row that can be used",
    "nothing_routed": "no weak label can be mined or generated",
    "leakage": "training data holds what a held-out set is judged with",
    "synthetic_in_holdout": "a KPI, validation or blind set holds a synthetic row",
    "silent_drop": "rows vanished between two stages without a logged reason",
    "amp_allocation": "the generator delivered another number of images than was allocated",
    "csv_invalid": "the training CSV is not what the trainer needs",
    "path_rule": "a path leads out of the workspace",
    "reference_missing": "a file that a stage refers to is not there",
}
SHOWN = 10  # examples in a message


class HardStop(WorkError):  # noqa: N818 - its name in every document
    """The loop ends here. `code` is one of CODES; the message says what was found, where, and what to do."""

    def __init__(self, code: str, message: str) -> None:
        if code not in CODES:
            raise ValueError(f"unknown hard stop {code!r}")
        super().__init__(f"hard stop {code}: {message}")
        self.code = code


def examples(items: Iterable[str], *, most: int = SHOWN) -> str:
    """A few of many, in order: `'a', 'b' and 3 more`."""
    names: Sequence[str] = list(items)
    text = ", ".join(repr(name) for name in names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text
