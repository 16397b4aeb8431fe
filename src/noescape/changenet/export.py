"""A checkpoint as one graph for another runtime, written only if both give the same scores.

OUT/model.xml .bin or model.onnx   RGB uint8 [1, 2H, W, 3], the input above its golden -> siamese_score
OUT/export.json                    how to feed it, parity figures, digests, versions
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.changenet.images import LoadedPair
from noescape.changenet.lines import OnLine, silent
from noescape.changenet.rows import Row
from noescape.changenet.scorer import Scorer, open_scorer
from noescape.changenet.spec import Spec
from noescape.changenet.training import named_rows
from noescape.files import one_at_a_time, sha256_file, write_json
from noescape.records import DataError, UsageError, WorkError

FORMATS = {"openvino": ("model.xml", "model.bin"), "onnx": ("model.onnx",)}
PACKAGES = {"openvino": ("openvino",), "onnx": ("onnx", "onnxscript", "onnxruntime")}
TOLERANCE = 1e-4  # of a score, or of the largest one where scores exceed 1
PROBES = 12
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Scores of the graph against those of the checkpoint, on `probes` pairs; `flipped` counts labels that changed."""

    probes: int
    max_difference: float
    allowed: float
    flipped: int

    @property
    def holds(self) -> bool:
        """Whether all agree."""
        return self.max_difference <= self.allowed and not self.flipped


def export(spec: Spec, checkpoint: Path, form: str, out: Path, *, on_line: OnLine = silent) -> Agreement:
    """Write `checkpoint` as `form` (openvino or onnx) into `out`.

    UsageError for a model that one graph cannot carry (map networks, several goldens) or packages that are not here;
    WorkError, with nothing left behind, where the graph's scores differ by more than 1e-4 or a label at eval_margin
    flips.
    """
    from noescape.changenet.export_graph import graph_of, load_graph, write_graph

    if form not in FORMATS:
        raise UsageError(f"--format {form!r}: expected one of {', '.join(FORMATS)}")
    lacking = [name for name in PACKAGES[form] if importlib.util.find_spec(name) is None]
    if lacking:
        raise UsageError(f"--format {form} needs {', '.join(lacking)}: pip install 'noescape[{form}]'")
    scorer, pairs = _opened(spec, checkpoint)
    graph, size = graph_of(scorer)
    with one_at_a_time(out):
        part = out / ".exporting"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            write_graph(graph, size, form, part)
            probes = [*pairs, *drawn_pairs(size)]
            found = agreement(scorer, load_graph(form, part), probes, spec.model.classify.eval_margin)
            on_line(f"{form}: {found.probes} probes differ by at most {found.max_difference:.2g}")
            if not found.holds:
                raise WorkError(
                    f"the {form} copy of {checkpoint} does not agree with it and was thrown away: scores differ by "
                    f"{found.max_difference:.3g} (allowed {found.allowed:.3g}), {found.flipped} labels flipped"
                )
            files = {name: sha256_file(part / name) for name in FORMATS[form]}
            for name in FORMATS[form]:
                (part / name).replace(out / name)
            write_json(out / "export.json", _described(scorer, form, size, checkpoint, files, found, spec))
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return found


def agreement(scorer: Scorer, copy: Callable[[U8], float], pairs: Sequence[LoadedPair], margin: float) -> Agreement:
    """Score each pair twice."""
    native = np.array(scorer.score(pairs))
    copied = np.array([copy(np.concatenate([p.input, p.goldens[0]], axis=0)) for p in pairs])
    apart = float(np.abs(native - copied).max())
    return Agreement(
        probes=len(pairs),
        max_difference=apart if np.isfinite(apart) else float("inf"),
        allowed=TOLERANCE * max(1.0, float(np.abs(native).max())),
        flipped=int(((native > margin) != (copied > margin)).sum()),
    )


def drawn_pairs(size: tuple[int, int]) -> list[LoadedPair]:
    """Four pairs of soft noise: the same image, a changed place, another image, and black against white."""
    rng = np.random.default_rng(20)
    height, width = size
    small = rng.integers(0, 256, (2, -(-height // 8), -(-width // 8), 3)).astype(np.uint8)
    one, other = (np.kron(s, np.ones((8, 8, 1), np.uint8))[:height, :width] for s in small)
    changed = one.copy()
    changed[height // 4 : height // 2, width // 4 : width // 2] = 255 - changed[height // 4 : height // 2,
                                                                              width // 4 : width // 2]  # fmt: skip
    black, white = np.zeros_like(one), np.full_like(one, 255)
    pairs = ((one, one), (changed, one), (other, one), (black, white))
    return [LoadedPair(input=np.ascontiguousarray(a), goldens=np.ascontiguousarray(b)[None]) for a, b in pairs]


def _opened(spec: Spec, checkpoint: Path) -> tuple[Scorer, list[LoadedPair]]:
    """The scorer, and pairs of the first rows that the spec names to compare on."""
    data = spec.dataset.classify
    for name in ("validation_dataset", "test_dataset", "infer_dataset", "train_dataset"):
        part = getattr(data, name)
        if not part.csv_path or not part.images_dir:
            continue
        try:
            rows = named_rows(name, part)
        except DataError:
            continue
        scorer = open_scorer(checkpoint, spec, rows.images_dir)
        return scorer, _probes(scorer, rows.rows)
    return open_scorer(checkpoint, spec, "."), []


def _probes(scorer: Scorer, rows: Sequence[Row]) -> list[LoadedPair]:
    out = []
    for row in rows[:: max(1, len(rows) // PROBES)][:PROBES]:
        try:
            out.append(scorer.load(row))
        except (WorkError, OSError):
            continue
    return out


def _described(
    scorer: Scorer, form: str, size: tuple[int, int], checkpoint: Path, files: dict[str, str], found: Agreement,
    spec: Spec,
) -> dict[str, Any]:  # fmt: skip
    height, width = size
    return {
        "format": form,
        "files": files,
        "source": {"checkpoint": checkpoint.name, "sha256": sha256_file(checkpoint), "kind": scorer.kind},
        "input": {
            "name": "pair",
            "shape": [1, 2 * height, width, 3],
            "dtype": "uint8",
            "order": "RGB, 0..255; the input image above its golden; normalisation is part of the graph",
            "prepare": "register the golden on the input (noescape.registration), resize each light (OpenCV INTER_AREA "
            "when shrinking, else INTER_LINEAR), lay lights row by row",
            "lights": list(spec.dataset.classify.lights),
            "grid": list(spec.dataset.classify.grid),
        },
        "output": {"name": "siamese_score", "shape": [], "label": "NO_PASS if over the threshold, strictly"},
        "eval_margin": spec.model.classify.eval_margin,
        "parity": asdict(found),
        "runtime_settings": {"INFERENCE_PRECISION_HINT": "f32"} if form == "openvino" else {},
        "versions": {name: metadata.version(name) for name in ("noescape", "torch", *PACKAGES[form])},
    }
