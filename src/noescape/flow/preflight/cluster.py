"""What only the cluster can tell: the pool and its GPUs, credentials by name, the pod template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from noescape.flow.cards.card_parts import Profile
from noescape.flow.cluster.osmo import Osmo, find_osmo
from noescape.flow.preflight import access, pod_template
from noescape.flow.preflight.finding import NOT_ASKED, Finding, Situation
from noescape.records import NoescapeError

POOL, TEMPLATE, COMMAND = "pool", "pod template", "osmo"


def check(s: Situation) -> Iterator[Finding]:
    """Every question to the cluster, one after the other; when it does not answer at all, that is said once."""
    if not s.probe:
        yield from access.on_cluster(s, None)
        yield Finding(check=POOL, name=s.pool or "default", status="unknown", detail=NOT_ASKED)
        yield from template(s)
        return
    try:
        osmo = find_osmo(s.environ)
        profile = osmo.profile()
    except NoescapeError as error:
        detail, _, mend = str(error).partition(": ")
        yield Finding(check=COMMAND, name="the cluster", status="missing", detail=detail, mend=mend)
        return
    yield from _each(access.on_cluster(s, osmo), access.CHECK)
    yield from _each(pools(s, osmo, profile), POOL)
    yield from _each(template(s), TEMPLATE)


def _each(found: Iterator[Finding], check: str) -> Iterator[Finding]:
    """What was found; a question that the cluster refused becomes a finding as well."""
    try:
        yield from found
    except NoescapeError as error:
        yield Finding(check=check, name="the cluster", status="missing", detail=str(error), mend="mend that, try again")


def pools(s: Situation, osmo: Osmo, profile: dict[str, Any]) -> Iterator[Finding]:
    """The pool is one that this user may use, and large enough for what will run there at once."""
    settings = profile.get("profile")
    default = settings.get("pool") if isinstance(settings, dict) else None
    name = s.pool or (s.workflow.pool if s.workflow else None) or default
    mine = [str(row.get("name")) if isinstance(row, dict) else str(row) for row in profile.get("pools") or []]
    if not name:
        mend = f"--pool POOL, one of: {', '.join(mine) or 'none that you may use'}"
        yield Finding(check=POOL, name="pool", status="missing", detail="no pool is chosen", mend=mend)
        return
    if mine and name not in mine:
        mend = f"--pool POOL, one of: {', '.join(mine)}"
        yield Finding(check=POOL, name=name, status="missing", detail="is not among the pools you may use", mend=mend)
        return
    need, why = gpus_needed(s)
    if not need:
        yield s.ok(POOL, str(name), "may be used; no GPU is asked for")
        return
    have = capacity(osmo.pools(str(name)), str(name))
    if have is None:
        detail = f"{need} GPUs are needed ({why}); the cluster does not say how many it has"
        yield Finding(check=POOL, name=str(name), status="unknown", detail=detail)
    elif have < need:
        knob = s.card.endpoint.knob if s.card and s.card.endpoint else ""
        other = f", or give a service that runs elsewhere: --set {knob}=URL" if deployed(s) else ""
        detail = f"total capacity {have} GPU(s), {need} needed ({why})"
        mend = f"a larger pool, or more GPUs in it{other}"
        yield Finding(check=POOL, name=str(name), status="missing", detail=detail, mend=mend)
    else:
        yield s.ok(POOL, str(name), f"total capacity {have} GPU(s), {need} needed ({why})")


def deployed(s: Situation) -> bool:
    """Whether the flow calls a service of one's own in the cluster, which needs GPUs beside it."""
    service = s.card.endpoint if s.card else None
    return bool(
        service and service.deployed and s.values.get(service.knob, "").rstrip("/") == service.deployed.rstrip("/")
    )


def gpus_needed(s: Situation) -> tuple[int, str]:
    """GPUs that must exist in the pool: for the largest group, whose tasks start together, and for an own service."""
    groups = s.workflow.groups if s.workflow else ()
    resources = s.workflow.resources if s.workflow else {}
    sizes = {g.name: sum((resources[t.resource].gpu or 0) for t in g.tasks if t.resource in resources) for g in groups}
    name, most = max(sizes.items(), key=lambda item: item[1], default=("", 0))
    why = f"group {name}" if most else ""
    if deployed(s) and s.card and s.card.endpoint:
        least = s.card.endpoint.capacity
        return max(least, most + 1 if most else 0), f"the flow beside the service {s.card.endpoint.knob}"
    return most, why


def capacity(answer: Any, pool: str) -> int | None:
    """`total_capacity` of the pool in what `osmo pool list` says, however it is nested; None if it does not say."""
    if isinstance(answer, dict):
        if answer.get("name") == pool:
            usage = answer.get("resource_usage")
            value = (usage if isinstance(usage, dict) else answer).get("total_capacity")
            try:
                return int(float(str(value)))
            except (ValueError, OverflowError):
                return None
        answer = list(answer.values())
    if isinstance(answer, list):
        return next((found for row in answer if (found := capacity(row, pool)) is not None), None)
    return None


def profile_of(s: Situation) -> Profile | None:
    """The size of the flow that was chosen, as its card tells it."""
    return s.card.profiles.get(s.values.get("profile", "")) if s.card else None


def template(s: Situation) -> Iterator[Finding]:
    """Only for sizes that need it. What was verified or confirmed before is not asked again."""
    size = profile_of(s)
    if not size or not (size.nvoptix or size.shm):
        return
    before = s.memory.recall(pod_template.KEY)
    if before:
        yield s.ok(TEMPLATE, "GPU pods", f"{before[0]} on {before[1]}; noescape flow preflight pod-template asks again")
    elif not s.probe:
        yield Finding(check=TEMPLATE, name="GPU pods", status="unknown", detail=NOT_ASKED)
    else:
        answer = pod_template.ask(lambda: find_osmo(s.environ), s.memory)
        # Not permitted to look stops nothing: the tasks look themselves, in their first second.
        yield Finding(
            check=TEMPLATE,
            name="GPU pods",
            status="ok" if answer.code in (0, 3) else "warning" if answer.code == 2 else "missing",
            detail=answer.detail,
            mend=answer.mend,
        )
