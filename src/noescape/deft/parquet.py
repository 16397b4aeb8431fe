"""Small tables as parquet, whole or not at all; same rows, same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from noescape.files import write_with
from noescape.records import DataError

TEXT, NUMBER = pa.string(), pa.float64()


def write_parquet(
    path: Path, columns: Mapping[str, Sequence[Any]], types: Mapping[str, Any], *, meta: Mapping[str, str] | None = None
) -> None:
    """Write equally long `columns` with the arrow `types` of the same names; `meta` goes into the file's schema."""
    table = pa.table({name: pa.array(columns[name], type=kind) for name, kind in types.items()})
    if meta:
        table = table.replace_schema_metadata(dict(meta))
    write_with(path, lambda part: pq.write_table(table, part))


def read_parquet(path: Path, needed: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a parquet file by name. DataError where it cannot be read or lacks one that is needed."""
    table = _table(path)
    lacking = [name for name in needed if name not in table.column_names]
    if lacking:
        raise DataError(f"{path}: expected the columns {', '.join(needed)}; {', '.join(lacking)} missing")
    return {name: table.column(name).to_pylist() for name in table.column_names}


def write_vectors(
    path: Path, names: Mapping[str, Sequence[str]], vectors: npt.NDArray[np.float32], meta: Mapping[str, str]
) -> None:
    """Vectors `[N, D]` float32 as the column `embedding`, beside columns of text."""
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    rows = (
        pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]) if vectors.size else pa.array([], pa.list_(flat.type))
    )
    table = pa.table({**{k: pa.array(v, TEXT) for k, v in names.items()}, "embedding": rows})
    write_with(path, lambda part: pq.write_table(table.replace_schema_metadata(dict(meta)), part))


def read_vectors(
    path: Path, needed: Sequence[str] = ("filepath",)
) -> tuple[dict[str, list[str]], npt.NDArray[np.float32], dict[str, str]]:
    """Columns of text, vectors `[N, D]`, and the file's meta data. DataError where that is not what it holds."""
    table = _table(path)
    lacking = [name for name in (*needed, "embedding") if name not in table.column_names]
    if lacking:
        raise DataError(f"{path}: expected the columns {', '.join(needed)} and embedding; {', '.join(lacking)} missing")
    column = table.column("embedding").combine_chunks()
    try:
        flat = np.asarray(column.flatten(), np.float32)
        vectors = flat.reshape(table.num_rows, -1) if table.num_rows else flat.reshape(0, 0)
    except (AttributeError, ValueError) as error:
        raise DataError(f"{path}: expected vectors of one length in `embedding` ({error})") from None
    if not np.isfinite(vectors).all():
        raise DataError(f"{path}: `embedding` holds numbers that are not finite")
    meta = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return {name: table.column(name).to_pylist() for name in needed}, vectors, meta


def _table(path: Path) -> Any:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: expected a parquet table, which cannot be read ({reason})") from None
