"""`noescape flow preflight`: can this flow start; and what the cluster's pods offer to GPU tasks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from noescape.flow.preflight.examine import Preflight

PREFLIGHT = """\
Say everything that would stop a flow before it starts, all at once, each with what to do about it: credentials,
artifacts and inputs, the service it calls, the pool and its GPUs, disk, memory, /dev/shm, programs.

  noescape flow preflight inspect_folder --set dig_url_root=work data=parts/
  noescape flow preflight texture_defect_generation_day0 --pool gpu --set dig_url_root=s3://bucket/dig
  noescape flow preflight pod-template        what pods of the cluster offer to GPU tasks

For a cluster with --pool or --for osmo, or when dig_url_root is in a bucket and a pool is remembered; else for this
machine. --no-probe asks nothing over the network. Exit codes: 0 it can start, 1 something is missing, 2 wrong use.
pod-template: 0 verified, 1 an administrator must add something, 2 not permitted to look (HTTP 403), 3 skipped, the
configuration lies elsewhere (HTTP 409), 4 could not be asked.
"""
POD_TEMPLATE = "pod-template"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    raw = argparse.RawDescriptionHelpFormatter
    p = commands.add_parser("preflight", help="what would stop a flow", description=PREFLIGHT, formatter_class=raw)
    p.add_argument("flow", metavar=f"NAME|FILE|{POD_TEMPLATE}", help="a flow (`noescape flow list`) or a workflow file")
    p.add_argument("--usecase", help="one of the use cases that `flow show` lists")
    p.add_argument("--set", nargs="+", action="extend", default=[], metavar="K=V", help="knobs; numbers become numbers")
    p.add_argument("--set-string", nargs="+", action="extend", default=[], metavar="K=V", help="knobs that stay text")
    p.add_argument("--pool", "-p", help="the pool of the cluster that is meant")
    p.add_argument("--for", dest="target", choices=("local", "osmo"), help="where it shall start")
    p.add_argument("--no-probe", action="store_true", help="ask nothing that goes over the network")
    p.add_argument(
        "--env-file", type=Path, metavar="FILE", help="variables with credentials (default: .env, if it is there)"
    )
    p.add_argument("--runs-dir", type=Path, default=Path("flow-runs"), metavar="DIR", help="where runs lie (flow-runs)")
    p.add_argument("--json", action="store_true", help="the findings as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine and print; the exit code says whether it can start."""
    from noescape.files import dump_json
    from noescape.flow.preflight.examine import lines

    if args.flow == POD_TEMPLATE:
        return run_pod_template(args)
    result = _examined(args)
    if args.json:
        print(dump_json(result.as_json()), end="")
    else:
        from noescape.flow.watching.foreign import harmless

        print("\n".join(harmless(line) for line in lines(result)))
    return 1 if result.missing else 0


def run_pod_template(args: argparse.Namespace) -> int:
    """Ask the cluster for its pod template; the exit code is the answer."""
    from noescape.files import dump_json
    from noescape.flow.cluster.osmo import find_osmo
    from noescape.flow.preflight.pod_template import CONFIRMED, KEY, ask
    from noescape.flow.preflight.verdicts import Verdicts
    from noescape.flow.watching.foreign import harmless
    from noescape.records import UsageError

    others = [flag for flag in ("usecase", "set", "set_string", "pool", "target", "env_file") if getattr(args, flag)]
    if others or args.no_probe:
        flags = [f"--{name.replace('_', '-')}" for name in [*others, *(["no_probe"] if args.no_probe else [])]]
        raise UsageError(f"{POD_TEMPLATE} asks the cluster and takes none of {', '.join(flags)}")
    memory = Verdicts()
    answer = ask(find_osmo, memory)
    before = memory.recall(KEY)
    if args.json:
        known = {"verdict": before[0], "day": before[1]} if before else None
        result = {"code": answer.code, "verdict": answer.verdict, "detail": answer.detail, "mend": answer.mend}
        print(dump_json({**result, "remembered": known}), end="")
        return answer.code
    print(harmless(f"pod template: {answer.verdict}: {answer.detail}"))
    if answer.code == 2 and before and before[0] == CONFIRMED:
        print(f"remembered: somebody who knows confirmed it ({before[1]})")
    elif answer.mend:
        print(f"  → {answer.mend}")
    return answer.code


def _examined(args: argparse.Namespace) -> Preflight:
    import os

    from noescape.flow.cards import preferences
    from noescape.flow.cards.ask import on_terminal
    from noescape.flow.cards.catalog import find
    from noescape.flow.cards.resolve import resolve
    from noescape.flow.cluster.submit import NAME_KNOB, stamped
    from noescape.flow.format.load import load
    from noescape.flow.machine import this_machine
    from noescape.flow.preflight.examine import examine
    from noescape.flow.preflight.finding import Situation
    from noescape.flow.preflight.verdicts import Verdicts
    from noescape.flow.secrets.credentials import ENV_FILE, Credentials

    flow = find(args.flow)
    remembered = preferences.read()
    pool = args.pool or remembered.get("pool")
    target: Literal["local", "osmo"] = args.target or _target(args, remembered.get("dig_url_root", ""), pool)
    resolved = resolve(
        flow,
        sets=args.set,
        string_sets=args.set_string,
        usecase=args.usecase,
        preferences=remembered,
        target=target,
        ask=on_terminal(),
    )
    sets = resolved.sets
    if flow.card is None and NAME_KNOB not in resolved.values:
        sets = (f"{NAME_KNOB}={stamped(flow.stem)}", *sets)
    loaded = load(flow.path, sets=sets, string_sets=resolved.string_sets, target=target) if flow.path else None
    env_file = args.env_file or (Path(ENV_FILE) if Path(ENV_FILE).is_file() else None)
    situation = Situation(
        flow=flow,
        card=flow.card,
        values=resolved.values,
        workflow=loaded.workflow if loaded else None,
        target=target,
        pool=pool if target == "osmo" else None,
        probe=not args.no_probe,
        base=Path.cwd(),
        runs=args.runs_dir.absolute(),
        credentials=Credentials.read(env_file),
        machine=this_machine(),
        environ=os.environ,
        memory=Verdicts(),
    )
    if not args.json:
        for note in resolved.notes:
            print(note, file=sys.stderr)
    return examine(situation, loaded)


def _target(args: argparse.Namespace, root: str, pool: str | None) -> Literal["local", "osmo"]:
    """A cluster when one is meant: by a pool that is given, or by a bucket as root when a pool is remembered."""
    from noescape.flow.cards.command import is_for_a_cluster

    if args.pool:
        return "osmo"
    for word in [*args.set, *args.set_string]:
        name, _, value = word.partition("=")
        root = value if name == "dig_url_root" else root
    return "osmo" if pool and root and is_for_a_cluster(root) else "local"
