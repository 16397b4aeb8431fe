"""Credentials of tasks from the environment or a `.env` file; their values show up nowhere but where a task gets them.

A task names credentials as the cluster knows them; on one machine they are variables:
    hf-token: {HF_TOKEN: token}     the variable HF_TOKEN itself, else HF_TOKEN_TOKEN (credential and key, upper case)
    storage: /mnt/storage           every variable STORAGE__<KEY> becomes the file <KEY> in that folder
The environment comes before the file; an empty variable counts as none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from noescape.flow.format.spec import Task, Workflow
from noescape.flow.secrets.envfile import read_env_file
from noescape.records import UsageError

ENV_FILE = ".env"
MAX_VALUE_BYTES = 64 << 10  # the masker's memory grows with what it looks for
STORAGE_KEYS = ("access_key_id", "access_key", "endpoint", "override_url", "region", "addressing_style")
_KEY = re.compile(r"(?!_)[A-Za-z0-9_]+")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Granted:
    """What one task gets: variables, files by folder and name, and every value among them (for the masker)."""

    environment: dict[str, str]
    files: dict[str, dict[str, bytes]]
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        files = {mount: sorted(names) for mount, names in self.files.items()}
        return f"Granted(environment={sorted(self.environment)}, files={files}, secrets={len(self.secrets)} hidden)"


class Credentials:
    """Where the values of credentials are looked up. Neither `repr` nor any message holds one."""

    __slots__ = ("_values", "warnings", "where")

    def __init__(self, values: Mapping[str, str], *, where: str, warnings: tuple[str, ...] = ()) -> None:
        """`values` by variable, empty ones left out; `where` says in messages where a missing one belongs."""
        self._values = {name: value for name, value in values.items() if value}
        self.where = where
        self.warnings = warnings

    @classmethod
    def read(cls, env_file: Path | None, environ: Mapping[str, str] | None = None) -> Credentials:
        """From the environment and, behind it, `env_file` (None: no file). UsageError where the file is faulty."""
        values, warnings = read_env_file(env_file) if env_file is not None else ({}, ())
        own = os.environ if environ is None else environ
        merged = {**values, **{name: value for name, value in own.items() if value}}
        return cls(merged, where=f"the environment or {env_file or ENV_FILE}", warnings=warnings)

    def __repr__(self) -> str:
        return f"Credentials({len(self._values)} variables, hidden)"

    def grant(self, task: Task) -> Granted:
        """Everything that `task` asks for; UsageError that names all that is missing and the variables to set."""
        environment: dict[str, str] = {}
        files: dict[str, dict[str, bytes]] = {}
        problems: list[str] = []
        for need in needs(task):
            if lack := self.lack(need):
                problems.append(f"task {task.name}: {lack[0]}: {lack[1]}")
                continue
            found = self._find(need)
            if need.variable:
                if environment.setdefault(need.variable, found[""]) != found[""]:
                    problems.append(f"task {task.name}: two credentials give {need.variable} different values")
                continue
            folder = files.setdefault(need.mount, {})
            for key in sorted(folder.keys() & found):
                problems.append(f"task {task.name}: two credentials give the file {need.mount}/{key}")
            folder.update((key, _bytes(value)) for key, value in found.items())
        if problems:
            raise UsageError("\n".join(problems))
        texts = [data.decode("utf-8", "surrogateescape") for folder in files.values() for data in folder.values()]
        return Granted(environment=environment, files=files, secrets=tuple(sorted({*environment.values(), *texts})))

    def missing(self, workflow: Workflow) -> list[str]:
        """What no variable gives, once for each credential and key, with the tasks that need it."""
        tasks: dict[str, list[str]] = {}
        for task in workflow.tasks:
            for need in needs(task):
                if lack := self.lack(need):
                    tasks.setdefault(": ".join(lack), []).append(task.name)
        return [f"{problem} (for {', '.join(dict.fromkeys(names))})" for problem, names in tasks.items()]

    def lack(self, need: Need) -> tuple[str, str] | None:
        """Why `need` cannot be granted, and what to do about it; None when it can."""
        found = self._find(need)
        what = f"credential {need.credential!r}" + (
            f", key {need.key!r}" if need.variable else f", files in {need.mount}"
        )
        if not found:
            return what, f"set {need.looked_up} in {self.where}"
        if any(len(_bytes(value)) > MAX_VALUE_BYTES for value in found.values()):
            return what, f"a value has more than {MAX_VALUE_BYTES >> 10} KiB: keep such data in storage"
        return None

    def storage(self) -> dict[str, dict[str, str]]:
        """Keys for object stores, by credential, as `storage.open_store` takes them.

        A credential counts when <CRED>__ACCESS_KEY_ID and <CRED>__ACCESS_KEY are set. <CRED>__ENDPOINT (the storage it
        is for), __OVERRIDE_URL, __REGION and __ADDRESSING_STYLE go with it. In capitals or not.
        """
        found: dict[str, dict[str, str]] = {}
        for name, value in self._values.items():
            prefix, _, key = name.partition("__")
            if key.lower() in STORAGE_KEYS and prefix:
                found.setdefault(prefix.lower().replace("_", "-"), {})[key.lower()] = value
        return {name: keys for name, keys in found.items() if {"access_key_id", "access_key"} <= keys.keys()}

    def _find(self, need: Need) -> dict[str, str]:
        """Values by key ('' for a variable's); empty when there are none."""
        if need.variable:
            value = self._values.get(need.variable) or self._values.get(need.second)
            return {"": value} if value else {}
        start = need.prefix + "__"
        named = {name[len(start) :]: value for name, value in self._values.items() if name.startswith(start)}
        return {key: value for key, value in named.items() if _KEY.fullmatch(key) and "__" not in key}


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One variable from one key of a credential, or (variable empty) all its keys as files under `mount`."""

    credential: str
    variable: str = ""
    key: str = ""
    mount: str = ""

    @property
    def prefix(self) -> str:
        """The credential's name as it begins variables."""
        return _upper(self.credential)

    @property
    def second(self) -> str:
        """The variable that counts when the task's own is not set."""
        return f"{self.prefix}_{_upper(self.key)}"

    @property
    def looked_up(self) -> str:
        """The variables that would give it, in words."""
        if self.variable:
            return " or ".join(dict.fromkeys((self.variable, self.second)))
        return f"{self.prefix}__<KEY> for each file <KEY>"


def needs(task: Task) -> Iterator[Need]:
    """Everything that `task` wants from credentials."""
    for credential, form in task.credentials.items():
        if isinstance(form, str):
            yield Need(credential=credential, mount=form)
        else:
            for variable, key in form.items():
                yield Need(credential=credential, variable=variable, key=key)


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
