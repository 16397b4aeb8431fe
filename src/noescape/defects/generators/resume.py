"""Start a generation in its folder, or go on with a killed one: what is whole stays, what is not is done again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from noescape.defects.generators.plan import Asked, Plan, digest_of
from noescape.defects.generators.tree import ERRORS, FOLDERS, PROVENANCE, RESULT, SUMMARY, TIMING
from noescape.files import (
    JsonlAppender,
    read_json_object,
    read_jsonl,
    remove_parts,
    sha256_named,
    write_json,
    write_jsonl,
)
from noescape.files.one_at_a_time import LOCK
from noescape.records import DataError, UsageError

MARK = "generation.json"


def identity_of(planned: Plan, seed: int, look: dict[str, Any] | None = None) -> dict[str, Any]:
    """What makes a generation this one: the content of checkpoint, rows and files, and the seed; not where they lie."""
    rows = [
        (f"{a.number}", sha256_named([("row", _row_digest(a, planned))])) for a in planned.asked
    ]  # fmt: skip
    same = {"checkpoint_sha256": planned.step.digest, "testcases_sha256": sha256_named(rows), "seed": seed}
    return same | ({"look": look} if look else {})


def _row_digest(asked: Asked, planned: Plan) -> str:
    case = asked.case
    values = case.model_dump(mode="json", exclude={"image_filename", "mask_filename", "submask_filename"})
    files = [planned.digests[name] for name in (case.image_filename, case.mask_filename)]
    return repr((sorted(values.items(), key=lambda kv: kv[0]), files, asked.copy))


def claim(out: Path, identity: dict[str, Any], overwrite: bool) -> None:
    """Make `out` ready. UsageError where it holds something else; with `overwrite` our own names are emptied then."""
    own = (*FOLDERS, RESULT, PROVENANCE, ERRORS, SUMMARY, TIMING, MARK)
    for name in own:  # what a kill left at the very start
        for part in out.glob(f".{name}.*.part"):
            part.unlink(missing_ok=True)
    if out.is_dir() and any(p.name != LOCK for p in out.iterdir()):
        try:
            same = (out / MARK).is_file() and read_json_object(out / MARK, "a generation") == identity
        except DataError:
            same = False
        if not same and not overwrite:
            what = "another generation" if (out / MARK).is_file() else "other files"
            raise UsageError(
                f"{out} holds {what} (other rows, images, checkpoint or seed): choose an empty folder, or --overwrite "
                "to replace its results"
            )
        if not same:
            for name in own:
                path = out / name
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / MARK, identity)
    for name in FOLDERS:
        (out / name).mkdir(exist_ok=True)
        remove_parts(out / name)


def finished(out: Path, planned: Plan) -> int:
    """How many rows from the first on are there with all their files; what follows them is cut off and done again."""
    with JsonlAppender(out / PROVENANCE):
        pass  # opening repairs a torn last line
    rows = list(read_jsonl(out / PROVENANCE))
    good = 0
    for row, asked in zip(rows, planned.asked, strict=False):
        whole = row.get("number") == asked.number and all(
            digest_of(str(out / f)) == d for f, d in row.get("files", {}).items()
        )
        if not whole:
            break
        good += 1
    if good < len(rows):
        write_jsonl(out / PROVENANCE, rows[:good])
    return good
