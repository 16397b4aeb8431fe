"""Reads the import arrows of a package from its source, lazy imports inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Import:
    """Module `source` (dotted) imports `target` at `line`; `lazy`: inside a function, `typing`: under TYPE_CHECKING."""

    source: str
    target: str
    line: int
    lazy: bool
    typing: bool


def modules(package: Path) -> dict[str, Path]:
    """Dotted name of each module below `package` (a folder), and its file."""
    out = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imports(package: Path) -> list[Import]:
    """Every import statement of the package, its own modules and others; targets are modules where they exist."""
    known = modules(package)
    return [found for name, path in known.items() for found in _of_module(name, path, known)]


def _of_module(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[Import]:
    home = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node, lazy, typing in _walk(ast.parse(path.read_text("utf-8")), lazy=False, typing=False):
        for target in _targets(node, home, known):
            yield Import(source=name, target=target, line=node.lineno, lazy=lazy, typing=typing)


def _walk(node: ast.AST, *, lazy: bool, typing: bool) -> Iterator[tuple[ast.stmt, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, lazy, typing
        inside = lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield from _walk(child, lazy=inside, typing=typing or checking)


def _targets(node: ast.stmt, home: str, known: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            stem = home.split(".")
            base = ".".join([*stem[: len(stem) - node.level + 1], *([node.module] if node.module else [])])
        for alias in node.names:  # `from package import module` is an arrow to the module
            yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base


def circles(arrows: list[Import]) -> list[list[str]]:
    """Circles among module-level imports, each from its first module back to itself."""
    graph: dict[str, set[str]] = {}
    for arrow in arrows:
        if not arrow.lazy and not arrow.typing and arrow.source != arrow.target:
            graph.setdefault(arrow.source, set()).add(arrow.target)
    found, done = [], set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append([*trail[trail.index(name) :], name])
            return
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            visit(target, [*trail, name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def forbidden(arrows: list[Import], package: str, allowed: Mapping[str, frozenset[str]]) -> list[str]:
    """Arrows between rooms (the folders under `package`) that `allowed` does not name, in words."""
    out = []
    for arrow in arrows:
        source, target = _room(arrow.source, package), _room(arrow.target, package)
        if not source or target is None or source == target:
            continue
        if source not in allowed:
            out.append(f"{arrow.source}: the room {source!r} is not in the table")
        elif target not in allowed[source]:
            out.append(f"{arrow.source}, line {arrow.line}: {source} may not import {target or 'the package itself'}")
    return sorted(set(out))


def _room(module: str, package: str) -> str | None:
    """The room of a module; "" for the package itself, None for modules of others."""
    parts = module.split(".")
    if parts[0] != package:
        return None
    return parts[1] if len(parts) > 1 else ""
