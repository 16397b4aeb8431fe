"""kill -9 at any moment: a file is the old one or the new one, a log loses at most its last line."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from noescape.files import JsonlAppender, read_jsonl, remove_parts, write_json

WRITER = """
import sys
from pathlib import Path
from noescape.files import write_json
path = Path(sys.argv[1])
print("go", flush=True)
number = 0
while True:
    number += 1
    write_json(path, {"number": number, "body": [number] * 3000, "last": number})
"""
APPENDER = """
import sys
from pathlib import Path
from noescape.files import JsonlAppender
with JsonlAppender(Path(sys.argv[1])) as log:
    number = sum(1 for _ in open(sys.argv[1], "rb"))
    print("go", flush=True)
    while True:
        log.append({"number": number, "body": "x" * 3000})
        number += 1
"""


def kill_after(program: str, path: Path, seconds: float) -> None:
    """Start a program, let it get going, and kill it with no chance to clean up."""
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"go\n"
        time.sleep(seconds)
        assert child.poll() is None, "the program ended before it was killed"
        child.send_signal(signal.SIGKILL)


def kill_writers(folder: Path, *, kills: int, seed: int) -> None:
    """Kill a writer again and again; the file is whole every time, and each kill leaves at most one part file."""
    rng = random.Random(seed)
    path = folder / "state.json"
    write_json(path, {"number": 0, "body": [0] * 3000, "last": 0})
    seen: set[int] = set()
    litter: list[Path] = []
    for done in range(1, kills + 1):
        kill_after(WRITER, path, rng.uniform(0, 0.05))
        state = json.loads(path.read_text("utf-8"))
        assert state["number"] == state["last"] and state["body"] == [state["number"]] * 3000
        seen.add(state["number"])
        litter = [p for p in folder.iterdir() if p != path]
        assert len(litter) <= done and all(p.name.startswith(".state.json.") and p.suffix == ".part" for p in litter)
    assert len(seen) > 3, "every kill came before the first write"
    write_json(path, {"after": True})
    assert json.loads(path.read_text("utf-8")) == {"after": True}
    assert remove_parts(folder) == sorted(p.name for p in litter) and [*folder.iterdir()] == [path]


def kill_appenders(folder: Path, *, kills: int, seed: int) -> None:
    """Kill an appender again and again; after the repair the rows are whole and in order, none missing between."""
    rng = random.Random(seed)
    path = folder / "log.jsonl"
    before = 0
    for _ in range(kills):
        kill_after(APPENDER, path, rng.uniform(0, 0.01))
        rows = [row["number"] for row in read_jsonl(path)]
        assert rows == [*range(len(rows))] and len(rows) >= before
        before = len(rows)
    with JsonlAppender(path) as log:
        log.append({"number": before, "body": ""})
    assert [row["number"] for row in read_jsonl(path)] == [*range(before + 1)]


def test_killed_writers_leave_the_old_or_the_new_file(tmp_path: Path) -> None:
    """24 kills at random moments of a program that rewrites one file without pause."""
    kill_writers(tmp_path, kills=24, seed=1)


def test_killed_appenders_lose_at_most_the_last_row(tmp_path: Path) -> None:
    kill_appenders(tmp_path, kills=8, seed=2)
