"""YAML from users: safe types only, no duplicate keys, no alias bombs, errors with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from noescape.records import UsageError

MAX_BYTES = 4 << 20
MAX_ALIASES = 32  # nested as a "billion laughs" these reach at most 3^10 nodes, which is harmless


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and circles, and counts aliases."""

    aliases = 0

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open: list[str | None] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MAX_ALIASES:
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise yaml.MarkedYAMLError(problem=f"more than {MAX_ALIASES} aliases", problem_mark=mark)
            if self.peek_event().anchor in self._open:  # type: ignore[no-untyped-call]
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise yaml.MarkedYAMLError(problem="an alias inside of what it names", problem_mark=mark)
        return super().compose_node(parent, index)

    def compose_sequence_node(self, anchor: Any) -> Any:
        self._open.append(anchor)
        node = super().compose_sequence_node(anchor)
        self._open.pop()
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        self._open.append(anchor)
        node = super().compose_mapping_node(anchor)
        self._open.pop()
        self._refuse_twins(node)
        return node

    def _refuse_twins(self, node: Any) -> None:
        """Checked on the nodes as written: later, merged mappings bring keys that may rightly be overridden."""
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} given twice", problem_mark=key_node.start_mark)
            seen.add(key)


def parse_yaml(text: str, *, name: str = "<text>") -> Any:
    """Parse one YAML document of plain types. UsageError with `name` and line on anything else."""
    if len(text) > MAX_BYTES:
        raise UsageError(f"{name}: {len(text)} characters of YAML, at most {MAX_BYTES} are read")
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader underneath
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise UsageError(f"{where}: {error.problem or error.context or 'not valid YAML'}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name}: not valid YAML ({error})") from None


def load_yaml(path: Path) -> Any:
    """Read and parse a YAML file; see `parse_yaml`."""
    try:
        with path.open("rb") as f:
            data = f.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: more than {MAX_BYTES} bytes of YAML are not read")
    try:
        return parse_yaml(data.decode("utf-8"), name=str(path))
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None


def dump_yaml(value: Any) -> str:
    """Plain block-style YAML in the order of the keys."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False))
