"""The source pool of mining, built once per run: real production rows and pre-generated pairs in one table.

    manifest.json               what is here, with paths in the workspace, counts, and the digest of what was ingested
    images/synth_{ng,ok}/       generated pairs as the trainer reads them
    sdg_rows.csv                14 columns + provenance + filepath: the generated half
    source_pool.csv, .parquet   both halves; provenance is real or sdg
    ingest_summary.json         how many pairs came, which were skipped and why, which rows of the pool have no picture

Every path starts at the workspace, so the whole can be moved.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.changenet.rows import Files, Row, listed, read_rows
from noescape.changenet.spec import Spec
from noescape.deft.hardstop import HardStop
from noescape.deft.ledger import Dropped, account, row_name
from noescape.deft.parquet import TEXT, write_parquet
from noescape.deft.places import POOL_CSV, PREGEN, Images, pool_fields, reason, shown
from noescape.deft.pregen import NG_DIR, OK_DIR, find_pairs, is_absent, listing
from noescape.deft.stage_pairs import NG_FOLDER, OK_FOLDER, POOL_COLUMNS, REAL, Staged, require_rows, stage_pairs
from noescape.files import read_csv, read_json_object, write_csv, write_json
from noescape.records import DataError, UsageError

MANIFEST, SCHEMA = "manifest.json", 1
MOST_EXAMPLES = 10


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """manifest.json of a pool in `folder`, with the places it names."""

    workspace: Path
    folder: Path
    values: dict[str, Any]

    @property
    def source_pool_csv(self) -> Path:
        """Both halves as a CSV."""
        return self.workspace / str(self.values["source_pool_csv"])

    @property
    def source_pool_parquet(self) -> Path:
        """Both halves as parquet."""
        return self.workspace / str(self.values["source_pool_parquet"])

    @property
    def sdg_rows_csv(self) -> Path:
        """The generated half."""
        return self.workspace / str(self.values["sdg_rows_csv"])

    @property
    def counts(self) -> dict[str, int]:
        """real_rows, sdg_rows, total_rows."""
        return dict(self.values["counts"])


def build_pool(workspace: Path, out: Path, spec: Spec, *, inline: bool = False, force: bool = False) -> Manifest:
    """Build the pool of `workspace` in `out` (inside the workspace) for the lights and suffix of `spec`.

    `inline`: defects are generated during the loop, so the folders of pre-generated pairs may be absent; one that is
    there must be whole. HardStop pool_missing, pool_empty, pregen_missing, pregen_empty, pregen_unpaired. UsageError
    where `out` holds a pool already and `force` is not given. Whole or not at all. Two decodes per pair.
    """
    if out.exists() and any(out.iterdir()) and not force:
        raise UsageError(f"{out}: a pool is there already; resume with it, or build anew with --force")
    real = _real_rows(workspace)
    pregen = workspace / PREGEN
    pairs = [] if inline and is_absent(pregen) else find_pairs(pregen)
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        named, files = shown(out, workspace), Files.of(spec.dataset.classify, workspace)
        staged = stage_pairs(pairs, part / "images", f"{named}/images", files)
        if pairs:
            require_rows(staged.rows, pregen)
        kept, lost = _with_pictures(real, Images.of(spec.dataset.classify, workspace, workspace))
        _write(part, named, workspace, staged, kept, lost, listing(pregen), len(pairs))
        os.sync()
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return read_manifest(out / MANIFEST, workspace)


def read_manifest(path: Path, workspace: Path) -> Manifest:
    """The manifest at `path`. HardStop reference_missing without one or without what it names; DataError if broken."""
    if not path.is_file():
        raise HardStop("reference_missing", f"{path}: the manifest of the pool is not there")
    values = read_json_object(path, "the manifest of a pool")
    needed = ("source_pool_csv", "source_pool_parquet", "sdg_rows_csv", "counts", "pregen")
    if values.get("schema_version") != SCHEMA or any(key not in values for key in needed):
        raise DataError(f"{path}: expected schema_version {SCHEMA} and {', '.join(needed)}")
    found = Manifest(workspace=workspace, folder=path.parent, values=values)
    for file in (found.source_pool_csv, found.source_pool_parquet, found.sdg_rows_csv):
        if not file.is_file():
            raise HardStop("reference_missing", f"{file}: named in {path} and not there")
    return found


def check_unchanged(manifest: Manifest) -> None:
    """HardStop pregen_mutated when the pre-generated pictures are no longer those that were ingested, and pool_missing
    or pool_empty when mining_pool.csv is gone or empty. Reads every picture's bytes once."""
    now, then = listing(manifest.workspace / PREGEN), manifest.values["pregen"]
    now, then = listing(manifest.workspace / PREGEN), manifest.values["pregen"]
    if any(then.get(key) != value for key, value in now.items()):
        raise HardStop(
            "pregen_mutated",
            f"{manifest.workspace / PREGEN}: {then.get('files')} pictures were ingested, now there are {now['files']} "
            "or their contents differ. Put them back as they were, or start a new run",
        )
    _real_rows(manifest.workspace)


def with_generated(pool_csv: Path, generated: Sequence[dict[str, str]], out: Path) -> Path:
    """The pool with rows that were generated during the loop behind its own: `out`.csv and `out`.parquet (the result).

    Rows whose filepath is in the pool already are not repeated.
    """
    rows = read_csv(pool_csv)
    known = {row["filepath"] for row in rows}
    rows += [row for row in generated if row["filepath"] not in known]
    return write_pool(rows, out)


def write_pool(rows: Sequence[dict[str, str]], out: Path) -> Path:
    """Write rows as `out`.csv and `out`.parquet: the 14 columns, provenance, filepath, then whatever else they have."""
    extra = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in POOL_COLUMNS]
    columns = [*POOL_COLUMNS, *extra]
    write_csv(out.with_suffix(".csv"), columns, [[row.get(name, "") for name in columns] for row in rows])
    values = {name: [row.get(name, "") for row in rows] for name in columns}
    write_parquet(out.with_suffix(".parquet"), values, dict.fromkeys(columns, TEXT))
    return out.with_suffix(".parquet")


def _real_rows(workspace: Path) -> list[Row]:
    """The rows of mining_pool.csv with training paths."""
    path = workspace / POOL_CSV
    if not path.is_file():
        raise HardStop("pool_missing", f"{path}: expected the rows of production samples; the file is not there")
    if not read_csv(path):
        raise HardStop(
            "pool_empty", f"{path}: holds no row; a loop without production samples has nothing to learn from"
        )
    rows = read_rows(path)
    return [Row(number=r.number, fields=pool_fields(r.fields, workspace, f"{path}, row {r.number}")) for r in rows]


def _with_pictures(rows: Sequence[Row], images: Images) -> tuple[list[dict[str, str]], list[Dropped]]:
    """Pool rows of those whose pictures are all there, and the others with the reason."""
    kept, lost = [], []
    for row in rows:
        try:
            name = shown(images.input(row), images.workspace)
            images.files.inputs(row), images.files.goldens(row)
        except DataError as error:
            lost.append(Dropped(row=row_name(row.fields), reason=reason(error, images.workspace)))
            continue
        fields = row.fields | {"provenance": row.fields.get("provenance", "").strip() or REAL, "filepath": name}
        kept.append(dict.fromkeys(POOL_COLUMNS, "") | fields)
    account("the source pool", (row_name(r.fields) for r in rows), map(row_name, kept), lost)
    if not kept:
        reasons = listed("not one has its pictures:", [one.reason for one in lost])
        raise HardStop("pool_empty", f"of {len(rows)} rows of {POOL_CSV} {reasons}")
    return kept, lost


def _write(
    part: Path,
    named: str,
    workspace: Path,
    staged: Staged,
    real: Sequence[dict[str, str]],
    lost: Sequence[Dropped],
    ingested: dict[str, object],
    pairs: int,
) -> None:
    rows = [*real, *staged.rows]
    write_csv(part / "sdg_rows.csv", POOL_COLUMNS, [[row[name] for name in POOL_COLUMNS] for row in staged.rows])
    write_pool(rows, part / "source_pool")
    for folder in (NG_FOLDER, OK_FOLDER):
        (part / "images" / folder).mkdir(parents=True, exist_ok=True)
    summary = {
        "input_count": pairs,
        "paired_count": len(staged.rows),
        "skipped_unpaired_count": 0,
        "skipped_unpaired_examples": [],
        "skipped": [one.to_json() for one in staged.skipped],
        "converted_to_jpg_count": staged.converted,
        "labels": staged.labels(),
        "ng_staging_dir": f"{named}/images/{NG_FOLDER}",
        "ok_staging_dir": f"{named}/images/{OK_FOLDER}",
        "output_csv": f"{named}/sdg_rows.csv",
        "real_rows_without_pictures": len(lost),
        "real_rows_without_pictures_examples": [one.to_json() for one in lost[:MOST_EXAMPLES]],
        "real_labels": dict(sorted(Counter(row["label"] for row in real).items())),
    }
    write_json(part / "ingest_summary.json", summary)
    manifest = {
        "schema_version": SCHEMA,
        "workspace": ".",
        "results_dir": named.rpartition("/")[0] or ".",
        "synth_pool_dir": named,
        "source_pool_csv": f"{named}/source_pool.csv",
        "source_pool_parquet": f"{named}/source_pool.parquet",
        "source_embeddings_parquet": None,
        "sdg_rows_csv": f"{named}/sdg_rows.csv",
        "ng_dir": f"{named}/images/{NG_FOLDER}",
        "ok_dir": f"{named}/images/{OK_FOLDER}",
        "siglip_model": None,
        "counts": {"real_rows": len(real), "sdg_rows": len(staged.rows), "total_rows": len(rows)},
        "pregen": {"folder": PREGEN, "ng": NG_DIR, "ok": OK_DIR, **ingested},
    }
    write_json(part / MANIFEST, manifest)
