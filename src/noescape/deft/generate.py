"""Defects generated in the loop, for the very gaps that were found, from the training set's own examples.

Exemplars are the training rows of a type: what differs from their golden is the defect. It is drawn by the exemplar
generator into good training rows, and the partner of such a picture is that row's own golden: a second capture, as for
real defects, so that "the golden is this very picture" is nothing a model could learn from.

    dataset/                                examples and masks in the AnomalyGen layout
    checkpoint/                             what was learnt from them
    reconstructed_image/, original_image/   the pairs
    images/synth_{ng,ok}/, sdg_rows.csv     the same as rows of the pool
    summary.json                            allocated, delivered and failed per type
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.changenet.register import LEVEL, grey, is_two_tone
from noescape.changenet.rows import Row, read_rows
from noescape.changenet.spec import Spec
from noescape.datasets.anomalygen import read_anomalygen
from noescape.defects.generators.exemplar.generator import ExemplarGenerator
from noescape.defects.generators.recipe import ExemplarOptions, Recipe
from noescape.defects.placement.testcase import TestCase
from noescape.deft.exemplars import Example, change_mask, placed, spread
from noescape.deft.ledger import Dropped, account_allocation
from noescape.deft.parquet import read_parquet
from noescape.deft.places import Images, reason, shown
from noescape.deft.pregen import NG_DIR, OK_DIR, Pair
from noescape.deft.stage_pairs import POOL_COLUMNS, stage_pairs
from noescape.files import safe_name, write_bytes, write_csv, write_json
from noescape.imaging import png_bytes, read_picture
from noescape.records import DataError, ImageError

TEXTURE = "PAIR"
PER_GAP, MOST = 2, 200  # pictures per weak sample, and in all
MOST_EXAMPLES, MOST_CLEAN = 16, 64
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Inline:
    """What was generated: `rows` for the pool, pictures per label, failures with their reason (named by label)."""

    rows: tuple[dict[str, str], ...]
    allocated: dict[str, int]
    delivered: dict[str, int]
    dropped: tuple[Dropped, ...]
    sdg_rows_csv: Path


def known_types(training_csv: Path) -> tuple[str, ...]:
    """The labels that can be generated: those of defects in the training set."""
    return tuple(sorted({row.label.strip().lower() for row in read_rows(training_csv) if row.is_defect}))


def allocate(gaps: Path, known: Sequence[str], *, per_gap: int = PER_GAP, most: int = MOST) -> dict[str, int]:
    """Pictures per label: `per_gap` for each weak sample of a known type, scaled down to `most` in all."""
    table = read_parquet(gaps, ("filepath", "label"))
    labels = {str(f): str(v).strip().lower() for f, v in zip(table["filepath"], table["label"], strict=True)}
    wanted = Counter(label for label in labels.values() if label in known)
    total = per_gap * sum(wanted.values())
    scale = min(1.0, most / total) if total else 1.0
    return {label: max(1, int(per_gap * count * scale)) for label, count in sorted(wanted.items())}


def generate_inline(
    gaps: Path,
    training_csv: Path,
    spec: Spec,
    workspace: Path,
    out: Path,
    *,
    images_dir: str = ".",
    per_gap: int = PER_GAP,
    most: int = MOST,
    seed: int = 42,
) -> Inline:
    """Generate pairs for `gaps` (parquet) from `training_csv`, whose paths start at `images_dir`; only training rows
    are used, never held-out ones.

    A picture that cannot be drawn is logged with its reason; HardStop amp_allocation where the sum does not hold.
    `out` is emptied first. About .1 CPU-s per example and .05 per picture.
    """
    images = Images.of(spec.dataset.classify, images_dir, workspace)
    rows = read_rows(training_csv)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    wanted = allocate(gaps, known_types(training_csv), per_gap=per_gap, most=most)
    examples = {label: _examples(rows, label, images) for label in wanted}
    clean = _clean(rows, images)
    dropped = [
        Dropped(
            row=label, reason=f"no example of {label} shows what differs from its golden" if clean else "no good row"
        )
        for label, count in wanted.items()
        for _ in range(count)
        if not examples[label] or not clean
    ]
    able = {label: found for label, found in examples.items() if found and clean}
    pairs = _draw(wanted, able, clean, images, out, seed, dropped) if able else []
    staged = stage_pairs(pairs, out / "images", f"{shown(out, workspace)}/images", images.files)
    dropped += [Dropped(row=pair.kind, reason=_why(staged.skipped, pair.stem)) for pair in pairs
                if any(one.row == pair.stem for one in staged.skipped)]  # fmt: skip
    delivered = staged.labels()
    account_allocation(wanted, delivered, dropped)
    csv = out / "sdg_rows.csv"
    write_csv(csv, POOL_COLUMNS, [[row[name] for name in POOL_COLUMNS] for row in staged.rows])
    failed = dict(sorted(Counter(one.row for one in dropped).items()))
    write_json(out / "summary.json", {"allocated": wanted, "delivered": delivered, "failed": failed,
                                      "failures": [one.to_json() for one in dropped[:20]]})  # fmt: skip
    return Inline(rows=staged.rows, allocated=wanted, delivered=delivered, dropped=tuple(dropped), sdg_rows_csv=csv)


def _why(skipped: Sequence[Dropped], stem: str) -> str:
    return next(one.reason for one in skipped if one.row == stem)


def _examples(rows: Sequence[Row], label: str, images: Images) -> list[Example]:
    found = []
    for row in spread([r for r in rows if r.is_defect and r.label.strip().lower() == label], MOST_EXAMPLES):
        try:
            rgb = read_picture(images.input(row)).rgb
            mask = change_mask(rgb, read_picture(images.golden(row)).rgb)
        except (ImageError, DataError):
            continue
        if mask is not None:
            found.append(Example(rgb=rgb, mask=mask))
    return found


def _clean(rows: Sequence[Row], images: Images) -> list[Row]:
    found = []
    for row in spread([r for r in rows if not r.is_defect], MOST_CLEAN):
        try:
            images.input(row), images.golden(row)
        except DataError:
            continue
        found.append(row)
    return found


def _draw(
    wanted: Mapping[str, int],
    examples: Mapping[str, Sequence[Example]],
    clean: Sequence[Row],
    images: Images,
    out: Path,
    seed: int,
    dropped: list[Dropped],
) -> list[Pair]:
    generator = _learn(examples, [images.input(row) for row in clean[:8]], out)
    pairs = []
    for number_of_type, (label, found) in enumerate(sorted(examples.items())):
        for number in range(wanted[label]):
            rng = np.random.default_rng([seed, number_of_type, number])
            try:
                pairs.append(_one(label, number, found, clean, images, generator, out, rng))
            except (ImageError, DataError) as error:
                dropped.append(Dropped(row=label, reason=reason(error, images.workspace)))
    return pairs


def _one(
    label: str,
    number: int,
    found: Sequence[Example],
    clean: Sequence[Row],
    images: Images,
    generator: ExemplarGenerator,
    out: Path,
    rng: np.random.Generator,
) -> Pair:
    row = clean[int(rng.integers(len(clean)))]
    surface = images.input(row)
    mask = placed(found[int(rng.integers(len(found)))].mask, read_picture(surface).rgb.shape[:2], rng)
    stem = f"{_key(label).rpartition('+')[2]}_{number:05d}"
    mask_file = out / "original_mask" / f"{stem}.png"
    write_bytes(mask_file, png_bytes(mask), sync=False)
    case = TestCase(image_filename=str(surface), mask_filename=str(mask_file), anomaly_type=_key(label), seed=number)
    made = generator.infer(case, rng)
    ng, ok = out / NG_DIR / f"{stem}.png", out / OK_DIR / f"{stem}.png"
    write_bytes(ng, png_bytes(_as_captured(made.image, made.clean, surface)), sync=False)
    write_bytes(ok, png_bytes(read_picture(images.golden(row)).rgb), sync=False)
    return Pair(stem=stem, ng=ng, ok=ok, kind=label)


def _as_captured(image: U8, clean: U8, surface: Path) -> U8:
    """Two-tone where the surface is: a camera of bare boards writes black and white. ImageError if nothing is left."""
    if is_two_tone(grey(clean)):
        light = grey(image) > LEVEL
        image = np.repeat(np.where(light, np.uint8(255), np.uint8(0))[:, :, None], 3, axis=2)
        clean = np.repeat(np.where(grey(clean) > LEVEL, np.uint8(255), np.uint8(0))[:, :, None], 3, axis=2)
    if not (image != clean).any():
        raise ImageError(surface, "same", "the defect that was drawn cannot be seen on it")
    return image


def _learn(examples: Mapping[str, Sequence[Example]], clean: Sequence[Path], out: Path) -> ExemplarGenerator:
    folder = out / "dataset" / TEXTURE
    for label, found in examples.items():
        kind = _key(label).rpartition("+")[2]
        for number, one in enumerate(found):
            write_bytes(folder / "anomaly_image" / kind / f"{number}.png", png_bytes(one.rgb), sync=False)
            write_bytes(folder / "mask" / kind / f"{number}_mask.png", png_bytes(one.mask), sync=False)
    for number, path in enumerate(clean):
        write_bytes(folder / "clean_image" / f"{number}.png", png_bytes(read_picture(path).rgb), sync=False)
    dataset = read_anomalygen(out / "dataset").require_usable()
    recipe = Recipe(exemplar=ExemplarOptions(step=1))
    step = ExemplarGenerator.finetune(dataset, recipe, out / "checkpoint", lambda done, total: None)
    return ExemplarGenerator.load(step)


def _key(label: str) -> str:
    """The generator's name of a label; different labels, different names.

    Never `missing`: a type of that name is drawn by rules on CAD masks, which there are none of here.
    """
    name = safe_name(label)
    plain = name == label and name.casefold() != "missing"
    return f"{TEXTURE}+{name if plain else f'{name}-{hashlib.sha256(label.encode()).hexdigest()[:6]}'}"
