"""The coreset: `greedy_coreset` against its own plain form and against a plain torch loop, on real patch features.

As a program, ``python coreset_part.py JOB.json``, it measures in a process of its own, told to use one thread.
"""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jobs import PATCHCORE, SAME_RECIPE, Runner, Split
from measured_process import run_measured
from tables import fixed, middle, table

RATIO = 0.01
SMALL = 60  # images of the small set; the large one has all training images of the split
RECIPES: dict[str, dict[str, Any]] = {"anomalib's layers": SAME_RECIPE, "ours": {}}
ONCE = 100_000  # rows from which a slow loop runs once


def coreset(_: Runner, split: Split, repeats: int) -> tuple[dict[str, Any], str]:
    with tempfile.TemporaryDirectory(prefix="coreset-") as scratch:
        job, out = Path(scratch) / "job.json", Path(scratch) / "out.json"
        images = [str(sample.image.resolve()) for sample in split.train]
        job.write_text(json.dumps({"images": images, "repeats": repeats, "out": str(out)}), encoding="utf-8")
        run_measured([sys.executable, __file__, str(job)])
        found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
    return {"sets": found}, _table(found)


def torch_loop(vectors: Any, count: int) -> Any:
    """Greedy k-centre as anomalib's loop does it: one norm over all rows for each centre."""
    import torch

    rows = torch.from_numpy(vectors)
    chosen = [0]
    nearest = torch.full((len(rows),), torch.inf)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, torch.linalg.norm(rows - rows[chosen[-1]], dim=1))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def features(recipe: dict[str, Any], images: list[str]) -> Any:
    """Patch features `[N, D]` of the images, one below the other."""
    from noescape.anomaly.detector import embed
    from noescape.anomaly.embedder import torch_embedding
    from noescape.features.runtime import OpenVinoEmbedder, convert_to_openvino
    from noescape.imaging import read_picture
    from our_job import configure, view_of

    config = configure(PATCHCORE, recipe, "f32")
    embedding = torch_embedding(config)
    embedder = OpenVinoEmbedder(convert_to_openvino(embedding, config.data.image_size))
    view = view_of(config, embedding.grid)
    return np.concatenate([embed(view, embedder, read_picture(Path(path)).rgb) for path in images])


def compare(vectors: Any, repeats: int) -> dict[str, Any]:
    """CPU seconds of the three forms in alternating runs, and whether they choose the same rows."""
    from noescape.anomaly.coreset import greedy_coreset, greedy_coreset_plain

    count = max(1, int(len(vectors) * RATIO))
    slow = 1 if len(vectors) >= ONCE else repeats
    forms: dict[str, tuple[Callable[[Any, int], Any], int]] = {
        "fast": (greedy_coreset, repeats),
        "torch": (torch_loop, slow),
        "plain": (greedy_coreset_plain, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    chosen = {}
    for repeat in range(repeats):
        for name, (form, most) in forms.items():
            if repeat < most:
                start = time.process_time()
                chosen[name] = form(vectors, count)
                seconds[name].append(time.process_time() - start)
                print(f"{vectors.shape} {name}: {seconds[name][-1]:.2f} s", flush=True)
    return {
        "rows": len(vectors),
        "dims": vectors.shape[1],
        "chosen": count,
        "cpu_s": seconds,
        "same_as_plain": bool(np.array_equal(chosen["fast"], chosen["plain"])),
        "same_as_torch": bool(np.array_equal(chosen["fast"], chosen["torch"])),
        "common_with_torch": len(set(chosen["fast"].tolist()) & set(chosen["torch"].tolist())),
        "digest": hashlib.sha256(chosen["fast"].tobytes()).hexdigest()[:16],
    }


def _table(found: list[dict[str, Any]]) -> str:
    rows = []
    for one in found:
        fast, loop, plain = (one["cpu_s"][name] for name in ("fast", "torch", "plain"))
        ratios = [loop[min(i, len(loop) - 1)] / seconds for i, seconds in enumerate(fast)]
        same = "yes" if one["same_as_torch"] else f"{one['common_with_torch']} of {one['chosen']}"
        rows.append(
            [
                one["features"],
                f"{one['rows']:,} x {one['dims']} → {one['chosen']:,}",
                middle(fast),
                f"{middle(loop)}, n {len(loop)}",
                fixed(plain[0], 1),
                middle(ratios, 1),
                fixed(plain[0] / float(np.median(fast)), 1),
                "yes" if one["same_as_plain"] else "NO",
                same,
            ]
        )
    header = [
        "features",
        "rows x dimensions → chosen",
        "ours, CPU s",
        "torch loop, CPU s",
        "plain numpy, CPU s",
        "torch loop takes … times as long",
        "plain numpy … times",
        "same rows as plain",
        "same rows as torch loop",
    ]
    return table(header, rows)


def _main(job: dict[str, Any]) -> None:
    from our_job import one_thread

    one_thread()
    found = []
    for name, recipe in RECIPES.items():
        whole = features(recipe, job["images"])
        few = len(whole) // len(job["images"]) * SMALL
        for rows in [few] * (few < len(whole)) + [len(whole)]:
            found.append({"features": name, **compare(np.ascontiguousarray(whole[:rows]), job["repeats"])})
    Path(job["out"]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
