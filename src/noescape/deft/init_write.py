"""Write a workspace from pairs: pictures where the path rules look for them, five CSVs, the spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noescape.changenet.rows import is_defect
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import DEFT_SPEC, parse_spec, with_overrides
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.init_clean import leave_out_twins
from noescape.deft.init_split import BASE, BLIND, KPI, PARTS, POOL, VALIDATION, split_groups
from noescape.deft.places import KPI_IMAGES, joined
from noescape.deft.places import POOL as POOL_FOLDER
from noescape.deft.workspace import BLIND_CSV, KPI_CSV, SPEC, TRAIN_CSV, VALIDATION_CSV
from noescape.files import dump_yaml, parse_yaml, read_csv, safe_name, write_bytes, write_csv, write_json, write_text
from noescape.files.fresh import fresh_folder
from noescape.records import DataError

TABLES = {BASE: TRAIN_CSV, VALIDATION: VALIDATION_CSV, KPI: KPI_CSV, BLIND: BLIND_CSV}
RECORD = "workspace.json"
Tell = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One row to be: its group, label and name (unique in the group), and its two pictures as encoded bytes.

    `suffix` is that of both pictures, with the dot; `fields` are further columns of the CSV.
    """

    group: str
    label: str
    name: str
    suffix: str
    input: bytes
    golden: bytes
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where rows come from. `counts`: (group, is a defect) of every row, known before any is made; `items` makes them
    for one group at a time. `spec`: `key=value` laid over the baseline spec. `notes` say what was left out."""

    kind: str
    counts: Sequence[tuple[str, bool]]
    items: Callable[[str], Iterator[Item]]
    spec: Sequence[str]
    light: str | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a new workspace holds: rows by set and label, and the group of each set."""

    root: Path
    labels: dict[str, dict[str, int]]
    groups: dict[str, list[str]]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {"sets": self.labels, "groups": self.groups, "notes": list(self.notes)}


def write_workspace(
    source: Source,
    root: Path,
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    overrides: Sequence[str] = (),
    seed: int = 42,
    tell: Tell = lambda stage, total: lambda done: None,
) -> Made:
    """Fill the new or empty folder `root`; whole or not at all. Same source and seed: same bytes.

    Base, validation, KPI and blind pictures go to kpi/images/<group>/{input,golden}/, those of the pool to
    augmentation/mining_pool/images/<group>/. A group is never divided. Memory: one group's rows.
    """
    place = split_groups(source.counts, given, seed=seed)
    folders = _folders(place)
    spec = parse_spec(with_overrides(parse_yaml(DEFT_SPEC), [*_data(), *source.spec, *overrides]), "the baseline spec")
    tables: dict[str, list[Sequence[object]]] = {part: [] for part in PARTS}
    with fresh_folder(root):
        done, advance = 0, tell("writing pictures", len(source.counts))
        for group, part in place.items():
            seen: set[str] = set()
            for item in source.items(group):
                if item.name in seen:
                    raise DataError(
                        f"group {group!r}: two rows are called {item.name!r}; names must be unique in a group"
                    )
                seen.add(item.name)
                tables[part].append(_write(root, part, folders[group], item, source.light))
                done += 1
                advance(done)
        for part, path in TABLES.items():
            if tables[part]:
                write_csv(root / path, COLUMNS, tables[part])
        if not tables[POOL]:
            raise DataError("not one row is left for the pool")
        write_csv(root / POOL_FOLDER / "mining_pool.csv", COLUMNS, tables[POOL])
        write_text(root / SPEC, _spec_text(spec))
        twins = leave_out_twins(root)
        notes = [
            f"{n} rows left out of the {part} set: a held-out set shows the same" for part, n in twins.items() if n
        ]
        made = Made(
            root=root,
            labels=_counted(root, [part for part in PARTS if tables[part]]),
            groups={part: [g for g, p in place.items() if p == part] for part in PARTS if part in place.values()},
            notes=(*source.notes, *notes),
        )
        write_json(root / RECORD, {"from": source.kind, "seed": seed, **made.to_json()})
    return made


def _spec_text(spec: Spec) -> str:
    """What differs from the defaults, and what people look for first."""
    value = {"task": spec.task, **spec.model_dump(mode="json", exclude_defaults=True)}
    value["train"] = {"num_epochs": spec.train.num_epochs, **value.get("train", {})}
    return dump_yaml(value)


def _counted(root: Path, parts: Sequence[str]) -> dict[str, dict[str, int]]:
    """Rows per label of each set, as they are on disk."""
    out = {}
    for part in parts:
        rows = read_csv(root / TABLES.get(part, f"{POOL_FOLDER}/mining_pool.csv"))
        out[part] = dict(sorted(Counter(row["label"] for row in rows).items()))
    return out


def _folders(place: Iterable[str]) -> dict[str, str]:
    """A folder name per group: what can stand in a path, and no two the same."""
    out: dict[str, str] = {}
    for group in place:
        name = base = safe_name(group)
        number = 1
        while name in out.values():
            number += 1
            name = f"{base}_{number}"
        out[group] = name
    return out


def _data() -> list[str]:
    return [
        f"dataset.classify.{section}.{key}={value}"
        for section, csv in (("train_dataset", TRAIN_CSV), ("validation_dataset", VALIDATION_CSV),
                             ("test_dataset", KPI_CSV), ("infer_dataset", KPI_CSV))
        for key, value in (("csv_path", csv), ("images_dir", KPI_IMAGES))
    ]  # fmt: skip


def _write(root: Path, part: str, folder: str, item: Item, light: str | None) -> Sequence[object]:
    """Both pictures, and the row with paths by the rule of its set."""
    home, start = (joined(POOL_FOLDER, "images"), "images") if part == POOL else (KPI_IMAGES, "")
    stem = item.name if light is None else f"{item.name}_{light}"
    for side, data in (("input", item.input), ("golden", item.golden)):
        write_bytes(root / home / folder / side / f"{stem}{item.suffix}", data, sync=False)
    defect = is_defect(item.label)
    row = {
        **dict.fromkeys(COLUMNS, ""),
        "project": "noescape",
        "comp_name": item.name,
        **item.fields,
        "input_path": joined(start, folder, "input"),
        "golden_path": joined(start, folder, "golden"),
        "label": item.label,
        "object_name": item.name,
        "boardname": item.group,
        "mpass_mfail": "MFAIL" if defect else "MPASS",
        "is_valid": "1",
    }
    return [row[name] for name in COLUMNS]
