"""Measure the map network on DeepPCB, cell by cell, on panels that it was not trained on.

    python benchmarks/changenet_deeppcb.py DATA [--train GROUPS] [--set steps=500] [--pictures DIR] [--out FILE]

DATA is the folder PCBData, or the one that holds it. Without --train every group is scored by a network trained on the
others, so all cells are of unseen panels; with --train (group names, comma-separated) one network is trained on those,
and all other groups are scored. One threshold over all scored groups. A cell of 64 px is NG when it holds at least half
of a box's area, left out when it holds less. Finished trainings stay in --cache-dir: a killed run goes on where it was.

Cells are also listed by a rule on the images alone: an NG cell shows nothing to find when, once the golden is
registered, every light pixel of either image has light of the other within one pixel. Figures come with and without
them; --pictures draws each. Markdown goes to stdout, progress to stderr.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from noescape.changenet.cells import LEFT_OUT, NG, cell_truth
from noescape.changenet.mapnet.channels import tolerant_difference
from noescape.changenet.mapnet.model import MapModel
from noescape.changenet.mapnet.recipe import MapRecipe
from noescape.changenet.mapnet.train import train_mapnet
from noescape.changenet.pairs import Pair, groups_of, read_deeppcb
from noescape.changenet.register import bits
from noescape.files import safe_name, write_json
from noescape.imaging import png_bytes
from noescape.metrics import false_alarm_at_recall, operating_point, percent
from noescape.records import ImageError, NoescapeError, Rate

RECALLS = (0.98, 0.99, 0.995, 0.999)
TARGETS = {0.99: 0.001, 0.995: 0.002, 0.999: 0.005}
WORST_PANEL = 0.01  # at 99% recall
SHOWN = 30  # lines of a list
AROUND = 32  # px shown around a pictured cell


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """All cells of the scored pairs, one row each, those left out included."""

    pair: np.ndarray
    row: np.ndarray
    column: np.ndarray
    label: np.ndarray
    score: np.ndarray
    kind: np.ndarray
    group: np.ndarray
    nothing: np.ndarray

    def only(self, keep: np.ndarray) -> "Cells":
        return replace(self, **{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path, help="DeepPCB: the folder PCBData, or the one that holds it")
    p.add_argument("--train", help="groups to train on, comma-separated, to score all others (default: leave one out)")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the recipe")
    p.add_argument("--cache-dir", type=Path, default=Path("build/changenet"), help="default: %(default)s")
    p.add_argument("--pictures", type=Path, metavar="DIR", help="draw every listed cell there")
    p.add_argument("--out", type=Path, help="write all figures as JSON")
    return p.parse_args()


def recipe_of(settings: list[str]) -> MapRecipe:
    values = MapRecipe().to_json()
    for text in settings:
        name, _, value = text.partition("=")
        if name not in values or name == "cell":
            sys.exit(f"--set {text}: the recipe has {', '.join(values)}; cells are 64 px here")
        values[name] = type(values[name])(value)
    return MapRecipe(**values)


def folds_of(pairs: list[Pair], train: str | None) -> list[tuple[str, list[str], list[str]]]:
    """(name, groups to train on, groups to score)."""
    groups = groups_of(pairs)
    if train is None:
        return [(group, [g for g in groups if g != group], [group]) for group in groups]
    wanted = train.split(",")
    if unknown := sorted(set(wanted) - set(groups)):
        sys.exit(f"--train: unknown {', '.join(unknown)}; DATA holds {', '.join(groups)}")
    return [("given", wanted, [g for g in groups if g not in wanted])]


def train(pairs: list[Pair], recipe: MapRecipe, folder: Path, name: str) -> tuple[MapModel, float]:
    """The network and the CPU-seconds it took now (nothing for one that was there)."""
    start = time.process_time()

    def told(done: int, total: int, loss: float) -> None:
        if done % 200 == 0 or done == total:
            spent = time.process_time() - start
            print(f"{name}: step {done} of {total}, loss {loss:.3f}, {spent:.0f} CPU-s", file=sys.stderr, flush=True)

    there = (folder / "model.json").is_file()
    model = train_mapnet(pairs, recipe, folder, told)
    return model, 0.0 if there else time.process_time() - start


def score(model: MapModel, pairs: list[Pair], first: int) -> tuple[Cells, dict[str, Any]]:
    """Every cell of the pairs; CPU-seconds (reading included); boxes that no cell holds half of."""
    rows: list[tuple[Any, ...]] = []
    homeless, spent = [], 0.0
    for number, pair in enumerate(pairs, first):
        start = time.process_time()
        golden, test = pair.images()
        scored = model.score(golden, test)
        spent += time.process_time() - start
        truth = cell_truth(pair.boxes, test.shape[:2])
        homeless += [f"{pair.key} box {b} {pair.boxes[b]}" for b in truth.homeless]
        differs = tolerant_difference(bits(scored.registered.golden), bits(test))
        for (i, j), label in np.ndenumerate(truth.label):
            inside = differs[64 * i : 64 * i + 64, 64 * j : 64 * j + 64]
            kind = pair.types[truth.box[i, j]] if truth.box[i, j] >= 0 else ""
            rows.append((number, i, j, label, scored.cells[i, j], kind, pair.group, not inside.any()))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Cells(**dict(zip(Cells.__dataclass_fields__, columns, strict=True))), {"cpu": spent, "homeless": homeless}


def together(parts: list[Cells]) -> Cells:
    names = Cells.__dataclass_fields__
    return Cells(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def figures(cells: Cells) -> dict[str, Any]:
    """False alarms at each recall under one threshold over all groups, in all and per panel; misses per type."""
    counted = cells.only(cells.label != LEFT_OUT)
    out: dict[str, Any] = {"ng": int((counted.label == NG).sum()), "ok": int((counted.label != NG).sum()), "at": []}
    for at in false_alarm_at_recall(counted.label, counted.score, RECALLS):
        panels = {}
        for group in np.unique(counted.group):
            of = counted.only(counted.group == group)
            point = operating_point(of.label, of.score, at.threshold)
            panels[str(group)] = {"far": as_json(point.false_alarm_rate), "missed": as_json(point.miss_rate)}
        types = {}
        for kind in np.unique(counted.kind[counted.label == NG]):
            of = counted.only((counted.label == NG) & (counted.kind == kind))
            types[str(kind)] = {"n": len(of.label), "missed": int((of.score <= at.threshold).sum())}
        out["at"].append(
            {
                "recall": at.recall,
                "threshold": at.threshold,
                "far": as_json(at.false_alarm_rate),
                "missed": as_json(at.miss_rate),
                "panels": panels,
                "types": types,
            }
        )
    return out


def as_json(value: Rate) -> dict[str, Any]:
    return {"events": value.events, "n": value.n, "value": value.value, "lower": value.lower, "upper": value.upper}


def table(title: str, found: dict[str, Any]) -> list[str]:
    lines = [f"### {title}: {found['ng']:,} NG and {found['ok']:,} OK cells", ""]
    lines += [
        "| recall | missed | FAR | at most (95%) | target | per panel: FAR (missed) |",
        "|---|---|---|---|---|---|",
    ]
    for at in found["at"]:
        far, target = at["far"], TARGETS.get(at["recall"])
        judged = "" if target is None else f"<= {percent(target)}: {'met' if far['value'] <= target else 'NOT met'}"
        panels = ", ".join(
            f"{name} {percent(p['far']['value'])} ({p['missed']['events']} of {p['missed']['n']})"
            for name, p in at["panels"].items()
            if p["far"]["n"]
        )
        share = f"{far['events']} of {far['n']:,} = {percent(far['value'])}"
        upper = percent(far["upper"])
        lines.append(
            f"| {percent(at['recall'])} | {at['missed']['events']} | {share} | {upper} | {judged} | {panels} |"
        )
    at99 = next(at for at in found["at"] if at["recall"] == 0.99)
    worst = max(p["far"]["value"] for p in at99["panels"].values() if p["far"]["n"])
    verdict = "met" if worst <= WORST_PANEL else "NOT met"
    types = ", ".join(f"{name} {t['missed']} of {t['n']}" for name, t in at99["types"].items())
    return [
        *lines,
        "",
        f"Worst panel at 99%: {percent(worst)} (<= 1%: {verdict}). Missed at 99%, by type: {types}.",
        "",
    ]


def draw(cells: Cells, pairs: list[Pair], models: dict[str, MapModel], folder: Path) -> None:
    """One picture per listed cell: golden, golden in place, test, difference; the cell and its box outlined."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, i, j in zip(cells.pair, cells.row, cells.column, strict=True):
        pair = pairs[number]
        golden, test = pair.images()
        placed = models[pair.group].score(golden, test).registered.golden
        differs = np.repeat(255 * tolerant_difference(bits(placed), bits(test))[..., None], 3, axis=2)
        tiles = [_around(image, int(i), int(j), pair) for image in (golden, placed, test, differs)]
        name = f"{safe_name(pair.key.replace('/', '_'))}_{i}_{j}.png"
        (folder / name).write_bytes(png_bytes(np.concatenate(tiles, axis=1)))
    print(f"{len(cells.pair)} pictures in {folder}", file=sys.stderr)


def _around(image: np.ndarray, i: int, j: int, pair: Pair) -> np.ndarray:
    shown = np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)).copy()
    for x0, y0, x1, y1 in pair.boxes:
        cv2.rectangle(shown, (x0, y0), (x1 - 1, y1 - 1), (255, 140, 0), 1)
    cv2.rectangle(shown, (64 * j, 64 * i), (64 * j + 63, 64 * i + 63), (0, 160, 255), 1)
    framed = cv2.copyMakeBorder(shown, *(AROUND,) * 4, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    part = framed[64 * i : 64 * i + 64 + 2 * AROUND, 64 * j : 64 * j + 64 + 2 * AROUND]
    return cv2.copyMakeBorder(cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST), 4, 4, 4, 4, 0)


def main() -> int:
    args = arguments()
    recipe = recipe_of(args.set)
    skipped: list[ImageError] = []
    pairs = read_deeppcb(args.data, skipped)
    for row in skipped:
        print(f"left out: {row}", file=sys.stderr)
    parts, models, spent, homeless, trained = [], {}, 0.0, [], {}
    scored_pairs: list[Pair] = []
    for name, learn, test in folds_of(pairs, args.train):
        folder = args.cache_dir / safe_name(name)
        model, cost = train([p for p in pairs if p.group in learn], recipe, folder, name)
        todo = [p for p in pairs if p.group in test]
        cells, about = score(model, todo, len(scored_pairs))
        scored_pairs += todo
        parts.append(cells)
        models |= dict.fromkeys(test, model)
        spent, homeless = spent + about["cpu"], homeless + about["homeless"]
        trained[name] = cost
    cells = together(parts)
    listed = cells.only((cells.label == NG) & cells.nothing)
    given, without = figures(cells), figures(cells.only(~((cells.label == NG) & cells.nothing)))
    names = [f"{scored_pairs[n].key} row {i} column {j}" for n, i, j in zip(listed.pair, listed.row, listed.column)]
    ms = 1000 * spent / len(cells.label)
    print(f"DeepPCB, {len(scored_pairs)} pairs of {len(models)} panels; recipe {recipe.to_json()}\n")
    print("\n".join([*table("As given", given), *table("Without the listed cells", without)]))
    costs = ", ".join(f"{name} {cost / 60:.1f}" if cost else f"{name} kept" for name, cost in trained.items())
    print(f"Training, CPU-min: {costs}. Comparing: {ms:.2f} CPU-ms a cell, reading included.")
    left_out = int((cells.label == LEFT_OUT).sum())
    print(f"{left_out:,} cells left out; {len(homeless)} boxes that no cell holds half of; {len(names)} cells listed.")
    for title, lines in (("Boxes without a cell", homeless), ("Listed cells", names)):
        shown = [f"- {line}" for line in lines[:SHOWN]] + ["- … all in --out"] * (len(lines) > SHOWN)
        print("\n".join([f"\n{title}: {len(lines)}", *shown]))
    if args.pictures:
        draw(listed, scored_pairs, models, args.pictures)
    if args.out:
        about = {"recipe": recipe.to_json(), "train_cpu_s": trained, "cpu_ms_per_cell": ms, "homeless": homeless}
        write_json(args.out, {**about, "as_given": given, "without_listed": without, "listed": names})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NoescapeError as error:
        sys.exit(f"error: {error}")
