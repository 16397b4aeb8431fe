"""The table of the format's rules names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "flow-rules.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[str, str]]:
    """Rule and test cell of every row."""
    found = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) == 4 and not re.fullmatch(r"[\s-]*", cells[1]) and cells[1].strip() != "rule":
            found.append((cells[1].strip(), cells[2].strip()))
    return found


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_every_rule_has_a_cell_and_stands_once() -> None:
    rules = [rule for rule, _ in rows()]
    assert len(rules) > 60 and len(rules) == len(set(rules))
    assert all(NAMED.search(cell) or cell.startswith("engine: ") for _, cell in rows())


def test_every_named_test_exists() -> None:
    """In the file it is said to be in, and collected by its name."""
    named = {(path, name) for _, cell in rows() for path, name in NAMED.findall(cell)}
    missing = [
        f"{path}::{name}" for path, name in named if name not in functions_of(ROOT / path) or name[:5] != "test_"
    ]
    assert sorted(missing) == []
