"""Pieces of workflows in any order and any shape."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from hypothesis import strategies as st

from flow_says import loaded

KEYS = st.sampled_from(["name", "tasks", "groups", "resources", "timeout", "labels", "pool"])
PIECES = st.sampled_from([
    "workflow:", "\n", "\n  ", "\n    ", "\n  - ", "name: w", "tasks:", "groups:", "resources:", "{", "}", "[", "]",
    ", ", ": ", "{{output}}", "{{input:0}}", "{{input:a}}", "{{host:a}}", "args: ", "inputs: ", "task: a",
    "url: s3://b", "null", "true", "3", "0.5", "'", '"', "image: x", "command: [sh]",
    "- {name: a, image: x, command: [sh]}", "&a ", "*a", "<<: *a", "files: ", "path: /a", "localpath: .",
    "contents: x", "default-values:", "environment: ", "credentials: ", "lead: true", "exitActions: {FAIL: 1}",
    "timeout: ", "exec_timeout: 1h", "checkpoint: ", "!!int ", "#", "|", ">", "\t", "ä", "\u2028", "default: ",
    "cpu: 1", "memory: 1Gi", "? ", "---", "...", "version: 2", "volumeMounts: ", "a", "b", "~", "é́",
])  # fmt: skip


@st.composite
def values(draw: st.DrawFn) -> object:
    """Plain data with the keys of workflows in any place."""
    leaf = st.none() | st.booleans() | st.integers(-5, 300) | st.floats(allow_nan=True) | st.sampled_from(
        ["a", "b", "", "{{output}}", "{{input:0}}", "s3://b", "1h", "8Gi", "old-3:a", "x" * 70, "1-5", "a/../b", "\x07"]
    )  # fmt: skip
    keys = st.sampled_from([
        "name", "tasks", "groups", "image", "command", "args", "inputs", "outputs", "task", "url", "regex", "files",
        "path", "contents", "localpath", "base64", "resource", "resources", "default", "cpu", "memory", "credentials",
        "exitActions", "FAIL", "checkpoint", "frequency", "lead", "kpis", "timeout", "exec_timeout", "labels",
        "dataset", "volumeMounts", "environment", "topology", "key", "cacheSize", "backend", "pool",
    ]) | st.integers(0, 3)  # fmt: skip
    return draw(
        st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5))
    )


def check_text(folder: Path, pieces: list[str], target: Literal["local", "osmo"]) -> None:
    """Never an exception, and a workflow or an error comes out."""
    found = loaded(folder, "workflow:\n  name: w\n" + "".join(pieces), target)
    assert found.workflow is not None or found.failed


def check_values(folder: Path, workflow: dict[str, object], inside: object) -> None:
    """As a whole workflow, and inside of a task that is right otherwise."""
    first = {"name": "a", "image": "x", "command": ["sh"], **(inside if isinstance(inside, dict) else {"args": inside})}
    for made in (workflow, {"name": "w", "tasks": [first]}):
        found = loaded(folder, yaml.safe_dump({"workflow": made}), "osmo")
        assert found.workflow is not None or found.failed
        assert not any("pydantic" in str(p) or "function-" in str(p) for p in found.problems)
