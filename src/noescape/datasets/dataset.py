"""A data set in memory: which images there are, on which side of the split, and the digest that names their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from noescape.files import dump_row, sha256_file
from noescape.records import Sample


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One category. `train` holds good images only; `uncertain` is what nobody could label, kept out of figures.

    `root` is the category's folder; `plain` says that it is a folder of good images alone, in no layout. Each tuple
    is sorted by `Sample.key`. `terms` are the licence terms of the data, where an import wrote them down.
    """

    root: Path
    category: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    uncertain: tuple[Sample, ...]
    terms: str | None
    plain: bool = False


def data_digest(samples: Iterable[Sample]) -> str:
    """Hex sha256 over key, label, type, content of the image and content of the mask of each sample.

    The order of `samples` does not matter; where the files lie does not matter. A file that cannot be read counts
    as such, so the digest of a set with a broken link is stable. Cost: reads every file once.
    """
    rows = [
        dump_row(
            {
                "key": s.key,
                "label": s.label,
                "type": s.defect_type,
                "image": _digest(s.image),
                "mask": _digest(s.mask) if s.mask else None,
            }
        )
        for s in samples
    ]
    return hashlib.sha256("\n".join(sorted(rows)).encode("utf-8")).hexdigest()


def _digest(path: Path) -> str | None:
    try:
        return sha256_file(path) if path.is_file() else None  # reading a pipe would wait forever
    except OSError:
        return None
