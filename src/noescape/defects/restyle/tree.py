"""A folder in, the same folder with a new look out: names kept, masks untouched, one failed row never the batch."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noescape.defects.restyle.engines import Engine, Restyled
from noescape.defects.restyle.errors import EndpointError
from noescape.defects.restyle.files import Tree, encoded, holds_a_mask
from noescape.files import (
    JsonlAppender,
    clock_is_stopped,
    read_json_object,
    read_jsonl,
    remove_parts,
    sha256_file,
    write_bytes,
    write_json,
    write_jsonl,
    write_with,
)
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError, UsageError, WorkError

GIVE_UP_AFTER = 5  # rows in a row that the service did not answer at all
_GONE = ("unreachable", "timeout")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Paths by what became of them: `done` now, `kept` from an earlier run, `failed` {path: reason} (`by_endpoint` of
    them through the service), `copied` files that go along."""

    done: int
    kept: int
    copied: int
    failed: dict[str, str]
    by_endpoint: int


def check_places(source: Path, out: Path) -> None:
    """UsageError unless OUT is another folder, neither inside of IN nor around it."""
    a, b = source.resolve(), out.resolve()
    if a == b or a.is_relative_to(b) or b.is_relative_to(a):
        raise UsageError(f"OUT ({out}) must lie outside of IN ({source}), and IN outside of OUT")


def open_folder(out: Path, identity: dict[str, Any], *, overwrite: bool) -> None:
    """Make OUT ready: new, or one that was begun with the same settings. UsageError on anything else."""
    plan = out / "restyle.json"
    if overwrite and plan.is_file():
        shutil.rmtree(out)
    if plan.is_file():
        if read_json_object(plan, "what an earlier run noted").get("identity") != identity:
            raise UsageError(f"{out} was made with other settings, images or references; --overwrite makes it anew")
    elif out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} holds something else; name an empty or new folder")
    remove_parts(out) if out.is_dir() else None
    write_json(plan, {"identity": identity})


def restyle_tree(
    tree: Tree, out: Path, engine: Engine, *, seed: int, progress: Callable[[int], None] = lambda done: None
) -> Result:
    """Restyle every image of `tree` into `out` (opened before) and copy what goes along.

    Rows are noted in `out/provenance.jsonl` as they are done; at the end the file is written anew in the order of the
    paths. Images that are there already, from the same input, are kept. The run stops early where the service refuses
    everything, or did not answer five times in a row; the images that are left are failed rows.
    """
    log = out / "provenance.jsonl"
    before = {row["path"]: row for row in read_jsonl(log)} if log.is_file() else {}
    run = _Run(tree=tree, out=out, engine=engine, seed=seed, before=before)
    with JsonlAppender(log) as appender:
        for count, name in enumerate([*tree.along, *tree.images], 1):
            row = run.row(name, along=count <= len(tree.along))
            if row != before.get(name):
                appender.append(row)
            progress(count)
    rows = run.rows | {
        name: _failed(name, engine, "a link that leads out of IN is not followed") for name in tree.strays
    }
    write_jsonl(log, [rows[name] for name in sorted(rows)])
    if run.timing and not clock_is_stopped():
        write_json(out / "timing.json", {"rows": run.timing})
    failed = {name: row["reason"] for name, row in sorted(rows.items()) if row["status"] == "failed"}
    done = sum(row["status"] == "done" and row["engine"] != "copied" for row in rows.values())
    copied = sum(row["engine"] == "copied" and row["status"] == "done" for row in rows.values())
    return Result(done=done - run.kept, kept=run.kept, copied=copied, failed=failed, by_endpoint=run.by_endpoint)


class _Run:
    """One pass over a tree."""

    def __init__(self, *, tree: Tree, out: Path, engine: Engine, seed: int, before: dict[str, Any]) -> None:
        self._tree, self._out, self._engine, self._seed, self._before = tree, out, engine, seed, before
        self.rows: dict[str, dict[str, Any]] = {}
        self.timing: dict[str, Any] = {}
        self.kept = self.by_endpoint = 0
        self._gone = 0
        self._stopped = ""

    def row(self, name: str, *, along: bool) -> dict[str, Any]:
        """Do one file; its row of provenance."""
        source, target = self._tree.source(name), self._out / name
        old = self._before.get(name)
        begin = time.monotonic()
        try:
            digest = sha256_file(source)
            if old and _still_good(old, digest, target):
                self.kept += old["engine"] != "copied"
                row = dict(old)
            elif along:
                row = self._copied(name, digest)
            else:
                row = self._image(name, digest)
                self.timing[name] = {"seconds": round(time.monotonic() - begin, 3), "attempts": row.pop("attempts", 1)}
        except OSError as error:
            row = _failed(name, self._engine, f"{error.strerror or error}")
        if row["status"] == "failed":
            target.unlink(missing_ok=True)  # made from what the file was before
        self.rows[name] = row
        return row

    def _image(self, name: str, digest: str) -> dict[str, Any]:
        try:
            rgb = read_picture(self._tree.source(name)).rgb
            if holds_a_mask(rgb):
                return self._copied(name, digest) | {"because": "only black and white: a mask"}
            if self._stopped:
                self.by_endpoint += 1
                return _failed(name, self._engine, f"not tried: {self._stopped}", "not_tried")
            made = self._engine.restyle(rgb, _rng(self._seed, name))
            if made.rgb.shape != rgb.shape:
                raise DataError(f"the result has another size ({made.rgb.shape[:2]}) than the image ({rgb.shape[:2]})")
        except EndpointError as error:
            self._count(error)
            return _failed(name, self._engine, str(error), error.code)
        except WorkError as error:
            code = error.code if isinstance(error, ImageError) else "refused"
            return _failed(name, self._engine, error.reason if isinstance(error, ImageError) else str(error), code)
        self._gone = 0
        return self._written(name, digest, made)

    def _copied(self, name: str, digest: str) -> dict[str, Any]:
        write_with(self._out / name, lambda part: _copy(self._tree.source(name), part), sync=False)
        row = {"path": name, "status": "done", "engine": "copied", "input_sha256": digest}
        return row | {"output_sha256": digest}

    def _written(self, name: str, digest: str, made: Restyled) -> dict[str, Any]:
        data = encoded(made.rgb, name)
        write_bytes(self._out / name, data, sync=False)
        row: dict[str, Any] = {"path": name, "status": "done", "engine": self._engine.name, "input_sha256": digest}
        row |= {"output_sha256": hashlib.sha256(data).hexdigest(), "seed": self._seed, **made.facts}
        return row | {"attempts": made.attempts}

    def _count(self, error: EndpointError) -> None:
        self.by_endpoint += 1
        self._gone = self._gone + 1 if error.code in _GONE else 0
        if error.everywhere or self._gone >= GIVE_UP_AFTER:
            self._stopped = str(error)


def _copy(source: Path, part: Path) -> None:
    shutil.copyfile(source, part)


def _failed(name: str, engine: Engine, reason: str, code: str = "unreadable") -> dict[str, Any]:
    return {"path": name, "status": "failed", "engine": engine.name, "code": code, "reason": reason}


def _still_good(row: dict[str, Any], digest: str, target: Path) -> bool:
    """Whether an earlier run made `target` of the same input, and nobody changed it since."""
    if row.get("status") != "done" or row.get("input_sha256") != digest or "engine" not in row:
        return False
    return target.is_file() and not target.is_symlink() and sha256_file(target) == row.get("output_sha256")


def _rng(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for each path, so that the order of the work does not matter."""
    tail = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(tail, "big")])
