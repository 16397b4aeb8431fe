"""The prims of a stage from the root down, each with what it inherits: whether it is seen, its labels, its part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.board.scene.semantics import Labels, first_text, merged
from noescape.board.scene.target import Target
from noescape.board.scene.usd import MAX_PRIMS, pxr
from noescape.records import DataError

LABELS = "SemanticsLabelsAPI:"
OLD_LABELS = "SemanticsAPI:"
HIDDEN_PURPOSES = frozenset({"proxy", "guide"})
_CONTAINERS = frozenset({"Xform", ""})


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """A prim that is seen. `part` is the path of the component that it is in (or is), `on_board` under pcba_root."""

    prim: Any
    path: str
    labels: dict[str, str]
    part: str | None
    on_board: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    authored: dict[str, str]
    ruled: dict[str, tuple[int, str]]
    part: str | None
    on_board: bool
    purpose: str


def walk(stage: Any, target: Target, rules: Labels, path: Path) -> Iterator[Found]:
    """Every seen prim, parents first, instances written out. Invisible ones, proxies and guides are passed over with
    all that is under them, and so is what lies under the rig of lights.

    A part is the topmost Xform under `pcba_root` that has a `refdes` of its own, is a component by its kind, or fits a
    component type by its name or by that of the prim it lies in.
    """
    lib = pxr()
    state: dict[str, _State] = {}
    walker = iter(lib.Usd.PrimRange(stage.GetPseudoRoot(), lib.Usd.TraverseInstanceProxies()))
    skipped = {target.ring_light_root}
    for count, prim in enumerate(walker):
        if count > MAX_PRIMS:
            raise DataError(f"{path}: more than {MAX_PRIMS} prims, instances written out, are not read")
        if prim.IsPseudoRoot():
            state["/"] = _State(authored={}, ruled={}, part=None, on_board=False, purpose="default")
            continue
        name = str(prim.GetPath())
        above = state[name.rpartition("/")[0] or "/"]
        purpose = _purpose(prim, above.purpose)
        if name in skipped or purpose in HIDDEN_PURPOSES or _invisible(prim):
            walker.PruneChildren()
            continue
        own = _own_labels(prim)
        on_board = above.on_board or name == target.pcba_root
        part = above.part
        if part is None and above.on_board and _is_part(prim, name, own, target):
            part = name
        ruled = rules.matched(name, above.ruled)
        authored = {**above.authored, **own} if own else above.authored
        state[name] = _State(authored=authored, ruled=ruled, part=part, on_board=on_board, purpose=purpose)
        yield Found(prim=prim, path=name, labels=merged(authored, ruled), part=part, on_board=on_board)


def in_pool(path: str, root: str, types: Sequence[str]) -> bool:
    """Whether a name of `path` below `root` contains one of the types (`*` is every part)."""
    names = path[len(root) :].split("/")
    return any(kind == "*" or any(kind in name for name in names) for kind in types)


def _is_part(prim: Any, path: str, own: dict[str, str], target: Target) -> bool:
    if prim.GetTypeName() not in _CONTAINERS:
        return False
    if "refdes" in own:
        return True
    types = target.component_types or ()
    if types and not target.every_part:
        names = path.rsplit("/", 2)[-2:]
        return any(kind in name for kind in types for name in names)
    return bool(pxr().Usd.ModelAPI(prim).GetKind() == "component")


def _own_labels(prim: Any) -> dict[str, str]:
    out: dict[str, str] = {}
    for schema in prim.GetAppliedSchemas():
        if schema.startswith(LABELS):
            kind = schema[len(LABELS) :]
            values = prim.GetAttribute(f"semantics:labels:{kind}").Get()
            if values:
                out[kind] = first_text(values)
        elif schema.startswith(OLD_LABELS):
            base = f"semantic:{schema[len(OLD_LABELS) :]}:params:"
            kind, value = (prim.GetAttribute(base + n) for n in ("semanticType", "semanticData"))
            if kind and value and kind.Get() and value.Get():
                out.setdefault(str(kind.Get()), str(value.Get()))
    return out


def _invisible(prim: Any) -> bool:
    attribute = prim.GetAttribute("visibility")
    return bool(attribute) and attribute.Get() == "invisible"


def _purpose(prim: Any, above: str) -> str:
    attribute = prim.GetAttribute("purpose")
    if attribute and attribute.HasAuthoredValue():
        return str(attribute.Get())
    return above
