"""Commands as one line that a shell takes as it is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from noescape.flow.cards.catalog import Flow, cards_of, configs, find, flows
from noescape.flow.storage import url_problem
from noescape.records import UsageError


def is_for_a_cluster(root: str) -> bool:
    """Whether a cluster could reach this place: a folder of this machine it cannot."""
    return url_problem(root, "osmo") is None


def ours(
    verb: str, flow: Flow, sets: Sequence[str], string_sets: Sequence[str] = (), *, pool: str | None = None
) -> str:
    """`noescape flow VERB …` for these settings."""
    words = ["noescape", "flow", verb, flow.place, *(("--pool", pool) if pool else ())]
    return shlex.join([*words, *_sets(sets, string_sets)])


def theirs(flow: Flow, sets: Sequence[str], string_sets: Sequence[str] = (), *, pool: str | None = None) -> str:
    """The same submission by the cluster's own command."""
    words = ["osmo", "workflow", "submit", str(workflow_file(flow)), *(("--pool", pool) if pool else ())]
    return shlex.join([*words, *_sets(sets, string_sets)])


def workflow_file(flow: Flow) -> Path:
    """Where the workflow lies, or will lie when it is planned."""
    if flow.path is not None:
        return flow.path
    kind = flow.card.kind if flow.card else "flow"
    return configs() / ("setup" if kind == "setup" else "") / f"{flow.stem}.yaml"


def mend(setup: str, artifact: str, values: Mapping[str, str], *, pool: str | None = None) -> str:
    """The command that makes an artifact: its setup flow, run or submitted by where the root is.

    Settings of the setup flow that are not known stand in the line as `<knob>`. A use case of one's own has no setup
    flow; then it is the upload of its folder.
    """
    root = values.get("dig_url_root", "<dig_url_root>")
    try:
        flow = find(setup)
    except UsageError:
        place = f"{root.rstrip('/')}/{artifact}/"
        return f"noescape flow data upload FOLDER {shlex.quote(place)}"
    wanted = (
        [name for name, knob in flow.card.knobs.items() if knob.load_bearing and not knob.stamp] if flow.card else []
    )
    sets = [f"{name}={values.get(name) or f'<{name}>'}" for name in wanted]
    verb = "submit" if is_for_a_cluster(root) else "run"
    return ours(verb, flow, sets, pool=pool if verb == "submit" else None)


def supply(url: str, values: Mapping[str, str], *, pool: str | None = None) -> str:
    """What to do about a url that tasks read, that is not there, and that no card names as an artifact.

    Below `dig_url_root` the setup flows that put something there, any of which will do; else its upload.
    """
    root = values.get("dig_url_root", "").rstrip("/")
    if root and url.startswith(f"{root}/"):
        below = url.rstrip("/").removeprefix(f"{root}/") + "/"
        ready = cards_of(flow for flow in flows() if flow.ready)
        makers = [f.stem for f, card in ready if any(f"{place}/".startswith(below) for place in card.provides)]
        if makers:
            return "  or  ".join(mend(stem, below, values, pool=pool) for stem in makers)
    return f"give its right place, or put it there (noescape flow data upload FOLDER {shlex.quote(url)})"


def _sets(sets: Sequence[str], string_sets: Sequence[str]) -> list[str]:
    return [*(["--set", *sets] if sets else []), *(["--set-string", *string_sets] if string_sets else [])]
