"""`noescape flow init`: the first-time questions, once; the answers go to the user's own config folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEYS = ("dig_url_root", "pool", "image_edit_endpoint", "board", "pod_template", "admin_role")
HELP = """\
Ask, once, what is the same each time, and remember it in your own config folder. What is remembered already is not
asked again (--again asks all of it). Without a terminal give each answer by its flag.

  noescape flow init
  noescape flow init --dig-url-root s3://bucket/dig --pool gpu --image-edit-endpoint none
"""
ADMIN = "osmo-admin"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    raw = argparse.RawDescriptionHelpFormatter
    p = commands.add_parser("init", help="answer the first-time questions once", description=HELP, formatter_class=raw)
    p.add_argument("--dig-url-root", metavar="PLACE", help="where models, datasets and runs lie; there is no default")
    p.add_argument("--pool", help="pool of the cluster, or none")
    p.add_argument("--image-edit-endpoint", metavar="URL", help="address of a service, deploy, or none")
    p.add_argument("--board", help="default board")
    p.add_argument("--pod-template", help="verified, user-confirmed, skipped-409 or none")
    p.add_argument("--admin-role", help="present or absent")
    p.add_argument("--forget", nargs="+", default=[], metavar="KEY", help="forget these")
    p.add_argument("--again", action="store_true", help="ask also what is remembered")
    p.add_argument("--json", action="store_true", help="what is remembered then, as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask, check, remember, show."""
    from noescape.files import dump_json
    from noescape.flow.cards import preferences

    given = {key: value for key in KEYS if (value := getattr(args, key)) is not None}
    forgotten: dict[str, str | None] = dict.fromkeys(key.replace("-", "_") for key in args.forget)
    known = {} if args.again else {k: v for k, v in preferences.answered().items() if k not in forgotten}
    if not forgotten or given:
        given |= _gather(given, known)
    kept = preferences.remember({**forgotten, **{key: _kept(key, value) for key, value in given.items()}})
    path = preferences.folder() / preferences.FILE
    if args.json:
        print(dump_json({"path": str(path), "preferences": kept}), end="")
        return 0
    print(f"remembered in {path}:")
    for key, value in kept.items():
        print(f"  {key:<20}  {value}")
    print("next: noescape flow list")
    return 0


def _gather(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Answers to what is neither given nor known; UsageError with all missing flags when nobody can be asked."""
    from noescape.flow.cards import preferences
    from noescape.flow.cards.ask import answers, on_terminal
    from noescape.records import UsageError

    asker = on_terminal()
    found: dict[str, str] = {}
    missing = []
    pools, seen, forbidden = _cluster() if {"pool", "admin_role"} - known.keys() else ([], {}, False)
    found |= {key: value for key, value in seen.items() if key not in given}
    for key, spec in preferences.keys().items():
        if (
            key in given
            or key in known
            or key in found
            or spec.when == "never"
            or (spec.when != "always" and not forbidden)
        ):
            continue
        question = _with_candidates(key, spec.question, pools if spec.source == "pools" else [])
        if asker:
            found |= asker(key, question)
        elif not spec.optional:
            missing.append(f"  --{key.replace('_', '-')} …   {question.ask} ({answers(question)})")
    if missing:
        raise UsageError("\n".join(["nobody can be asked here, so give the answers by flags:", *missing]))
    return found


def _cluster() -> tuple[list[str], dict[str, str], bool]:
    """Accessible pools, what the cluster answers by itself, and whether its pod template may not be read."""
    from noescape.flow.cluster.osmo import find_osmo, has_osmo
    from noescape.flow.cluster.osmo_error import OsmoError
    from noescape.flow.preflight import pod_template

    if not has_osmo():
        return [], {}, False
    osmo = find_osmo()
    try:
        profile = osmo.profile()
    except OsmoError as error:
        print(f"note: the cluster could not be asked ({error})", file=sys.stderr)
        return [], {}, False
    pools = profile["pools"] if isinstance(profile["pools"], list) else []
    roles = profile["roles"] if isinstance(profile["roles"], list) else []
    seen = _Seen(admin_role="present" if ADMIN in roles else "absent")
    answer = pod_template.ask(lambda: osmo, seen)
    return [str(pool) for pool in pools], seen, answer.code == 2


class _Seen(dict[str, str]):
    """What was learnt from the cluster, kept apart until all questions are answered."""

    def recall(self, key: str) -> tuple[str, str] | None:
        """Nothing: all of it is new."""
        return None

    def remember(self, key: str, verdict: str | None) -> None:
        """For `_kept`."""
        if verdict is not None:
            self[key] = verdict


def _with_candidates(key: str, question: Any, candidates: list[str]) -> Any:
    """The question with what the cluster offers as its first answers; at most four answers in all."""
    from noescape.flow.cards.card_parts import Option, Question

    if not candidates:
        return question
    room = 4 - len(question.options)
    found = [Option(label=name, sets={key: name}) for name in candidates[:room]]
    more = f" (you may use: {', '.join(candidates)})" if len(candidates) > room else ""
    return Question(ask=question.ask + more, options=(*found, *question.options))


def _kept(key: str, value: str) -> str:
    """A folder is remembered absolute: it must mean the same place from everywhere."""
    from noescape.flow.storage import absolute, is_remote, url_problem
    from noescape.records import UsageError

    if key != "dig_url_root":
        return value
    if wrong := url_problem(value, "osmo" if is_remote(value) else "local"):
        raise UsageError(f"{key}: {wrong}")
    return absolute(value, Path.cwd())
