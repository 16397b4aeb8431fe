"""Does everything lie there that the flow reads: what its card asks for under `dig_url_root`, and its tasks' urls.

The mend of a missing artifact is the exact command of the setup flow that puts it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from noescape.flow.cards.card import Required
from noescape.flow.cards.command import mend, supply
from noescape.flow.cluster.osmo import find_osmo, has_osmo
from noescape.flow.preflight.finding import NOT_ASKED, Finding, Situation
from noescape.flow.storage import UnfinishedError, absolute, is_remote, open_store, url_problem
from noescape.records import NoescapeError

CHECK = "artifacts"
ROOT = "dig_url_root"
_AT_ONCE = 8


def check(s: Situation) -> Iterator[Finding]:
    """One finding for a root that cannot be used, and one for each artifact and input; all are looked for at once."""
    root = s.values.get(ROOT, "")
    problem = url_problem(root, s.target) if root else None
    if problem:
        yield Finding(check=CHECK, name=ROOT, status="missing", detail=problem, mend=f"--set {ROOT}=…")
    needed = s.card.required(s.values) if s.card and root and not problem else ()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda one: _one(s, root, one), needed)
        yield from pool.map(lambda url: _input(s, *url), _inputs(s, root, needed).items())


def _inputs(s: Situation, root: str, needed: Iterable[Required]) -> dict[str, list[str]]:
    """Urls that tasks read and nothing in the flow or on its card accounts for, with the tasks."""
    tasks = s.workflow.tasks if s.workflow else ()
    known = [f"{root.rstrip('/')}/{one.path}" for one in needed] + [o.url for t in tasks for o in t.outputs]
    known += [c.place for t in tasks for c in t.checkpoint]  # empty before the first run: it goes on from what is there
    found: dict[str, list[str]] = {}
    for task in tasks:
        for url in (one.url for one in task.inputs if one.url is not None):
            if "{{" not in url and not any(f"{url.rstrip('/')}/".startswith(f"{k.rstrip('/')}/") for k in known):
                found.setdefault(url, []).append(task.name)
    return found


def _input(s: Situation, url: str, tasks: list[str]) -> Finding:
    who = f"read by {', '.join(tasks)}"
    problem = url_problem(url, s.target)
    if not problem and is_remote(absolute(url, s.base)) and not s.probe:
        return Finding(check=CHECK, name=url, status="unknown", detail=NOT_ASKED)
    try:
        if not problem and _there(s, absolute(url, s.base)):
            return s.ok(CHECK, url, who)
    except NoescapeError as error:
        problem = str(error)
    what = supply(url, s.values, pool=s.pool if s.target == "osmo" else None)
    return Finding(check=CHECK, name=url, status="missing", detail=f"{problem or 'is not there'}; {who}", mend=what)


def _one(s: Situation, root: str, one: Required) -> Finding:
    """The artifact `one`; what is there but not whole is missing, too."""
    url = absolute(f"{root.rstrip('/') or '/'}/{one.path}", s.base)
    if is_remote(url) and not s.probe:
        return Finding(check=CHECK, name=one.path, status="unknown", detail=f"{NOT_ASKED}: {url}")
    try:
        reason = "" if _there(s, url) else f"is not there ({url})"
    except UnfinishedError as error:
        reason = f"is not whole: {error}"
    except NoescapeError as error:
        return Finding(check=CHECK, name=one.path, status="missing", detail=str(error), mend=f"make {root} readable")
    if not reason:
        return s.ok(CHECK, one.path, one.holds)
    command = mend(one.setup, one.path, s.values, pool=s.pool if s.target == "osmo" else None)
    return Finding(check=CHECK, name=one.path, status="missing", detail=f"{reason}: {one.holds}", mend=command)


def _there(s: Situation, url: str) -> bool:
    """Whether something whole lies there. A bucket that only the cluster's own login may read is asked through it."""
    try:
        return open_store(url, secrets=s.credentials.storage()).exists()
    except UnfinishedError:
        raise
    except NoescapeError:
        if s.target != "osmo" or not has_osmo(s.environ):
            raise
        return bool(find_osmo(s.environ).data_list(url, recursive=False))
