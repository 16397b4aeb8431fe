"""A change of several files of a bundle is one step: killed anywhere, it is the old state or the new one."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_maker import tree
from noescape.anomaly.bundle import BUNDLE_FILES, change, sign, verify
from noescape.anomaly.together import finish_replacing, replace_together
from noescape.records import BundleError, PathEscapeError


def _plain_bundle(folder: Path) -> Path:
    for name in BUNDLE_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"old " + name.encode())
    (folder / "metrics.json").write_bytes(b"figures")
    sign(folder)
    return folder


KILL_AT_EVERY_STEP = """
import os, shutil, sys
from pathlib import Path
from noescape.anomaly.bundle import change, verify

source, work = Path(sys.argv[1]), Path(sys.argv[2])
NEW = {"thresholds.json": b"new", "weights/model.safetensors": b"new", "thresholds_history.jsonl": b"new"}
STEPS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "open")

def killed_at(step, action):
    child = os.fork()
    if not child:
        left = [step]
        def hook(event, args):
            if event in STEPS:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
        sys.addaudithook(hook)
        try:
            action()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def state():
    verify(work)
    news = {(work / n).read_bytes() == b"new" if (work / n).exists() else False for n in NEW}
    assert len(news) == 1, "a part is old and a part is new"
    assert (work / "metrics.json").exists() is not news.copy().pop(), "stale figures"
    return "new" if news.pop() else "old"

def restart():
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work)

step, seen = 0, []
while True:
    restart()
    code = killed_at(step, lambda: change(work, NEW, remove=["metrics.json"]))
    assert code in (0, 9), code
    if code == 9 and (work / ".update").exists() and step % 2:
        again = 0
        while killed_at(again, lambda: verify(work)) == 9:  # killed while completing, again and again
            again += 1
    seen.append(state())
    change(work, NEW)
    assert not [p.name for p in work.iterdir() if p.name.startswith(".")], "litter"
    if code == 0:
        break
    step += 1
print(" ".join(seen))
"""


def test_killed_at_every_single_step_it_is_old_or_new(tmp_path: Path) -> None:
    """Every file operation of a change is the last one once, also while an interrupted change is completed."""
    source = _plain_bundle(tmp_path / "source")
    done = subprocess.run(
        [sys.executable, "-c", KILL_AT_EVERY_STEP, str(source), str(tmp_path / "work")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    states = done.stdout.split()
    assert set(states) == {"old", "new"} and states == sorted(states, reverse=True), "once new, always new"
    assert len(states) > 20


CHANGER = """
import secrets, sys
from pathlib import Path
from noescape.anomaly.bundle import change
folder = Path(sys.argv[1])
print("go", flush=True)
while True:
    text = secrets.token_hex(4).encode() * 2000
    change(folder, {"thresholds.json": text, "meta.json": text}, remove=["metrics.json"])
"""


def test_killed_at_random_moments_it_opens(tmp_path: Path) -> None:
    """kill -9 while one change follows the other: the manifest fits, and both files are of one change."""
    folder, rng = _plain_bundle(tmp_path / "run"), random.Random(5)
    contents = set()
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", CHANGER, str(folder)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None and child.stdout.readline() == b"go\n"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(rng.uniform(0.01, 0.15))
            child.kill()
        verify(folder)
        both = {(folder / name).read_bytes() for name in ("thresholds.json", "meta.json")}
        assert len(both) == 1 or both == {b"old thresholds.json", b"old meta.json"}
        contents |= both
    assert len(contents) >= 3, "every kill came before the first change"


def test_a_reader_in_the_middle_of_a_change_sees_the_new_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from noescape.anomaly import bundle

    folder, plain, done = _plain_bundle(tmp_path / "run"), bundle.sha256_file, []

    def slow(path: Path) -> str:
        if path.name == "meta.json" and not done:
            done.append(1)
            change(folder, {"config.yaml": b"new", "thresholds.json": b"new"})
        return plain(path)

    monkeypatch.setattr(bundle, "sha256_file", slow)
    assert verify(folder) == plain(folder / "manifest.json")


def test_the_manifest_moves_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads without a lock and sees the new manifest sees all else new as well."""
    folder, plain, moved = _plain_bundle(tmp_path / "run"), Path.replace, []

    def watched(self: Path, target: Path) -> Path:
        if ".update" in self.parts:
            moved.append(target.name)
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    change(folder, {"thresholds.json": b"new", "weights/model.safetensors": b"new"})
    assert moved == ["thresholds.json", "model.safetensors", "manifest.json"]


def test_an_altered_file_is_still_refused(tmp_path: Path) -> None:
    folder = _plain_bundle(tmp_path / "run")
    (folder / "thresholds.json").write_bytes(b"altered")
    with pytest.raises(BundleError, match=r"thresholds.json was altered"):
        verify(folder)


def test_a_pending_change_from_outside_stays_inside(tmp_path: Path) -> None:
    """A folder that someone else prepared cannot make opening it write or delete elsewhere."""
    folder, outside = _plain_bundle(tmp_path / "run"), tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (folder / ".update").symlink_to(outside)
    with pytest.raises(BundleError, match="no folder that noescape made"):
        verify(folder)
    (folder / ".update").unlink()
    (folder / ".update" / "files" / "way").mkdir(parents=True)
    (folder / ".update" / "files" / "way" / "kept").write_text("changed")
    (folder / "way").symlink_to(outside)
    with pytest.raises(PathEscapeError):
        verify(folder)
    shutil.rmtree(folder / ".update")
    (folder / ".update" / "files").mkdir(parents=True)
    (folder / ".update" / "remove.json").write_text(json.dumps(["../outside/kept"]))
    with pytest.raises(PathEscapeError):
        finish_replacing(folder)
    assert tree(outside) == {"kept": b"kept"}
    with pytest.raises(PathEscapeError):
        replace_together(_plain_bundle(tmp_path / "other"), {"../x": b""})
