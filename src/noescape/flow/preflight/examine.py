"""All checks of one start, side by side, and their result in words and as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from noescape.flow.cards.catalog import planned
from noescape.flow.format.load import Loaded
from noescape.flow.preflight import access, artifacts, cluster, here, service
from noescape.flow.preflight.finding import Finding, Situation

WORKFLOW = "workflow"


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """The findings for one flow, in the order in which they are told."""

    flow: str
    target: str
    pool: str | None
    findings: tuple[Finding, ...]

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What stops it."""
        return tuple(f for f in self.findings if f.status == "missing")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        checks = [asdict(finding) for finding in self.findings]
        return {
            "flow": self.flow,
            "target": self.target,
            "pool": self.pool,
            "ready": not self.missing,
            "checks": checks,
        }


def examine(s: Situation, loaded: Loaded | None) -> Preflight:
    """Run every check that this target needs. Takes as long as the slowest answer from outside, about 10 s at most.

    `loaded` is the flow's file with these values; its problems count. None: the flow is planned.
    """
    on_cluster: list[Callable[[Situation], Iterator[Finding]]] = [cluster.check]
    on_this_machine: list[Callable[[Situation], Iterator[Finding]]] = [access.here, here.check]
    checks = [artifacts.check, service.check, *(on_cluster if s.target == "osmo" else on_this_machine)]
    with ThreadPoolExecutor(len(checks)) as pool:
        found = [finding for rows in pool.map(lambda check: list(check(s)), checks) for finding in rows]
    found = sorted([*_of_the_file(s, loaded), *found], key=lambda finding: _ORDER.index(finding.check))
    return Preflight(flow=s.flow.stem, target=s.target, pool=s.pool, findings=tuple(found))


def _of_the_file(s: Situation, loaded: Loaded | None) -> Iterator[Finding]:
    if loaded is None:
        yield Finding(check=WORKFLOW, name="file", status="missing", detail=planned(s.flow))
        return
    for problem in loaded.problems:
        status = "missing" if problem.level == "error" else "warning"
        where = f"{problem.file}:{problem.line}" if problem.line else problem.file
        yield Finding(check=WORKFLOW, name=where, status=status, detail=problem.message, mend=problem.mend)  # type: ignore[arg-type]
    if not loaded.failed:
        yield s.ok(WORKFLOW, "file", f"valid for {'a cluster' if s.target == 'osmo' else 'this machine'}")


def lines(result: Preflight) -> list[str]:
    """For people: a block for each kind of check, the mend below what needs one, and what to do at the end."""
    marks = {"ok": "ok", "missing": "MISSING", "warning": "warning", "unknown": "unknown"}
    out: list[str] = []
    kind = None
    for f in result.findings:
        if f.check != kind:
            out.append(f.check)
            kind = f.check
        out.append(f"  {marks[f.status]:<7}  {f.name}: {f.detail}")
        if f.mend and f.status != "ok":
            out.append(f"           → {f.mend}")
    todo = list(dict.fromkeys(f.mend for f in result.missing if f.mend))
    count = len(result.missing)
    place = "on the cluster" if result.target == "osmo" else "here"
    if not count:
        return [*out, "", f"{result.flow} can start {place}"]
    out += ["", f"{result.flow} cannot start {place} yet: {count} {'thing is' if count == 1 else 'things are'} missing"]
    return out + ([f"  {number}. {mend}" for number, mend in enumerate(todo, 1)] if todo else [])


_ORDER = (
    WORKFLOW, access.CHECK, artifacts.CHECK, service.CHECK, cluster.COMMAND, cluster.POOL, cluster.TEMPLATE,
    here.CHECK, here.TOOLS,
)  # fmt: skip
