"""A workspace: the Data Contract as paths, its runs, and the rule that nothing leaves it.

.env                                     not read: nothing is fetched
specs/baseline_spec.yaml                 train and evaluation spec; relative paths in it start at the workspace
train/base/{training_set,validation_set}.csv
kpi/{images/,testing_set.csv}            real pictures only; base, validation and blind rows lie in images/ too
blind/testing_set.csv                    judged beside the KPI set; no stage chooses by it (may be absent)
augmentation/mining_pool/{mining_pool.csv,images/}
augmentation/anomalygen/{reconstructed_image,original_image}/
results/run_<YYYYMMDD_HHMMSS>/           one loop
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.changenet.spec import Rows, Spec
from noescape.changenet.spec_file import load_spec
from noescape.deft import log, state
from noescape.deft.hardstop import HardStop
from noescape.deft.leakage_key import Holdout
from noescape.deft.places import KPI_IMAGES, POOL_CSV, PREGEN
from noescape.files import utc_stamp
from noescape.records import UsageError

SPEC = "specs/baseline_spec.yaml"
TRAIN_CSV, VALIDATION_CSV = "train/base/training_set.csv", "train/base/validation_set.csv"
KPI_CSV, BLIND_CSV = "kpi/testing_set.csv", "blind/testing_set.csv"
RESULTS, REPORT = "results", "DEFT_Loop_Report.html"
_RUN = re.compile(r"run_\d{8}_\d{6}")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The folder of one loop. `stamp` is its own YYYYMMDD_HHMMSS: folders that the contract names by a time carry it,
    so that a loop which was killed goes on in the same ones. `shares`: the run whose pool and features this one uses
    (a control arm those of the main one)."""

    folder: Path
    stamp: str
    shares: Path | None = None

    @property
    def state(self) -> Path:
        """deft_state.json."""
        return self.folder / state.FILE

    @property
    def log(self) -> Path:
        """loop_log.jsonl."""
        return self.folder / log.FILE

    @property
    def pool(self) -> Path:
        """synth_pool/."""
        return (self.shares or self.folder) / "synth_pool"

    @property
    def features(self) -> Path:
        """What backbones made of pictures, kept once for all iterations."""
        return (self.shares or self.folder) / "features"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Paths of one workspace; opening it checks nothing but that it is a folder."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """UsageError where `root` is no folder."""
        if not root.is_dir():
            raise UsageError(f"{root}: no such workspace; make one with `noescape deft init`")
        return cls(root=root.resolve())

    @property
    def spec_file(self) -> Path:
        """specs/baseline_spec.yaml."""
        return self.root / SPEC

    @property
    def pool_csv(self) -> Path:
        """The rows of production samples."""
        return self.root / POOL_CSV

    @property
    def pregen(self) -> Path:
        """The folder of pre-generated pairs."""
        return self.root / PREGEN

    @property
    def has_blind(self) -> bool:
        """Whether there is a blind set."""
        return (self.root / BLIND_CSV).is_file()

    def holdouts(self) -> list[Holdout]:
        """The sets that training must not know; CSVs relative to the workspace."""
        found = [Holdout(name="validation", csv=Path(VALIDATION_CSV)), Holdout(name="kpi", csv=Path(KPI_CSV))]
        return found + [Holdout(name="blind", csv=Path(BLIND_CSV))] * self.has_blind

    def name_of(self, path: Path) -> str:
        """`path` relative to the workspace, posix. HardStop path_rule where it is not inside."""
        resolved = path.resolve()
        if not resolved.is_relative_to(self.root):
            raise HardStop(
                "path_rule", f"{path}: leads out of the workspace {self.root}; nothing may lie outside of it"
            )
        return resolved.relative_to(self.root).as_posix()

    def path_of(self, name: str | Path) -> Path:
        """The file or folder that a state or a spec names, inside the workspace. HardStop path_rule otherwise."""
        path = Path(name)
        path = path if path.is_absolute() else self.root / path
        self.name_of(path)
        return path

    def spec(self, overrides: tuple[str, ...] = ()) -> Spec:
        """The baseline spec with `overrides`, its data paths made absolute. HardStop for a path outside."""
        return self.placed(load_spec(self.spec_file, overrides))

    def placed(self, spec: Spec) -> Spec:
        """`spec` with absolute paths: data must lie in the workspace; weights may come from anywhere on this machine.

        Where results go is the loop's to say: such keys of the spec are dropped, a path outside is a HardStop.
        """
        data = spec.dataset.classify
        known = {
            "train_dataset": (TRAIN_CSV, KPI_IMAGES), "validation_dataset": (VALIDATION_CSV, KPI_IMAGES),
            "test_dataset": (KPI_CSV, KPI_IMAGES), "infer_dataset": (KPI_CSV, KPI_IMAGES),
        }  # fmt: skip
        parts: dict[str, Any] = {}
        for name, (csv, images) in known.items():
            given: Rows = getattr(data, name)
            parts[name] = Rows(
                csv_path=str(self.path_of(given.csv_path or csv)),
                images_dir=str(self.path_of(given.images_dir or images)),
            )
        for place in (spec.results_dir, *(getattr(spec, c).results_dir for c in ("train", "evaluate", "inference"))):
            if place:
                self.path_of(place)
        ours = spec.noescape.model_copy(update=self._ours(spec))
        backbone = spec.model.backbone
        if backbone.pretrained_backbone_path:
            weights = str(self.root / backbone.pretrained_backbone_path)
            backbone = backbone.model_copy(update={"pretrained_backbone_path": weights})
        train = spec.train.model_copy(update={"results_dir": None, "resume_training_checkpoint_path": None})
        return spec.model_copy(
            update={
                "results_dir": str(self.root / RESULTS),
                "train": train,
                "model": spec.model.model_copy(update={"backbone": backbone}),
                "dataset": spec.dataset.model_copy(update={"classify": data.model_copy(update=parts)}),
                "noescape": ours,
            }
        )

    def _ours(self, spec: Spec) -> dict[str, Any]:
        ours = spec.noescape
        return {
            "weights": str(self.root / ours.weights) if ours.weights else None,
            "boxes": str(self.path_of(ours.boxes)) if ours.boxes else None,
            "cache_dir": str(self.path_of(ours.cache_dir)) if ours.cache_dir else None,
        }

    def runs(self) -> list[Run]:
        """Every run with a state, oldest first."""
        return [run for run in self._folders() if run.state.is_file()]

    def run(self, name: str) -> Run:
        """The run called `name`. UsageError, with the known ones, where there is none."""
        found = {one.folder.name: one for one in self.runs()}
        if name not in found:
            raise UsageError(f"{self.root}: no run {name!r}; there is {', '.join(found) or 'none'}")
        return found[name]

    def new_run(self) -> Run:
        """Where a new run will lie, by the clock; nothing is made."""
        stamp = re.sub(r"\D", "", utc_stamp())
        stamp = f"{stamp[:8]}_{stamp[8:]}"
        while (one := Run(folder=self.root / RESULTS / f"run_{stamp}", stamp=stamp)).state.is_file():
            stamp = f"{stamp[:-6]}{int(stamp[-6:]) + 1:06d}"  # another one in the same second
        return one

    def _folders(self) -> Iterator[Run]:
        results = self.root / RESULTS
        for folder in sorted(results.iterdir()) if results.is_dir() else ():
            if _RUN.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                yield Run(folder=folder, stamp=folder.name.removeprefix("run_"))
