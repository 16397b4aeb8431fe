"""Take out of training what a held-out set shows too, before the first loop would stop over it.

Two panels of one design have places that look alike to the last pixel: a straight trace, a corner. No rule by name can
tell such a cell from a copied file, so the rows to learn from give way, never those that judge.
"""

from __future__ import annotations

from pathlib import Path

from noescape.changenet.rows import read_rows
from noescape.changenet.spec_file import load_spec
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.leakage import leakage
from noescape.deft.places import KPI_IMAGES, POOL, Images
from noescape.deft.workspace import SPEC, TRAIN_CSV, VALIDATION_CSV, Workspace
from noescape.files import write_csv
from noescape.records import DataError


def leave_out_twins(root: Path) -> dict[str, int]:
    """Rows taken out of the base, the validation set and the pool of a new workspace, with their pictures.

    The pool gives way to all held-out sets, the base likewise, validation to KPI and blind. One decode per picture and
    set.
    """
    workspace = Workspace(root=root)
    spec = load_spec(root / SPEC)
    out = {}
    sides = (("validation", VALIDATION_CSV, KPI_IMAGES), ("base", TRAIN_CSV, KPI_IMAGES),
             ("pool", f"{POOL}/mining_pool.csv", POOL))  # fmt: skip
    for name, csv, images_dir in sides:
        holdouts = [one for one in workspace.holdouts() if one.name != name]
        found = leakage(root / csv, holdouts, spec, root, images_dir=images_dir, boards=False)
        gone = found.rows()
        if gone:
            rows = read_rows(root / csv)
            images = Images.of(spec.dataset.classify, images_dir, root)
            for row in rows:
                if row.number in gone:
                    images.input(row).unlink()
                    images.golden(row).unlink()
            kept = [[row.fields[c] for c in COLUMNS] for row in rows if row.number not in gone]
            if not kept:
                raise DataError(
                    f"every row of the {name} set shows what a held-out set shows: are these the same boards?"
                )
            write_csv(root / csv, COLUMNS, kept)
        out[name] = len(gone)
    return out
