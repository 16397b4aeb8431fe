"""What some versions of the service take and others refuse: datasets and labels, wherever they stand."""

from __future__ import annotations

from typing import Any

from noescape.flow.format.problems import Found, Place

_DATASETS = ("dataset", "datasets", "update_dataset")
NOT_PORTABLE = (*_DATASETS, "labels")
_MENDS = {
    "inputs": "name the storage itself, `url: s3://bucket/path/`, or `task:` for what a task of this workflow makes",
    "outputs": "write `url: s3://bucket/path/{{workflow_id}}/`; later tasks get {{output}} without it, by `task:`",
    "checkpoint": "write `url: s3://bucket/path/`",
}


def check(place: Place, holder: dict[str, Any], found: Found) -> None:
    """Note the datasets and labels of a workflow, group or task at `place`, those of its lists of data included."""
    for key in NOT_PORTABLE:
        if key in holder:
            mend = "leave them out, or give them when submitting"
            mend = mend if key == "labels" else "data goes in by `inputs:` and out by `outputs:`, each with a `url:`"
            found.at((*place, key), "not-portable", _message(key), mend)
    for name, mend in _MENDS.items():
        entries = holder.get(name)
        for i, entry in enumerate(entries if isinstance(entries, list) else []):
            for key in NOT_PORTABLE:
                if isinstance(entry, dict) and key in entry:
                    found.at((*place, name, i, key), "not-portable", _message(key), mend)


def _message(key: str) -> str:
    return f"{key!r} is not portable: some versions of the service refuse it"
