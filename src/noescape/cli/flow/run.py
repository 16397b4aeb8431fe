"""`noescape flow run|resume`: a workflow as processes of this machine, and going on with one that stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from noescape.cli.flow import choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from noescape.flow.engine.layout import RunFolder
    from noescape.flow.format.load import Loaded
    from noescape.flow.format.spec import Workflow
    from noescape.flow.machine import Machine
    from noescape.flow.secrets.credentials import Credentials

RUN = """\
Run a workflow on this machine: its tasks as local processes, each in a folder of its own, side by side as far as
cores, memory and GPUs allow. All that can be checked is checked before anything starts. State is on disk at every
moment: after a crash, a kill or a failure `noescape flow resume ID` goes on, and finished tasks are not run again.

  noescape flow run inspect_folder --set dig_url_root=work data=parts/
  noescape flow run my_flow.yaml --set lr=0.1 --env-file .env
"""
RESUME = """\
Go on with a run: what finished and is still the same is kept; what failed, was stopped, or has changed since (the
workflow file, its settings, its inputs, the code it calls) is run again, with everything behind it.

  noescape flow resume ID
  noescape flow resume ID --set num_sdg=50      with another setting
"""
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    raw = argparse.RawDescriptionHelpFormatter
    p = commands.add_parser("run", help="run a workflow on this machine", description=RUN, formatter_class=raw)
    p.add_argument("flow", metavar="NAME|FILE", help="a flow (`noescape flow list`) or a workflow file")
    choices.add_flags(p)
    p.add_argument("--name", metavar="NAME", help="name of the run, for workflows that use `name` (default: fresh)")
    _add_common(p)
    p.set_defaults(run=run_run)

    told = "go on with a run that stopped or failed"
    p = commands.add_parser("resume", help=told, description=RESUME, formatter_class=raw)
    p.add_argument("id", metavar="ID", help="id of a run of this machine")
    p.add_argument("--set", nargs="+", action="extend", default=[], metavar="K=V", help="knobs that shall be another")
    p.add_argument("--set-string", nargs="+", action="extend", default=[], metavar="K=V", help="never as numbers")
    p.add_argument("--accept-version", action="store_true", help="keep what another version of the program made")
    _add_common(p)
    p.set_defaults(run=run_resume)


def _add_common(p: argparse.ArgumentParser) -> None:
    p.add_argument("--runs-dir", type=Path, default=Path("flow-runs"), help="folder of runs (default: %(default)s)")
    p.add_argument("--env-file", type=Path, help="file with credentials (default: .env, where there is one)")
    p.add_argument("--max-retries", type=int, metavar="N", help="tries after the first, where a task asks (default: 3)")
    p.add_argument("--detach", action="store_true", help="work in the background; prints the id")
    p.add_argument("--json", action="store_true", help="one JSON object a line")


def run_run(args: argparse.Namespace) -> int:
    """Decide, load, check, run."""
    from noescape.cli.flow.inputs import refuse_missing
    from noescape.flow.engine.run import prepare
    from noescape.flow.format.load import require

    _check(args)
    if args.name:
        args.set = [*args.set, f"name={args.name}"]
    loaded, wanted = (_load(args.flow, args.set, args.set_string), None) if _plain(args) else _load_with_card(args)
    workflow = require(loaded)
    for problem in loaded.problems:
        print(f"note: {problem}", file=sys.stderr)
    machine, credentials = _machine(workflow), _credentials(args.env_file)
    refuse_missing(loaded, Path.cwd(), credentials.storage())
    facts = {
        "env_file": str(args.env_file.absolute()) if args.env_file else None,
        "max_retries": args.max_retries,
        "wanted": wanted,
    }
    run = prepare(
        loaded,
        runs=args.runs_dir,
        base=Path.cwd(),
        machine=machine,
        credentials=credentials,
        storage_secrets=credentials.storage(),
        facts=facts,
    )
    return _detached(run, args) if args.detach else _work(run, loaded, machine, credentials, args)


def run_resume(args: argparse.Namespace) -> int:
    """Load anew, keep what is still the same, run the rest."""
    from noescape.flow.engine.layout import find_run
    from noescape.flow.engine.run import reload
    from noescape.flow.format.load import require

    _check(args)
    run = find_run(args.runs_dir, args.id)
    if args.detach:
        return _detached(run, args)
    facts = run.read_facts()
    if args.env_file is None and facts.get("env_file"):
        args.env_file = Path(facts["env_file"])
    if args.max_retries is None:
        args.max_retries = facts.get("max_retries")
    loaded = reload(run, sets=args.set, string_sets=args.set_string)
    return _work(run, loaded, _machine(require(loaded)), _credentials(args.env_file), args)


def _check(args: argparse.Namespace) -> None:
    from noescape.records import UsageError

    if args.max_retries is not None and args.max_retries < 0:
        raise UsageError(f"--max-retries: expected 0 or more, got {args.max_retries}")


def _plain(args: argparse.Namespace) -> bool:
    """A file with no card beside it and no wish that only a card could grant: what cards need is not even imported."""
    path = Path(args.flow)
    asked = choices.wishes(args) or args.defects or args.usecase
    return not asked and path.suffix in (".yaml", ".yml") and path.is_file() and not _card(path).exists()


def _card(path: Path) -> Path:
    return path.with_name(f"{path.stem}.card.yaml")


def _load_with_card(args: argparse.Namespace) -> tuple[Loaded, int | None]:
    """A flow by name, or a file with a card: its card decides what is not given. And how many results are wanted."""
    from noescape.flow.cards.catalog import find, planned
    from noescape.records import UsageError

    flow = find(args.flow)
    if flow.path is None:
        raise UsageError(planned(flow))
    resolved = choices.decide(flow, args)
    for note in resolved.notes:
        print(f"note: {note}", file=sys.stderr)
    knobs = flow.card.knobs if flow.card else {}
    required = [name for name, knob in knobs.items() if knob.load_bearing]
    return _load(flow.path, resolved.sets, resolved.string_sets, required), resolved.wanted


def _load(place: Path | str, sets: Sequence[str], string_sets: Sequence[str], required: Sequence[str] = ()) -> Loaded:
    """The workflow; one that uses `name`, and neither has nor is given one, gets a fresh one."""
    from noescape.flow.format.load import load

    path = Path(place)
    loaded = load(path, sets=sets, string_sets=string_sets, required=required)
    if not loaded.failed or "name" in loaded.variables or not _uses_name(loaded.source):
        return loaded
    from noescape.flow.cluster.submit import stamped

    again = load(path, sets=[*sets, f"name={stamped(path.stem)}"], string_sets=string_sets, required=required)
    return again if len(again.problems) < len(loaded.problems) else loaded


def _uses_name(source: str) -> bool:
    import re

    return re.search(r"\{[{%][^{}]*\bname\b", source) is not None


def _machine(workflow: Workflow) -> Machine:
    """This machine; its GPUs are looked for only where some are asked for."""
    from noescape.flow.engine.needs import resource_of
    from noescape.flow.machine import Machine, total_memory, usable_cores, visible_gpus

    wanted = any(resource_of(workflow, task).gpu for task in workflow.tasks)
    return Machine(cpus=usable_cores(), memory=total_memory(), gpus=visible_gpus() if wanted else ())


def _credentials(env_file: Path | None) -> Credentials:
    from noescape.flow.secrets.credentials import ENV_FILE, Credentials

    if env_file is None and Path(ENV_FILE).is_file():
        env_file = Path(ENV_FILE)
    credentials = Credentials.read(env_file)
    for warning in credentials.warnings:
        print(f"note: {warning}", file=sys.stderr)
    return credentials


def _work(run: RunFolder, loaded: Loaded, machine: Machine, credentials: Credentials, args: argparse.Namespace) -> int:
    from noescape.cli.flow.results import results_of
    from noescape.cli.flow.telling import tell_end, telling
    from noescape.flow.engine.run import MAX_RETRIES, work
    from noescape.flow.format.load import require

    _keep_to_ourselves()
    with telling(run, as_json=args.json) as on_event:
        outcome = work(
            run,
            require(loaded),
            machine=machine,
            credentials=credentials,
            max_retries=MAX_RETRIES if args.max_retries is None else args.max_retries,
            accept_version=getattr(args, "accept_version", False),
            on_event=on_event,
            environ=_callers_environment(),
            storage_secrets=credentials.storage(),
        )
    results = None
    if _card(Path(loaded.path)).exists():
        facts = run.read_facts()
        results = results_of(loaded, Path(facts.get("base", ".")), credentials.storage(), facts.get("wanted"))
    if results and not results.made and outcome.status != "COMPLETED":
        results = None
    tell_end(outcome, results, runs_flag=_runs_flag(args), as_json=args.json)
    return 0 if outcome.status == "COMPLETED" else 1


def _runs_flag(args: argparse.Namespace) -> str:
    import shlex

    return "" if args.runs_dir == Path("flow-runs") else f" --runs-dir {shlex.quote(str(args.runs_dir))}"


def _keep_to_ourselves() -> None:
    """Descriptors that this process was started with go to no task: only the first three mean anything to one."""
    for name in os.listdir("/dev/fd") if Path("/dev/fd").is_dir() else []:  # noqa: PTH208
        if name.isdecimal() and int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                continue  # the one that listed the folder


def _callers_environment() -> Mapping[str, str]:
    """The environment without the thread counts that `noescape` sets for itself alone."""
    try:
        before = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return os.environ
    given = {word.partition(b"=")[0].decode("utf-8", "surrogateescape") for word in before}
    return {name: value for name, value in os.environ.items() if name not in _THREADS or name in given}


def _detached(run: RunFolder, args: argparse.Namespace) -> int:
    """An engine in the background, whose words go to engine.log."""
    command = [sys.executable, "-m", "noescape", "flow", "resume", run.id, "--runs-dir", str(run.path.parent)]
    command += ["--env-file", str(args.env_file)] if args.env_file else []
    command += ["--max-retries", str(args.max_retries)] if args.max_retries is not None else []
    command += ["--accept-version"] if getattr(args, "accept_version", False) else []
    if hasattr(args, "id"):
        command += ["--set", *args.set] if args.set else []
        command += ["--set-string", *args.set_string] if args.set_string else []
    log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    wiring = (nothing, (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2))
    try:
        os.posix_spawn(sys.executable, command, os.environ, file_actions=wiring, setsid=True)
    finally:
        os.close(log)
    print(run.id)
    print(f"watch it: noescape flow watch {run.id}{_runs_flag(args)}", file=sys.stderr)
    return 0
