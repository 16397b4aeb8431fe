"""The images that belong to a run: where its configuration says, or where they lie now."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import replace
from pathlib import Path

from noescape.anomaly.bundle import Bundle
from noescape.anomaly.config import InspectorConfig
from noescape.datasets import Dataset, read_mvtec
from noescape.records import DataError, UsageError


def learnt_data(config: InspectorConfig, root: Path | None = None, data: Dataset | None = None) -> Dataset:
    """The data set to learn from: `data`, or the one at `root`, or that of `config`; without what `config` leaves out.

    UsageError where it leaves out images that are not there.
    """
    dataset = data or read_mvtec(root or config.data.root, config.data.category, name=config.data.name)
    names = set(config.data.leave_out)
    if unknown := sorted(names - {s.key for s in dataset.train}):
        near = difflib.get_close_matches(unknown[0], [s.key for s in dataset.train], 1)
        raise UsageError(
            f"{len(unknown)} of the {len(names)} images to leave out are none of the good images of {dataset.root}: "
            f"{unknown[0]!r}{f', did you mean {near[0]!r}?' if near else ''} (expected names as in preds_train.jsonl)"
        )
    return replace(dataset, train=tuple(s for s in dataset.train if s.key not in names))


def tested_data(bundle: Bundle, root: Path | None = None) -> Dataset:
    """The data set to test `bundle` on: `root` (the category or the folder above it; no training images needed), or
    the one that it was fitted on.

    UsageError where there is none by nature (a run of `fit --good`), DataError where it holds no test images.
    """
    run, data = shlex.quote(str(bundle.folder)), bundle.config.data
    inspecting = f"noescape inspect --input-dir IMAGES --model-dir {run} --output-dir OUT"
    if root is None and bundle.meta.get("plain_folder"):
        raise UsageError(
            f"{bundle.folder} learnt from a plain folder of good images (fit --good), so it has no test images of its "
            "own. Figures: give a folder with test/good/ and test/<type of defect>/ by --data-root DIR. Verdicts "
            f"without figures: {inspecting}"
        )
    try:
        dataset = read_mvtec(root or data.root, data.category, to_learn=False, name=data.name)
    except DataError as error:
        if root is not None:
            raise
        raise DataError(
            f"{error}\n(there the data lay when the run was fitted; name another place by --data-root)"
        ) from None
    if not dataset.test and not dataset.uncertain:
        raise DataError(
            f"{dataset.root} holds no test images: expected test/good/ and test/<type of defect>/ there. Put some in, "
            f"name another folder by --data-root DIR, or look at any images without figures: {inspecting}"
        )
    return dataset
