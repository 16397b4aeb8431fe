"""What a trainer is given: rows to learn from, rows held out, a folder, and somebody to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noescape.changenet.lines import OnLine
from noescape.changenet.rows import Files, Row, read_rows, refuse_missing
from noescape.changenet.sampler import held_out
from noescape.changenet.spec import Spec
from noescape.changenet.spec_data import Rows
from noescape.changenet.status import Status
from noescape.changenet.trained import Epoch
from noescape.files import write_csv
from noescape.records import DataError, UsageError

SKIPPED = "skipped_rows.csv"


@dataclass(frozen=True, kw_only=True)
class Rowset:
    """Rows of one CSV and the folder of their images; `name` says which it is."""

    name: str
    csv: Path
    images_dir: Path
    rows: tuple[Row, ...]


@dataclass(kw_only=True)
class Job:
    """One training. `skip` notes rows that could not be used; `epoch_done` tells and logs, also to TensorBoard's
    `board` if there is one."""

    spec: Spec
    out: Path
    train: Rowset
    validation: Rowset
    chosen_on: str
    on_line: OnLine
    status: Status
    skipped: list[tuple[str, int, str, str]] = field(default_factory=list)
    board: Any = None

    @property
    def parts(self) -> tuple[Rowset, Rowset]:
        """Training and validation rows."""
        return self.train, self.validation

    def skip(self, part: Rowset, errors: dict[int, str]) -> None:
        """Rows of `part` (by their place) that were left out, with the reason."""
        for place, reason in sorted(errors.items()):
            row = part.rows[place]
            self.skipped.append((part.name, row.number, row.object_name, reason))
            self.on_line(f"{part.name} row {row.number} ({row.object_name}) left out: {reason}")

    def epoch_done(self, epoch: Epoch, total: int) -> None:
        """One line for people, one for monitors."""
        figures = {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss}
        known = {name: value for name, value in figures.items() if value is not None}
        said = ", ".join(f"{name} {value:.5g}" for name, value in known.items())
        note = f" ({epoch.note})" if epoch.note else ""
        self.on_line(f"epoch {epoch.epoch + 1} of {total}{note}: {said}")
        self.status.say("RUNNING", f"epoch {epoch.epoch + 1} of {total}{note}", known)
        for name, value in known.items() if self.board is not None else ():
            self.board.add_scalar(name, value, epoch.epoch + 1)

    def write_skipped(self) -> None:
        """The list of rows left out, if there are any."""
        if self.skipped:
            write_csv(self.out / SKIPPED, ("part", "row", "object_name", "reason"), sorted(set(self.skipped)))


def board_of(spec: Spec, out: Path) -> Any:
    """TensorBoard's writer for `out`, or None where the spec does not ask for it; UsageError where it is not here."""
    if not (spec.train.tensorboard.enabled or spec.train.enable_tensorboard):
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("train.tensorboard needs the extra: pip install 'noescape[tensorboard]'") from None
    return SummaryWriter(str(out / "tensorboard"))


def rowsets(spec: Spec) -> tuple[Rowset, Rowset, str]:
    """The training rows, the held-out rows, and how these were come by.

    They are the validation CSV; without one, a fifth of the training rows by board. DataError for rows whose images are
    not there (all listed), or a training set of one class; UsageError where the spec names no training CSV.
    """
    data = spec.dataset.classify
    train = _rowset("train_dataset", data.train_dataset, spec)
    defects = sum(row.is_defect for row in train.rows)
    if defects in (0, len(train.rows)):
        raise DataError(
            f"{train.csv}: PASS and NO_PASS rows are both needed to train, got {len(train.rows) - defects} PASS and "
            f"{defects} NO_PASS"
        )
    if data.validation_dataset.csv_path:
        validation = _rowset("validation_dataset", data.validation_dataset, spec)
        how = f"validation_dataset ({len(validation.rows)} rows)"
    else:
        kept, held = held_out(train.rows)
        validation = Rowset(name="held_out", csv=train.csv, images_dir=train.images_dir, rows=held)
        train = Rowset(name=train.name, csv=train.csv, images_dir=train.images_dir, rows=kept)
        how = f"{len(held)} rows of train_dataset, by board" if held else "nothing: too few boards to hold any out"
    return train, validation, how


def _rowset(name: str, part: Rows, spec: Spec) -> Rowset:
    found = named_rows(name, part)
    refuse_missing(found.rows, Files.of(spec.dataset.classify, found.images_dir), found.csv)
    return found


def named_rows(name: str, part: Rows, csv: Path | None = None) -> Rowset:
    """The rows of a section of the spec (or of `csv` in its place); UsageError where it names no CSV or no folder."""
    path = csv if csv is not None else Path(part.csv_path) if part.csv_path else None
    if path is None:
        raise UsageError(f"dataset.classify.{name}.csv_path is not set: which rows?")
    if part.images_dir is None:
        raise UsageError(f"dataset.classify.{name}.images_dir is not set: where do the paths of {path} start?")
    root = Path(part.images_dir)
    if not root.is_dir():
        raise DataError(f"dataset.classify.{name}.images_dir {root} is no folder")
    return Rowset(name=name, csv=path, images_dir=root, rows=read_rows(path))
