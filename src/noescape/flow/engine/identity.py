"""What a task is: its rendered text, its inputs, and the code it calls; never where or when it ran.

Two tasks with one identity and one tool make the same outputs, so a resumed run keeps what is finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from noescape.files import sha256_file, sha256_named
from noescape.flow.format.spec import Task

_OWN_TOOL = re.compile(r"(?<![\w-])noescape(?![\w-])")
# Says where a task runs, or what is told of it, not what it makes.
_PLACE = {"image", "resource", "privileged", "hostNetwork", "backend", "cacheSize", "downloadType", "kpis", "lead"}
_MOST_SCRIPT_BYTES = 16 << 20


def task_identity(task: Task, inputs: Sequence[Sequence[str]]) -> str:
    """Hex digest of the rendered task (tokens still in) and, for each input, what it holds.

    `inputs`: identity, tool and outputs' digest of an upstream task; the digest of a url's content.
    """
    facts = {"task": task.model_dump(mode="json", exclude=_PLACE), "inputs": [list(one) for one in inputs]}
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def tool_of(task: Task, path: str) -> str:
    """What runs in the task: digests of noescape's own code if it is called and of scripts; else the image's name.

    `path` is the PATH that the task gets. Costs one reading of those files.
    """
    words = [*task.command, *task.args]
    found = []
    if any(_OWN_TOOL.search(text) for text in [*words, *(file.contents for file in task.files)]):
        found.append(f"noescape:{own_code()}")
    program = _program(task.command[0], path)
    scripts = ([Path(program)] if program else []) + [Path(w) for w in words if w.startswith("/") and len(w) < 4096]
    for script in dict.fromkeys(scripts):
        if _is_script(script):
            found.append(f"{script.name}:{sha256_file(script)}")
    return " ".join(found) or f"image:{task.image}"


_programs: dict[tuple[str, str], str] = {}


def _program(name: str, path: str) -> str | None:
    """Where PATH finds a program; looked up once, as long as it stays there."""
    known = _programs.get((name, path))
    if known is None or not os.access(known, os.X_OK):
        known = shutil.which(name, path=path)
        if known is None:
            return None
        _programs[name, path] = known
    return known


def _is_script(path: Path) -> bool:
    try:
        if path.name == "noescape" or not path.is_file() or path.stat().st_size > _MOST_SCRIPT_BYTES:
            return False
        with path.open("rb") as f:
            return path.suffix in (".py", ".sh") or f.read(2) == b"#!"
    except (OSError, ValueError):
        return False


@cache
def own_code() -> str:
    """Digest over the code and recipes of this package, read once (some 10 ms).

    Its workflows and cards are left out: what they say of a task is in the task's own text.
    """
    root = Path(__file__).parents[2]
    return sha256_named(_sources(root, root / "assets" / "configs"))


def _sources(root: Path, without: Path) -> Iterable[tuple[str, str]]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__" and Path(folder, name) != without]
        for name in names:
            if name.endswith((".py", ".yaml", ".json")):
                path = Path(folder) / name
                yield path.relative_to(root).as_posix(), sha256_file(path)
