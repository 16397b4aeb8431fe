"""Export: a run folder becomes one graph for another runtime, or a folder to copy; refused unless both agree.

OUT/model.xml .bin or model.onnx   the whole detector for one network input (see `exported_graph`)
OUT/export.json                    what goes in and comes out, thresholds, tiles, parity figures, digests, versions
OUT/thresholds.json                as in the run
Or, as a bundle, exactly the files of `bundle`, free of this machine's paths.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.bundle import BUNDLE_FILES, Bundle, sign, verify
from noescape.anomaly.config import DataConfig, InspectorConfig
from noescape.anomaly.detector import PadimScorer
from noescape.anomaly.embedder import torch_embedding
from noescape.anomaly.export_formats import GRAPH_FORMATS, INPUT, OUTPUTS, require_packages
from noescape.anomaly.exported_graph import DetectorGraph, refuse_the_unsayable
from noescape.anomaly.parity import Judgement, Parity, compare, gate
from noescape.anomaly.progress import Tell, silent
from noescape.features.weights import find_weights
from noescape.files import sha256_file, write_json, write_text
from noescape.records import BundleError, UsageError, WorkError

FORMATS = (*GRAPH_FORMATS, "bundle")
OWN = frozenset({"export.json", "manifest.json", "weights", *BUNDLE_FILES, "model.xml", "model.bin", "model.onnx"})


def export(
    run: Path, form: str, out: Path, *, weights: Path | None = None, overwrite: bool = False, tell: Tell = silent
) -> dict[str, Any]:
    """Export `run` as `form` (one of `FORMATS`) into `out`; returns what export.json says.

    `weights` replaces the backbone's weights file of the run's configuration (it must be the same file). The folder
    appears whole, by rename, after the copy has agreed with the native detector on the stored probe set; WorkError
    where it does not, UsageError where the format cannot carry this model or `out` holds something else.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form!r}: expected one of {', '.join(FORMATS)}")
    if form in GRAPH_FORMATS:
        require_packages(form)
    out = out.resolve()
    _check_place(out, run, overwrite)
    bundle = Bundle(run)
    part = _beside(out, "exporting")
    shutil.rmtree(part, ignore_errors=True)  # of an export that was killed
    part.mkdir(parents=True)
    try:
        told = _bundle(bundle, part, tell) if form == "bundle" else _graph(bundle, form, part, weights, tell)
        _put_in_place(part, out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return told


def _graph(bundle: Bundle, form: str, part: Path, weights: Path | None, tell: Tell) -> dict[str, Any]:
    kind = GRAPH_FORMATS[form]
    model, view = bundle.model, bundle.view
    refuse_the_unsayable(model, view)
    config = _with_weights(bundle, weights)
    step = tell(f"converting to {form}", 1)
    graph = DetectorGraph(torch_embedding(config), model, view).eval().requires_grad_(False)
    kind.write(graph, view.image_size, part)
    step(1)
    parity = _parity(bundle, kind.load(part), tell)
    gate(parity, f"the {form} copy of {bundle.folder}")
    write_json(part / "thresholds.json", bundle.thresholds)
    told = _describe(bundle, form, part, parity)
    write_json(part / "export.json", told)
    return told


def _bundle(bundle: Bundle, part: Path, tell: Tell) -> dict[str, Any]:
    (part / "weights").mkdir()
    step = tell("copying the bundle", len(BUNDLE_FILES))
    for number, name in enumerate(BUNDLE_FILES, 1):
        shutil.copyfile(bundle.folder / name, part / name)
        step(number)
    write_text(part / "config.yaml", without_places(bundle.config).to_yaml())
    sign(part)
    if verify(bundle.folder) != bundle.digest:
        raise WorkError(f"{bundle.folder} was changed while it was copied (new thresholds?): export it again")
    copied = Bundle(part)
    parity = _parity(bundle, _on_network_inputs(copied), tell)
    gate(parity, f"the copy of {bundle.folder}")
    return {"format": "bundle", "source": {"bundle_digest": bundle.digest}, "parity": parity.to_json()}


def without_places(config: InspectorConfig) -> InspectorConfig:
    """The configuration without paths of the machine that it was fitted on; its identity stays the same.

    The region of interest is stored with the weights; `model.weights` must be given anew where the backbone itself is
    needed (another export, a GPU).
    """
    data = config.data.model_copy(update={"root": DataConfig().root, "roi": None})
    model = config.model.model_copy(update={"weights": None})
    return config.model_copy(update={"data": data, "model": model, "output_dir": InspectorConfig().output_dir})


def _with_weights(bundle: Bundle, weights: Path | None) -> InspectorConfig:
    """The run's configuration with a weights file that is the one it was fitted with."""
    config = bundle.config
    path = find_weights(config.model.backbone, weights or config.model.weights)
    if (found := sha256_file(path)) != bundle.meta["backbone_weights_sha256"]:
        raise BundleError(
            f"{path} is not the weights file that {bundle.folder} was fitted with: sha256 {found[:12]}…, expected "
            f"{bundle.meta['backbone_weights_sha256'][:12]}…; give that one with --weights"
        )
    return config.model_copy(update={"model": config.model.model_copy(update={"weights": path})})


def _parity(bundle: Bundle, copy: Judgement, tell: Tell) -> Parity:
    """The copy against the native detector in float32, both on inputs of network size."""
    probes = bundle.tensors.get("probe_inputs")
    if (
        probes is None
        or probes.dtype != np.uint8
        or probes.shape[1:] != (*bundle.view.image_size, 3)
        or not len(probes)
    ):
        raise BundleError(f"{bundle.folder}: no probe set of the network's input size is stored; fit again")
    step = tell("comparing with the native detector", len(probes))
    return compare(_on_network_inputs(bundle), copy, probes.astype(np.uint8), bundle.thresholds, step)


def _on_network_inputs(bundle: Bundle) -> Judgement:
    """The native detector in float32, without tiles. PaDiM that learnt several tiles is shown the input as each of
    them, and its patches stand for the map."""
    detector = replace(bundle.detector(precision="f32"), view=replace(bundle.view, tile=None))
    rows, columns = bundle.view.grid
    model = detector.model
    if not isinstance(model, PadimScorer) or len(model.padim.mean) == rows * columns:
        return detector.score
    tiles = len(model.padim.mean) // (rows * columns)

    def judge(rgb: npt.NDArray[np.uint8]) -> tuple[float, npt.NDArray[np.float32]]:
        patches, _ = model.measure(np.concatenate([detector.embedder(rgb)] * tiles), None)
        return float(patches.max()), patches.reshape(-1, columns)

    return judge


def _check_place(out: Path, run: Path, overwrite: bool) -> None:
    """UsageError unless `out` is free, or holds nothing but an earlier export that may be replaced."""
    if run.resolve().is_relative_to(out):
        raise UsageError(f"--output-dir {out} is or holds the run folder itself: choose another")
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--output-dir {out} is a file; give a folder")
    names = {p.name for p in out.iterdir()}
    if not names:
        return
    if not names <= OWN:
        raise UsageError(f"--output-dir {out} holds other things ({sorted(names - OWN)[0]!r} …): choose another")
    if not overwrite:
        raise UsageError(f"--output-dir {out} holds an earlier export: choose another, or add --overwrite")


def _put_in_place(part: Path, out: Path) -> None:
    old = _beside(out, "replaced")
    shutil.rmtree(old, ignore_errors=True)
    if out.is_dir():
        out.rename(old)
    part.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _beside(out: Path, what: str) -> Path:
    """A hidden folder beside `out`, the same at each call, so that the next export cleans up after a killed one."""
    return out.with_name(f".{out.name[:40]}.{hashlib.sha256(os.fsencode(out.name)).hexdigest()[:8]}.{what}")


def _describe(bundle: Bundle, form: str, part: Path, parity: Parity) -> dict[str, Any]:
    """The content of export.json: everything that a program around the graph must know."""
    view, kind = bundle.view, GRAPH_FORMATS[form]
    height, width = view.image_size
    limits = bundle.thresholds
    return {
        "format": form,
        "files": {name: sha256_file(part / name) for name in (*kind.files, "thresholds.json")},
        "source": {
            "bundle_digest": bundle.digest,
            **{key: bundle.meta[key] for key in ("model", "category", "run_id", "identity")},
            "backbone": bundle.config.model.backbone,
        },
        "input": {
            "name": INPUT,
            "shape": [1, height, width, 3],
            "dtype": "uint8",
            "order": "RGB, 0..255; normalisation is part of the graph; grey images three times the same",
            "resize": "to height x width without keeping the aspect ratio: OpenCV INTER_AREA where the image is at "
            "least as high and as wide, else INTER_LINEAR; no change at equal size",
            "white_level_16_bit": bundle.meta["white_level"],
        },
        "outputs": {
            OUTPUTS[0]: {"shape": [height, width], "dtype": "float32", "frame": "pixels of the network input"},
            OUTPUTS[1]: {"shape": [], "dtype": "float32", "label": "NG if over image_threshold (strictly), else OK"},
        },
        "thresholds": {key: limits[key] for key in ("image_threshold", "pixel_threshold", "review_band")},
        "map_scale": limits["map_scale"],
        "tiles": _tile_rule(bundle),
        "region_of_interest": None
        if view.roi is None
        else "part of the graph, at the size of the network input: the map is 0 outside of it",
        "parity": parity.to_json(),
        "runtime_settings": kind.settings,
        "versions": {name: metadata.version(name) for name in ("noescape", "numpy", "torch", *kind.packages)},
    }


def _tile_rule(bundle: Bundle) -> dict[str, Any] | None:
    """How to cut an image for the graph and put the answers together; None where the whole image goes in."""
    view = bundle.view
    if view.tile is None:
        return None
    of_map = view.score_share is None and isinstance(bundle.model, PadimScorer)
    return {
        "tile_px": view.tile,
        "overlap_px": view.overlap,
        "cut": "in source pixels, along each axis of length n: one start 0 if n <= tile_px; else starts "
        "min(i * (tile_px - overlap_px), n - tile_px) for i = 0 .. ceil((n - tile_px) / (tile_px - overlap_px)); "
        "each tile ends at min(start + tile_px, n) and is resized to the network input",
        "stitch": "resize each anomaly_map bilinearly (OpenCV INTER_LINEAR) to its tile and take the maximum where "
        "tiles overlap",
        "score": "maximum of the stitched map" if of_map else "maximum pred_score of all tiles",
    }
