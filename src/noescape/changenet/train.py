"""Train a change classifier into a folder: one command, three trainers.

OUT/model_epoch_<EEE>_step_<SSSSS>.safetensors   checkpoints
OUT/checkpoints.json                             which is best_val, which latest; written last
OUT/status.json, OUT/experiment.yaml             one line for each event; the spec with every default
OUT/skipped_rows.csv                             rows that could not be used, with reasons (where there are any)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from noescape.changenet.lines import OnLine, silent
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import spec_text
from noescape.changenet.status import Status
from noescape.changenet.trained import Epoch, Trained, identity_of, read_trained, record
from noescape.changenet.training import Job, board_of, rowsets
from noescape.files import dump_row, one_at_a_time, remove_parts, sha256_file, sha256_named, write_text
from noescape.records import DataError

EXPERIMENT, STATUS = "experiment.yaml", "status.json"
BEGUN = "identity.txt"


def train(spec: Spec, out: Path, *, on_line: OnLine = silent) -> Trained:
    """Train what `spec` says into `out`, or go on where a kill stopped; a finished training is read back.

    Everything that can be checked is checked before anything is written: rows without images, a single class, weights
    that are not here. DataError when `out` holds another training. Same spec, rows and kind of CPU: the same
    checkpoints. `train.pretrained_model_path` gives weights only.
    """
    part, validation, chosen_on = rowsets(spec)
    identity = _identity(spec, part.csv, validation.csv)
    with one_at_a_time(out):
        if identity_of(out) == identity:
            on_line(f"{out}: trained already")
            return read_trained(out)
        _refuse_another(out, identity)
        remove_parts(out)
        write_text(out / BEGUN, identity + "\n")
        write_text(out / EXPERIMENT, spec_text(spec))
        board = board_of(spec, out)
        status = Status(out / STATUS)
        try:
            status.say("STARTED", f"training ({spec.trainer})")
            job = Job(
                spec=spec, out=out, train=part, validation=validation, chosen_on=chosen_on, on_line=on_line,
                status=status, board=board,
            )  # fmt: skip
            on_line(f"{spec.trainer}: {len(part.rows)} rows to learn from; the best is chosen on {chosen_on}")
            epochs = _trainer(spec.trainer)(job)
            job.write_skipped()
            trained = record(out, spec.trainer, epochs, chosen_on, identity)
            status.say("SUCCESS", f"training finished: best_val {trained.best.name}", _figures(trained))
        except Exception as error:
            status.say("FAILURE", str(error)[:500])
            raise
        finally:
            status.close()
            if board is not None:
                board.close()
    return trained


def _trainer(name: str) -> Callable[[Job], list[Epoch]]:
    if name == "cached":
        from noescape.changenet.cached.fit import fit_cached

        return fit_cached
    if name == "mapnet":
        from noescape.changenet.maps import fit_maps

        return fit_maps
    from noescape.changenet.siamese.fit import fit_siamese

    return fit_siamese


def _identity(spec: Spec, *tables: Path) -> str:
    """What is computed from what: the spec apart from places, and the rows."""
    value = spec.model_dump(mode="json", exclude={"results_dir", "evaluate", "inference", "export", "encryption_key"})
    value["noescape"].pop("cache_dir")
    value["train"].pop("results_dir")
    for name in ("test_dataset", "infer_dataset"):
        value["dataset"]["classify"].pop(name)
    given = [("spec", dump_row(value))] + [(f"{n}", sha256_file(path)) for n, path in enumerate(tables)]
    named = {"start": spec.train.pretrained_model_path, "boxes": spec.noescape.boxes}
    given += [(what, sha256_file(Path(file))) for what, file in named.items() if file and Path(file).is_file()]
    return sha256_named(given)


def _refuse_another(out: Path, identity: str) -> None:
    if not out.is_dir():
        return
    begun = out / BEGUN
    if begun.is_file():
        if begun.read_text("utf-8").strip() != identity:
            raise DataError(f"{out} holds a training of another spec or other rows: give a new folder")
        return
    others = sorted(p.name for p in out.iterdir() if not p.name.startswith("."))
    if others:
        raise DataError(f"{out} holds files already ({others[0]!r} …): give an empty or new folder")


def _figures(trained: Trained) -> dict[str, float] | None:
    return None if trained.val_loss is None else {"val_loss": trained.val_loss}
