"""A stand-in for the cluster's `osmo` command: the same flags, the same refusals, the same answers; no cluster.

Run as a program (see `cluster_maker.install`). It takes exactly the flags below and refuses every other one, keeps its
workflows in the folder $STANDIN_OSMO (see `standin_world`), and can be told to be slow, busy, broken or silent. Each
rule of the real command that it keeps stands beside the code that keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from standin_world import STATUSES, CommandError, World

HIGH_NORMAL_LOW = ("HIGH", "NORMAL", "LOW")
CONFIGS = ("BACKEND", "BACKEND_TEST", "DATASET", "GROUP_TEMPLATE", "POD_TEMPLATE", "POOL", "RESOURCE_VALIDATION",
           "ROLE", "SERVICE", "WORKFLOW")  # fmt: skip
# The CLI's rule: storage addresses have one of five schemes, no wildcard, comma or semicolon in a part.
_STORAGE = re.compile(r"(s3|gs)://[^/,;*]+(/[^/,;*]+)*/?|(azure|tos)://[^/,;*]+/[^/,;*]+(/[^/,;*]+)*/?|"
                      r"swift://[^/,;*]+/[^/,;*]+/[^/,;*]+(/[^/,;*]+)*/?")  # fmt: skip


def storage(text: str) -> str:
    if not _STORAGE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is not a storage path")
    return text


def existing(text: str) -> str:
    # The CLI's rule: data download takes a local path that is there.
    if not Path(text).exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return text


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


class Strict(argparse.ArgumentParser):
    """Whole flags only: a shortened flag may mean another thing in the next version."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False} | kwargs)


def parser() -> Strict:
    top = Strict(prog="osmo")
    rooms = top.add_subparsers(dest="room", required=True, parser_class=Strict)
    _workflow(rooms.add_parser("workflow").add_subparsers(dest="command", required=True, parser_class=Strict))
    _data(rooms.add_parser("data").add_subparsers(dest="command", required=True, parser_class=Strict))
    credential = rooms.add_parser("credential")
    # The CLI's rule: --format-type belongs to `credential`, before the subcommand, and has no short form.
    credential.add_argument("--format-type", choices=("json", "text"), default="text")
    inside = credential.add_subparsers(dest="command", required=True, parser_class=Strict)
    p = inside.add_parser("set")
    p.add_argument("name")
    p.add_argument("--type", choices=("REGISTRY", "DATA", "GENERIC"), default="GENERIC")
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--payload", nargs="+")
    what.add_argument("--payload-file", nargs="+")
    inside.add_parser("list")
    inside.add_parser("delete").add_argument("name")
    inside = rooms.add_parser("profile").add_subparsers(dest="command", required=True, parser_class=Strict)
    _format(inside.add_parser("list"))
    p = inside.add_parser("set")
    p.add_argument("setting", choices=("notifications", "bucket", "pool"))
    p.add_argument("value")
    p.add_argument("enabled", nargs="?", choices=("true", "false"))
    p = rooms.add_parser("pool").add_subparsers(dest="command", required=True, parser_class=Strict).add_parser("list")
    p.add_argument("--pool", "-p", nargs="+", default=[])
    p.add_argument("--mode", "-m", choices=("free", "used"), default="used")
    _format(p)
    # The CLI's rule: config show prints JSON and has no format flag.
    p = rooms.add_parser("config").add_subparsers(dest="command", required=True, parser_class=Strict).add_parser("show")
    p.add_argument("kind", type=lambda text: text if text.split(":")[0] in CONFIGS else positive(text))
    p.add_argument("names", nargs="*")
    p = rooms.add_parser("login")
    p.add_argument("url")
    p.add_argument("--method", choices=("code", "password", "token", "dev"), default="code")
    return top


def _format(p: argparse.ArgumentParser) -> None:
    p.add_argument("--format-type", "-t", choices=("json", "text"), default="text")


def _workflow(commands: Any) -> None:
    def of_run(name: str) -> argparse.ArgumentParser:
        p: argparse.ArgumentParser = commands.add_parser(name)
        p.add_argument("workflow_id")
        return p

    # The CLI's rule: -t is the format of submit, query, cancel, list and restart, but the task of logs and events.
    p = commands.add_parser("submit")
    p.add_argument("workflow_file")
    for flag in ("--set", "--set-string", "--set-env"):  # repeated flags add up
        p.add_argument(flag, action="extend", nargs="+", default=[])
    p.add_argument("--dry-run", action="store_true")
    p.add_argument("--pool", "-p")
    p.add_argument("--rsync")
    p.add_argument("--priority", type=str.upper, choices=HIGH_NORMAL_LOW)
    p.add_argument("--label", action="append", default=[])
    _format(p)
    # The CLI's rule: validate needs the server and answers in text only.
    p = commands.add_parser("validate")
    p.add_argument("workflow_file")
    p.add_argument("--set", action="extend", nargs="+", default=[])
    p.add_argument("--set-string", action="extend", nargs="+", default=[])
    p.add_argument("--pool", "-p")
    p.add_argument("--label", action="append", default=[])
    p = of_run("restart")
    p.add_argument("--pool", "-p")
    _format(p)
    p = of_run("query")
    p.add_argument("--verbose", "-v", action="store_true")
    _format(p)
    for name in ("logs", "events"):
        p = of_run(name)
        p.add_argument("--task", "-t")
        p.add_argument("--retry-id", "-r", type=int)
        if name == "logs":
            p.add_argument("--error", action="store_true")
            p.add_argument("-n", dest="last_n_lines", type=int)
    p = commands.add_parser("cancel")
    p.add_argument("workflow_ids", nargs="+")
    p.add_argument("--message", "-m")
    p.add_argument("--force", "-f", action="store_true")
    _format(p)
    p = commands.add_parser("list")
    p.add_argument("--count", "-c", type=positive, default=20)
    p.add_argument("--offset", "-f", type=int, default=0)
    p.add_argument("--name", "-n")
    p.add_argument("--order", "-o", choices=("asc", "desc"), default="asc")
    p.add_argument("--status", "-s", nargs="+", choices=STATUSES, default=[])
    for flag in ("--submitted-after", "--submitted-before", "--app"):
        p.add_argument(flag)
    p.add_argument("-P", dest="app")
    for flag in ("--tags", "--priority"):
        p.add_argument(flag, nargs="+")
    whose = p.add_mutually_exclusive_group()
    whose.add_argument("--user", "-u", nargs="+")
    whose.add_argument("--all-users", "-a", action="store_true")
    p.add_argument("--pool", "-p", nargs="+")
    _format(p)
    of_run("spec").add_argument("--template", action="store_true")


def _data(commands: Any) -> None:
    p = commands.add_parser("upload")
    p.add_argument("remote_uri", type=storage)
    p.add_argument("local_path", nargs="+")
    _transfer(p)
    p = commands.add_parser("download")
    p.add_argument("remote_uri", type=storage)
    p.add_argument("local_path", type=existing)
    p.add_argument("--resume", "-r", action="store_true")
    _transfer(p)
    p = commands.add_parser("list")
    p.add_argument("remote_uri", type=storage)
    p.add_argument("--regex", "-x", type=re.compile)
    p.add_argument("--prefix", "-p", default="")
    p.add_argument("--recursive", "-r", action="store_true")
    where = p.add_mutually_exclusive_group()
    where.add_argument("local_path", nargs="?")
    where.add_argument("--no-pager", action="store_true")
    p = commands.add_parser("delete")
    p.add_argument("remote_uri", type=storage)
    p.add_argument("--regex", "-x", type=re.compile)
    p = commands.add_parser("check")
    p.add_argument("remote_uri", type=storage)
    p.add_argument("--access-type", "-a", choices=("READ", "WRITE", "DELETE"))
    p.add_argument("--config-file", "-c", type=existing)


def _transfer(p: argparse.ArgumentParser) -> None:
    p.add_argument("--regex", "-x", type=re.compile)
    for flags in (("--processes", "-p"), ("--threads", "-T"), ("--benchmark-out", "-b")):
        p.add_argument(*flags)


def main(argv: list[str]) -> int:
    """The CLI's rules for exit codes: 0, 1 a refused submission, 2 other errors (and wrong flags), 3 an interrupt, 10
    the server, 75 too many requests; errors are JSON {"message", "code"} on stdout where the format is json, else
    two lines of text on stdout; a workflow that failed changes no exit code."""
    world = World(Path(os.environ["STANDIN_OSMO"]))
    world.record(argv)
    args = parser().parse_args(argv)
    try:
        fault = world.fault(f"{args.room} {getattr(args, 'command', '')}".strip())
        if "delay_s" in fault:
            time.sleep(fault["delay_s"])
        if "garbage" in fault:
            print(fault["garbage"])
            return 0
        if "exit" in fault:
            raise CommandError(fault.get("message", "no"), fault.get("code"), fault["exit"])
        import standin_commands

        standin_commands.run(world, args)
    except CommandError as error:
        if getattr(args, "format_type", "text") == "json":
            print(json.dumps({"message": str(error), "code": error.code or 1}, indent=2))
        else:
            print("Error message:", error)
            print("Error code:", error.code or 1)
        return error.exit_code
    except KeyboardInterrupt:
        return 3
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)
