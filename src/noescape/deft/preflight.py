"""Pre-flight: the eleven checks before a loop, for a machine without containers. Reads much, writes nothing.

A check is ok, not needed here (and why), planned (it only counts what will be made), or missing (and what to do).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from noescape.changenet.rows import listed, missing, read_rows
from noescape.changenet.spec import Spec
from noescape.deft.leakage import leakage, synthetic_rows
from noescape.deft.loop_plan import name_of
from noescape.deft.loop_settings import Settings
from noescape.deft.places import KPI_IMAGES, POOL_CSV, PREGEN, Images
from noescape.deft.pool import MANIFEST
from noescape.deft.pregen import find_pairs, is_absent
from noescape.deft.state import State, read_state
from noescape.deft.target import parse_target
from noescape.deft.validate import validate
from noescape.deft.workspace import BLIND_CSV, KPI_CSV, RESULTS, SPEC, TRAIN_CSV, VALIDATION_CSV, Run, Workspace
from noescape.features.weights import find_weights
from noescape.files import check_folder
from noescape.metrics import cases_needed
from noescape.records import NoescapeError

OK, NOT_NEEDED, PLANNED, MISSING = "ok", "not needed here", "planned", "missing"
PACKAGES = ("numpy", "cv2", "torch", "openvino", "pyarrow", "pydantic", "safetensors", "yaml")
TITLES = (
    "workspace, specs, CSVs, checkpoints", "reference documents", "credentials", "container registry login",
    "container images resolved", "container images present", "path rule and folders", "pre-generated pairs, backbone",
    "memory against batch size", "staging of the pool", "leakage",
)  # fmt: skip
LARGE_GPU_GB, MOST_LARGE, MOST_SMALL = 48, 16, 8  # batch sizes that the documented GPUs hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One of the eleven. `text` says what was found or why it is not needed; `todo` what to do where it is missing."""

    number: int
    title: str
    verdict: str
    text: str
    todo: str = ""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """All checks, and the tables that are shown before anybody says go: title -> rows of (name, value)."""

    checks: tuple[Check, ...]
    tables: dict[str, tuple[tuple[str, str], ...]]
    run: Run
    resuming: bool

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return all(check.verdict != MISSING for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "ready": self.ready,
            "resuming": self.resuming,
            "results_dir": str(self.run.folder),
            "checks": [
                {"number": c.number, "title": c.title, "verdict": c.verdict, "text": c.text, "todo": c.todo}
                for c in self.checks
            ],
            "tables": {title: dict(rows) for title, rows in self.tables.items()},
        }


class _MissingError(Exception):
    """A check fails: what was found, and what to do."""

    def __init__(self, text: str, todo: str) -> None:
        super().__init__(text)
        self.todo = todo


@dataclass(frozen=True, kw_only=True)
class _Place:
    workspace: Workspace
    run: Run
    settings: Settings
    state: State | None
    spec: Spec | None


Found = tuple[str, str]


def preflight(workspace: Workspace, run: Run, settings: Settings, *, leaks: bool = True) -> Preflight:
    """Run every check, also after one failed, so that all that is wrong is known at once.

    `run` is a new one or one to go on with. `leaks` False leaves out the search in pictures (check 11 then compares
    keys only). Cost: a stat per picture; with `leaks` one decode per training and held-out picture.
    """
    from noescape.deft.preflight_text import tables

    state, spec = None, None
    try:
        state = read_state(run.state) if run.state.is_file() else None
        spec = workspace.spec(state.config.overrides if state else settings.spec_overrides(workspace))
    except NoescapeError:
        pass  # check 1 says so
    place = _Place(workspace=workspace, run=run, settings=settings, state=state, spec=spec)
    steps: tuple[Callable[[_Place], Found], ...] = (
        _files, _references, _credentials, _no_containers, _versions, _no_containers, _paths, _pairs, _memory, _staging,
        _leakage if leaks else _keys,
    )  # fmt: skip
    checks = []
    for number, (title, step) in enumerate(zip(TITLES, steps, strict=True), 1):
        try:
            verdict, text = step(place)
            checks.append(Check(number=number, title=title, verdict=verdict, text=text))
        except _MissingError as error:
            checks.append(Check(number=number, title=title, verdict=MISSING, text=str(error), todo=error.todo))
        except (NoescapeError, OSError) as error:
            checks.append(Check(number=number, title=title, verdict=MISSING, text=str(error), todo="see the message"))
    return Preflight(
        checks=tuple(checks), tables=tables(workspace, run, settings, state, spec), run=run, resuming=state is not None
    )


def _files(at: _Place) -> Found:
    root = at.workspace.root
    lost = [n for n in (SPEC, TRAIN_CSV, VALIDATION_CSV, KPI_CSV, POOL_CSV) if not (root / n).is_file()]
    lost += [] if (root / KPI_IMAGES).is_dir() else [f"{KPI_IMAGES}/"]
    if lost:
        raise _MissingError(f"not there: {', '.join(lost)}", "`noescape deft init` makes a workspace that has them all")
    without = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if without:
        raise _MissingError(f"not installed: {', '.join(without)}", "install noescape with its dependencies")
    if at.run.state.is_file():
        read_state(at.run.state)
    spec = at.spec or at.workspace.spec(at.settings.spec_overrides(at.workspace))
    problems = [
        str(p) for p in validate(root / TRAIN_CSV, spec, workspace=root, images_dir=KPI_IMAGES) if p.code != "label"
    ]
    if problems:
        raise _MissingError(listed(f"{TRAIN_CSV}:", problems), "mend these rows")
    judging = [n for n in (VALIDATION_CSV, KPI_CSV, BLIND_CSV) if (root / n).is_file()]
    counts = [_usable(at.workspace, spec, name) for name in judging]
    blind = "" if at.workspace.has_blind else "; no blind set: only the KPI set judges, and the loop reads it"
    return OK, f"{len(read_rows(root / TRAIN_CSV))} training rows; {'; '.join(counts)}{blind}"


def _usable(workspace: Workspace, spec: Spec, name: str) -> str:
    """How many rows of either class a held-out CSV has; every one with its pictures."""
    rows = read_rows(workspace.root / name)
    images = Images.of(spec.dataset.classify, KPI_IMAGES, workspace.root)
    lost = missing(rows, images.files)
    if lost:
        texts = [f"row {rows[i].number}: {reason}" for i, reason in lost.items()]
        raise _MissingError(
            listed(f"{name}: {len(lost)} rows without pictures:", texts), "bring the pictures or take out the rows"
        )
    defects = sum(row.is_defect for row in rows)
    if defects in (0, len(rows)):
        raise _MissingError(
            f"{name}: {len(rows) - defects} PASS and {defects} NO_PASS rows", "both classes are needed to judge"
        )
    part = "validation" if name == VALIDATION_CSV else name.partition("/")[0]
    return f"{part}: {len(rows) - defects} PASS, {defects} NO_PASS"


def _references(at: _Place) -> Found:
    return NOT_NEEDED, "the rules of every stage are in this program; `noescape deft STAGE --help` tells them"


def _credentials(at: _Place) -> Found:
    there = " (.env is there and stays unread)" if (at.workspace.root / ".env").is_file() else ""
    return NOT_NEEDED, f"nothing is fetched, so NGC_API_KEY and HF_TOKEN are not used{there}"


def _no_containers(at: _Place) -> Found:
    return NOT_NEEDED, "every stage runs in this process, without containers"


def _versions(at: _Place) -> Found:
    from importlib.metadata import version

    return NOT_NEEDED, f"no images; noescape {version('noescape')}, torch {version('torch')} run the stages"


def _paths(at: _Place) -> Found:
    root = at.workspace.root
    at.workspace.name_of(at.run.folder)
    check_folder(root / RESULTS)
    if at.spec is not None:
        at.workspace.placed(at.spec)
    most = at.state.max_iterations if at.state else at.settings.max_iterations
    names = [name_of(n) for n in range(most + 1)]
    there = sum((at.run.folder / name).is_dir() for name in names)
    what = f"{len(names) - there} folders to make ({names[0]} … {names[-1]})" + (f", {there} there" if there else "")
    return PLANNED, f"everything stays in {root}; {what} under {at.workspace.name_of(at.run.folder)}"


def _pairs(at: _Place) -> Found:
    said = "no pre-generated pairs: the pool is mining_pool.csv alone"
    if not is_absent(at.workspace.pregen):
        said = f"{len(find_pairs(at.workspace.pregen))} pre-generated pairs, each stem on both sides"
    if at.spec is None:
        return OK, said
    if at.spec.trainer == "mapnet":
        return OK, f"{said}; trainer mapnet needs no backbone"
    weights = find_weights(at.spec.backbone, at.spec.weights)
    return OK, f"{said}; backbone {at.spec.backbone} ({weights.name})"


def _memory(at: _Place) -> Found:
    if at.spec is None:
        return OK, "not judged: the spec cannot be read"
    device, batch = at.spec.noescape.device, at.spec.dataset.classify.batch_size
    if device == "cpu":
        return OK, f"no GPU in use; batch_size {batch} is no limit on a CPU"
    import torch

    if not torch.cuda.is_available():
        raise _MissingError(f"noescape.device is {device}, and torch sees no GPU", "set noescape.device=cpu")
    gigabytes = torch.cuda.get_device_properties(0).total_memory / 2**30
    most = MOST_LARGE if gigabytes > LARGE_GPU_GB - 4 else MOST_SMALL
    if batch > most and at.spec.trainer == "finetune":
        raise _MissingError(f"batch_size {batch} on {gigabytes:.0f} GB", f"set dataset.classify.batch_size={most}")
    return OK, f"{torch.cuda.device_count()} GPU, {gigabytes:.0f} GB; batch_size {batch}"


def _staging(at: _Place) -> Found:
    if (at.run.pool / MANIFEST).is_file():
        return OK, f"staged already: {at.workspace.name_of(at.run.pool)}"
    rows = read_rows(at.workspace.pool_csv)
    pairs = 0 if is_absent(at.workspace.pregen) else len(find_pairs(at.workspace.pregen))
    return PLANNED, f"{len(rows)} rows of {POOL_CSV} and {pairs} pairs of {PREGEN} will be staged once"


def _keys(at: _Place) -> Found:
    if at.spec is None:
        raise _MissingError("not judged: the spec cannot be read", "see check 1")
    root = at.workspace.root
    found = validate(root / TRAIN_CSV, at.spec, at.workspace.holdouts(), workspace=root, images_dir=KPI_IMAGES)
    leaks = [str(p) for p in found if p.code == "leak"]
    if leaks:
        raise _MissingError(listed(f"{TRAIN_CSV}:", leaks), "take these rows out of the training set")
    return OK, "by key; every picture is compared before training"


def _leakage(at: _Place) -> Found:
    if at.spec is None:
        raise _MissingError("not judged: the spec cannot be read", "see check 1")
    root, holdouts = at.workspace.root, at.workspace.holdouts()
    found = leakage(root / TRAIN_CSV, holdouts, at.spec, root, images_dir=KPI_IMAGES)
    if found.leaks:
        texts = [f"row {x.train_row} is row {x.holdout_row} of {x.holdout} ({x.kind}: {x.detail})" for x in found.leaks]
        raise _MissingError(
            listed(f"{TRAIN_CSV}: {len(texts)} leaks:", texts), "take these rows out of the training set"
        )
    for one in holdouts:
        made = synthetic_rows(one, at.spec, root)
        if made:
            texts = [f"row {number}: {reason}" for number, reason in made]
            raise _MissingError(
                listed(f"{one.csv}: synthetic rows:", texts), "only real parts may judge: take them out"
            )
    notes = "".join(f"; {note}" for note in found.notes)
    return OK, f"none by key, bytes, picture or board among {found.judged} pictures{notes}"


def carried_by(n_pass: int, target: str) -> str:
    """What so many good parts can say about a target."""
    limit = parse_target(target).limit
    needed = cases_needed(limit)
    if n_pass >= needed:
        return f"{n_pass} good parts can carry the target (with no false alarm, {needed} do)"
    return f"{n_pass} good parts cannot carry the target as a claim: that needs {needed} without a false alarm"
