"""YAML from users: safe types only, no duplicate keys, no alias bombs, errors with file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from noescape.records import UsageError

MAX_BYTES = 4 << 20
MAX_ALIASES = 32  # nested as a "billion laughs" these reach at most 3^10 nodes, which is harmless
MAX_DIGITS = 100  # of a number; Python itself refuses to write out some thousand
MAX_VALUES = 200_000  # keys count too; read in about 10 s
Place = tuple[str | int, ...]
_LONE = re.compile("[\ud800-\udfff]")


class YamlError(UsageError):
    """Not the YAML that is read here. `line` (from 1) where one is known; `problem` without the place."""

    def __init__(self, name: str, line: int | None, problem: str) -> None:
        super().__init__(f"{name}, line {line}: {problem}" if line else f"{name}: {problem}")
        self.line, self.problem = line, problem


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and circles, and counts aliases."""

    aliases = 0
    values = 0

    def __init__(self, text: str, most: int) -> None:
        super().__init__(text)
        self._most = most
        self._open: list[str | None] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.values += 1
        if self.values > self._most:  # the cost of reading is that of its values
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"more than {self._most} keys and values", problem_mark=mark)
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
        """Checked on the nodes as written: later, merged mappings bring keys that may rightly be overridden.

        The same word said twice (`path: /a` above and below a long text) leaves no doubt, and passes.
        """
        seen: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            said = (value_node.tag, value_node.value) if isinstance(value_node, yaml.ScalarNode) else object()
            if seen.get(key, said) != said:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} given twice", problem_mark=key_node.start_mark)
            seen[key] = said


def _whole_number(loader: _StrictLoader, node: Any) -> Any:
    if len(node.value) > MAX_DIGITS:
        raise yaml.MarkedYAMLError(problem=f"a number of more than {MAX_DIGITS} digits", problem_mark=node.start_mark)
    return loader.construct_yaml_int(node)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def parse_yaml(text: str, *, name: str = "<text>") -> Any:
    """Parse one YAML document of plain types. UsageError (a YamlError) with `name` and line on anything else."""
    return _parse(text, name, MAX_VALUES)[0]


def parse_yaml_lines(text: str, *, name: str = "<text>", most: int = MAX_VALUES) -> tuple[Any, dict[Place, int]]:
    """As `parse_yaml`, with the line (from 1) of every value by its place: `("tasks", 0, "name") -> 7`.

    The place of a value in a map has the line of its key. Merged keys (`<<`) have the line where they are written.
    Documents of more than `most` keys and values, aliases written out, are refused.
    """
    value, node = _parse(text, name, most)
    lines: dict[Place, int] = {(): 1}
    waiting: list[tuple[Place, Any]] = [((), node)] if node is not None else []
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            found: list[tuple[str | int, int, Any]] = [(_key(k), k.start_mark.line, child) for k, child in node.value]
        elif isinstance(node, yaml.SequenceNode):
            found = [(i, child.start_mark.line, child) for i, child in enumerate(node.value)]
        else:
            found = [(node.value, node.start_mark.line, None)]
        for key, line, child in found:
            if isinstance(key, str) and _LONE.search(key):
                raise YamlError(name, line + 1, "half of a character (a lone surrogate) in a text")
            if child is None:
                continue
            lines[(*place, key)] = line + 1
            waiting.append(((*place, key), child))
        if len(lines) > most:
            raise YamlError(name, None, f"more than {most} keys and values, aliases written out")
    return value, lines


def _key(node: Any) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "?"


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)


def _parse(text: str, name: str, most: int) -> tuple[Any, Any]:
    if len(text) > MAX_BYTES:
        raise YamlError(name, None, f"{len(text)} characters of YAML, at most {MAX_BYTES} are read")
    try:
        loader = _StrictLoader(text, most)
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except RecursionError:
        raise YamlError(name, None, "nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        problem = error.problem or error.context or "not valid YAML"
        raise YamlError(name, mark.line + 1 if mark else None, problem) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(name, line, f"the character U+{_code(error.character):04X} is not allowed in YAML") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # A wrong value behind a tag (`!!int ""`, `!!bool x`, `!!timestamp x`) escapes PyYAML as one of these.
        raise YamlError(name, None, f"not valid YAML ({error or type(error).__name__})") from None


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
