"""What the stand-in's commands do once their flags are read."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standin_world import CommandError, World

if TYPE_CHECKING:
    from noescape.flow.format.load import Loaded


def run(world: World, args: argparse.Namespace) -> None:
    """One command."""
    ROOMS[f"{args.room} {getattr(args, 'command', '')}".strip()](world, args)


def say(args: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, indent=2) if args.format_type == "json" else text)


def checked(world: World, args: argparse.Namespace) -> Loaded:
    """Both passes of a submission: the server renders, the client inlines files, the server renders and parses again.

    The CLI's rules: what fails in the first pass is an error of its own (2), in the second a refused submission (1).
    """
    from noescape.flow.format.load import load

    for item in (*args.set, *args.set_string):
        if "=" not in item:
            raise CommandError(f"{item} is not in the form <field>=<value>", 400)
    loaded = load(Path(args.workflow_file), sets=args.set, string_sets=args.set_string, target="osmo")
    # The CLI's rule: a variable that no template uses is no error (our own validation calls it one).
    wrong = [str(p) for p in loaded.problems if p.level == "error" and p.rule != "unknown-set"]
    if wrong or loaded.workflow is None:
        first_pass = {p.rule for p in loaded.problems} & {
            "undefined",
            "template",
            "token-spaces",
            "default-values",
            "set",
        }
        raise CommandError("; ".join(wrong), 422, 2 if first_pass or not loaded.text else 1)
    return loaded


def submit(world: World, args: argparse.Namespace) -> None:
    pool = world.pool(args.pool)
    path = Path(args.workflow_file)
    if not path.exists():
        # The CLI's rule: what is no file may be the id of a run, which takes neither --dry-run nor --set.
        if not re.search(r"-\d+$", args.workflow_file):
            raise CommandError(f"[Errno 2] No such file or directory: {args.workflow_file!r}", None, 1)
        if args.dry_run or args.set:
            print("Please remove the flag when submitting a workflow using a workflow ID.", file=sys.stderr)
            return
        again = argparse.Namespace(**vars(args) | {"workflow_file": world.run(args.workflow_file) / "template.yaml"})
        args = again
    loaded = checked(world, args)
    if args.dry_run:
        print(loaded.text)  # the CLI's rule: a dry run prints the rendered file, whatever the format
        return
    assert loaded.workflow is not None
    name = world.add(loaded.workflow, loaded.text, loaded.source, pool, args.priority or "NORMAL")
    root = f"https://osmo.example/workflows/{name}"
    answer = {"name": name, "overview": root, "logs": f"{root}/logs", "spec": f"{root}/spec", "dashboard_url": None}
    answer |= {"warnings": world.script.get("warnings", [])} if world.script.get("head") else {}
    say(args, answer, f"Workflow submit successful.\nWorkflow ID        - {name}\nWorkflow Overview  - {root}")


def validate(world: World, args: argparse.Namespace) -> None:
    world.pool(args.pool)
    checked(world, args)
    print("Workflow validation succeeded.")


def restart(world: World, args: argparse.Namespace) -> None:
    query = world.query(args.workflow_id, advance=False)
    if not query["status"].startswith("FAILED"):
        raise CommandError(f"Workflow {args.workflow_id} has not failed", 400, 1)
    raise CommandError("the stand-in does not restart", 400, 1)


def query(world: World, args: argparse.Namespace) -> None:
    answer = world.query(args.workflow_id, verbose=args.verbose)
    say(args, answer, f"Workflow ID : {args.workflow_id}\nStatus      : {answer['status']}")


def logs(world: World, args: argparse.Namespace) -> None:
    # The CLI's rule: a try or an error log belongs to a task; -r 0 and -n 0 are as if not given.
    if (getattr(args, "error", False) or args.retry_id) and not args.task:
        raise CommandError("Specify task for retry ID or error logs.", 400)
    run = world.query(args.workflow_id, advance=False)
    names = [task["name"] for group in run["groups"] for task in group["tasks"]]
    if args.task and args.task not in names:
        raise CommandError(f"Task {args.task} not found in workflow {args.workflow_id}", 404)
    kind = "error logs" if getattr(args, "error", False) else "logs" if args.command == "logs" else "events"
    print(f"Workflow {args.workflow_id} has {kind}:")  # the CLI's rule: the first line is a banner
    told = world.script.get("logs", {})
    text = told.get(f"{args.task}/{args.retry_id or 0}", told.get(args.task or "*", f"hello from {args.task or 'all'}"))
    if isinstance(text, dict) and "bytes" in text:
        line = "x" * 99 + "\n"
        for number in range(text["bytes"] // 100000):
            sys.stdout.write(f"{number:09d} " + line[10:] + line * 999)
        return
    lines = text.split("\n")
    wanted = getattr(args, "last_n_lines", None)
    for line in lines[-wanted:] if wanted else lines:
        print(line)


def cancel(world: World, args: argparse.Namespace) -> None:
    # The CLI's rule: what cannot be canceled is told in words, for each id, and the exit code stays 0.
    for run_id in args.workflow_ids:
        try:
            path = world.run(run_id)
            status = world.query(run_id, advance=False)["status"]
            if status.startswith(("FAILED", "COMPLETED")):
                raise CommandError(f"Workflow {run_id} is already finished", 400)
            facts = json.loads((path / "facts.json").read_text("utf-8")) | {"canceled": args.message or "yes"}
            (path / "facts.json").write_text(json.dumps(facts), "utf-8")
            say(args, {"name": run_id}, f"Cancel job for workflow {run_id} is submitted!")
        except CommandError as error:
            print(f"Workflow cancelation failed for workflow {run_id}: {error}")


def list_runs(world: World, args: argparse.Namespace) -> None:
    rows = [world.query(name, advance=False) for name in world.runs() if (args.name or "") in name]
    rows = [row for row in rows if not args.status or row["status"] in args.status]
    keys = ("name", "status", "submit_time", "priority", "overview")
    newest = list(reversed(rows))[args.offset : args.offset + args.count]
    if args.order == "asc":
        newest.reverse()
    say(args, {"workflows": [{key: row[key] for key in keys} for row in newest]}, "\n".join(r["name"] for r in newest))


def spec(world: World, args: argparse.Namespace) -> None:
    run = world.run(args.workflow_id)
    print((run / ("template.yaml" if args.template else "spec.yaml")).read_text("utf-8"))


def files_under(root: Path, regex: re.Pattern[str] | None) -> list[tuple[Path, str]]:
    if root.is_file():
        return [(root, root.name)]
    found = [(p, p.relative_to(root).as_posix()) for p in sorted(root.rglob("*")) if p.is_file()]
    return [(p, key) for p, key in found if regex is None or regex.match(key)]  # anchored at the start only


def data(world: World, args: argparse.Namespace) -> None:
    root = world.store(args.remote_uri)
    if args.command == "upload":
        for given in map(Path, args.local_path):
            for path, key in files_under(given, args.regex):
                target = root / (f"{given.name}/{key}" if given.is_dir() else key)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        return
    found = files_under(root, getattr(args, "regex", None))
    if args.command == "check":
        print(json.dumps({"status": "pass"}))
    elif args.command == "list":
        keys = sorted({key if args.recursive else key.split("/")[0] for _, key in found})
        print("".join(f"{key}\n" for key in keys) + f"\nTotal {len(keys)} objects found")
    elif args.command == "delete":
        for path, _ in found:
            path.unlink()
    elif not found:
        raise CommandError(f"No objects found at {args.remote_uri}", 404)
    else:
        for path, key in found:
            target = Path(args.local_path) / key
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def credential(world: World, args: argparse.Namespace) -> None:
    if args.command == "list":
        rows = world.script.get("credentials", [])
        say(args, {"credentials": rows}, "\n".join(row["cred_name"] for row in rows))
        return
    for item in (getattr(args, "payload", None) or []) + (getattr(args, "payload_file", None) or []):
        if not all(item.partition("=")):
            raise CommandError("Invalid payload format. Please use key=value pairs.", None, 1)
    print(f"{args.command} {args.name}")


def profile(world: World, args: argparse.Namespace) -> None:
    if args.command == "set":
        print("Profile Set")
        return
    settings = {"username": "someone", "email_notification": False, "slack_notification": False}
    settings["pool"] = world.script.get("default_pool")
    say(args, {"profile": settings, "pools": world.pools, "roles": ["osmo-user"]}, "\n".join(world.pools))


def pool(world: World, args: argparse.Namespace) -> None:
    usage = {"total_free": 4, "quota_free": 4, "quota_used": 0, "quota_limit": 8, "total_usage": 0, "total_capacity": 8}
    usage |= world.script.get("usage", {})
    names = [name for name in world.pools if not args.pool or name in args.pool]
    rows = [{"name": n, "description": "", "status": "ONLINE", "resource_usage": usage} for n in names]
    say(args, {"node_sets": [{"pools": rows}], "resource_sum": usage}, "\n".join(names))


def config(world: World, args: argparse.Namespace) -> None:
    if not world.script.get("admin"):
        raise CommandError("Access denied: this needs the role osmo-admin", 403)
    found = world.script.get("config", {}).get(args.kind, {})
    print(json.dumps({name: found[name] for name in args.names if name in found} if args.names else found))


ROOMS = {
    "workflow submit": submit, "workflow validate": validate, "workflow restart": restart, "workflow query": query,
    "workflow logs": logs, "workflow events": logs, "workflow cancel": cancel, "workflow list": list_runs,
    "workflow spec": spec, "data upload": data, "data download": data, "data list": data, "data delete": data,
    "data check": data, "credential set": credential, "credential list": credential, "credential delete": credential,
    "profile list": profile, "profile set": profile, "pool list": pool, "config show": config,
    "login": lambda world, args: print("logged in"),
}  # fmt: skip
