"""Generate: a file of test cases in, the output tree out; one failing row costs itself alone; killed, it goes on."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from noescape.defects.generators.base import Generated, Generator, generator_class
from noescape.defects.generators.exemplar.logdomain import disc
from noescape.defects.generators.plan import Asked, Plan
from noescape.defects.generators.results import timing, write_tables
from noescape.defects.generators.resume import claim, finished, identity_of
from noescape.defects.generators.tree import PROVENANCE, TIMING, Twins, output_name, picture_bytes, pictures_of
from noescape.defects.placement.testcase import TestCase
from noescape.defects.quality.filter import SearchOptions, search
from noescape.defects.quality.refine import Found, attempt_rng, varied
from noescape.files import JsonlAppender, clock_is_stopped, one_at_a_time, read_jsonl, write_bytes, write_json
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import ImageError, NoescapeError, UsageError

if TYPE_CHECKING:
    from noescape.defects.quality.judge import Judge

Tell = Callable[[str, int], Callable[[int], None]]
USUAL_CROP = 2.0


def generate(
    planned: Plan,
    out: Path,
    *,
    seed: int = 0,
    workers: int = 0,
    overwrite: bool = False,
    look: SearchOptions | None = None,
    measure: str = "nn",
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Make every image of the plan in `out`; returns summary.json.

    `look`: draw again and keep the best by `measure` (see `quality.judge`); what does not reach its threshold is a
    failed row. The rows of the same generation that are there are kept, so a killed one goes on and ends with the same
    bytes. UsageError where `out` holds something else, WorkError where another process
    works there. An image depends on `seed`, its row and its number there alone.
    """
    with one_at_a_time(out):
        return generate_alone(
            planned, out, seed=seed, workers=workers, overwrite=overwrite, look=look, measure=measure, tell=tell
        )


def generate_alone(
    planned: Plan,
    out: Path,
    *,
    seed: int = 0,
    workers: int = 0,
    overwrite: bool = False,
    look: SearchOptions | None = None,
    measure: str = "nn",
    tell: Tell | None = None,
) -> dict[str, Any]:
    """`generate` for who holds `out` already."""
    look = look or SearchOptions()
    claim(out, whole_identity(planned, seed, look, measure), overwrite)
    done = finished(out, planned)
    start, spent, threads = time.monotonic(), [], 1
    if done < len(planned.asked):  # a generator takes its time to load
        generator = generator_class(planned.step.generator).load(planned.step.path)
        threads = worker_count(workers) if generator.parallel else 1
        draw = partial(_draw, generator=generator, seed=seed, look=look, judge=_judge(generator, look, measure))
        one = partial(_one, planned=planned, draw=draw, measure=measure, out=out, seed=seed, twins=Twins())
        advance = tell("generating", len(planned.asked)) if tell else lambda count: None
        with JsonlAppender(out / PROVENANCE) as log:
            for count, (row, cost) in enumerate(ordered_map(one, planned.asked[done:], threads), done + 1):
                log.append(row)
                spent.append(cost)
                advance(count)
    rows = list(read_jsonl(out / PROVENANCE))
    summary = write_tables(out, planned, rows)
    if spent or not (out / TIMING).is_file():
        write_json(out / TIMING, {} if clock_is_stopped() else timing(spent, time.monotonic() - start, threads))
    return summary


def whole_identity(planned: Plan, seed: int, look: SearchOptions, measure: str) -> dict[str, Any]:
    """What makes a generation this one, with how it looks for the best draw."""
    return identity_of(planned, seed, None if look.off else {"measure": measure, **asdict(look)})


def _judge(generator: Generator, look: SearchOptions, measure: str) -> Judge | None:
    if look.off:
        return None
    from noescape.defects.quality.features import open_reader  # the backbone's libraries, only where they are needed
    from noescape.defects.quality.judge import Judge

    if generator.examples is None:
        raise UsageError(f"the {generator.name} generator keeps no examples to score by: leave refining and filter off")
    return Judge(generator.examples(), None if measure == "completeness" else open_reader(), measure)


def _draw(
    asked: Asked, *, generator: Generator, seed: int, look: SearchOptions, judge: Judge | None
) -> Found[Generated]:
    """The picture of one row, or the best of those that `look` allows. Draw 0 is the one without any looking."""
    case, key = asked.case, (seed, asked.case.seed, asked.copy)
    return search(
        lambda attempt: generator.infer(varied(case, attempt, seed), attempt_rng(key, attempt)),
        lambda made: judge(made, case.anomaly_type) if judge else 0.0,
        look,
    )


def _one(
    asked: Asked,
    *,
    planned: Plan,
    draw: Callable[[Asked], Found[Generated]],
    measure: str,
    out: Path,
    seed: int,
    twins: Twins,
) -> tuple[dict[str, Any], float]:
    """The row of one image and its CPU-seconds; its pictures are on disk when this returns."""
    start = time.thread_time()
    row = _head(asked, planned, seed)
    try:
        found = draw(asked)
    except NoescapeError as error:
        code = error.code if isinstance(error, ImageError) else "not_drawn"
        return row | {
            "output_filename": None,
            "error": {"code": code, "reason": _shown(str(error), asked.case, planned)},
        }, math.nan
    except (MemoryError, RuntimeError, cv2.error, ValueError, ArithmeticError) as error:
        problem = {"code": "failed", "reason": f"{type(error).__name__}: {error}"}
        return row | {"output_filename": None, "error": problem}, math.nan
    if found.score is not None:
        score = round(found.score, 6) if math.isfinite(found.score) else None
        row |= {"score": score, "score_by": measure, "source": found.source}
    if not found.passed:
        problem = {"code": "below_threshold", "reason": f"the best of {len(found.scores)} draws is under the threshold"}
        return row | {"output_filename": None, "error": problem}, math.nan
    made = found.item
    name = output_name(asked.case.anomaly_type, asked.number)
    files = {}
    encoded = {id(made.clean): twins.bytes(row["image_sha256"], made.clean)}
    for path, picture in pictures_of(made, name, asked.case.crop_ratio or USUAL_CROP).items():
        if id(picture) not in encoded:
            encoded[id(picture)] = picture_bytes(picture)
        data = encoded[id(picture)]
        write_bytes(out / path, data, sync=False)
        files[path] = hashlib.sha256(data).hexdigest()
    row |= {"output_filename": f"{name}.png", **_figures(made), **made.provenance, "files": files}
    row["instances"] = [{"bbox_xyxy": list(box), "type": kind} for box, kind in made.instances]
    return row, time.thread_time() - start


def _head(asked: Asked, planned: Plan, seed: int) -> dict[str, Any]:
    case = asked.case
    return {
        "number": asked.number,
        "row": asked.row,
        "image_of_row": asked.copy,
        "anomaly_type": case.anomaly_type,
        "image_filename": planned.sources.names[case.image_filename],
        "image_sha256": planned.digests[case.image_filename],
        "mask_filename": planned.sources.names[case.mask_filename],
        "mask_sha256": planned.digests[case.mask_filename],
        "dataset_sha256": planned.sources.dataset_sha256,
        "guidance": case.guidance,
        "seed": case.seed,
        "generate_seed": seed,
        "checkpoint_sha256": planned.step.digest,
        "checkpoint_step": planned.step.number,
    }


def _figures(made: Generated) -> dict[str, Any]:
    """PSNR over the whole picture, and the largest difference beyond the widened label (jitter apart, 0)."""
    change = cv2.absdiff(made.image, made.clean)
    error = cv2.norm(change, cv2.NORM_L2SQR) / change.size
    wide = int(made.provenance.get("widening_px", 0))
    near = cv2.dilate(made.mask, disc(wide)) if wide else made.mask
    red, green, blue = cv2.split(change)
    worst = cv2.minMaxLoc(cv2.max(cv2.max(red, green), blue), mask=(near == 0).astype(np.uint8))[1]
    return {"psnr": round(10 * math.log10(255**2 / error), 4) if error else None, "outside_max_diff": int(worst)}


def _shown(text: str, case: TestCase, planned: Plan) -> str:
    """An error's text without the place where the files happen to lie."""
    for name in (case.image_filename, case.mask_filename):
        text = text.replace(name, planned.sources.names[name])
    return text
