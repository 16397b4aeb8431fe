"""An exported detector gives the native answers in its own runtime, or it is not exported at all."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
import torch
from torch import nn

from dataset_maker import mvtec, put, texture, tree
from noescape.anomaly import export as export_module
from noescape.anomaly import export_formats, exported_graph
from noescape.anomaly.bundle import BUNDLE_FILES, Bundle, sign
from noescape.anomaly.config import parse_config
from noescape.anomaly.detector import Detector, PadimScorer, PatchCoreScorer, View
from noescape.anomaly.embedder import torch_embedding
from noescape.anomaly.export import export
from noescape.anomaly.exported_graph import DetectorGraph, NearestInBank, growth
from noescape.anomaly.fit import fit
from noescape.anomaly.padim import fit_padim
from noescape.anomaly.parity import SHARE, compare, gate
from noescape.anomaly.patchcore import PatchCore
from noescape.cli.main import main
from noescape.imaging import blur_map, resize_map
from noescape.records import BundleError, UsageError, WorkError

U8 = npt.NDArray[np.uint8]
SIZE = (64, 96)
SHORT = {"layers": ["blocks.2"], "grid": 8, "n_features": 24, "map_sigma": 6, "coreset_sampling_ratio": 0.1}
RECIPE = {"layers": ["blocks.2", "blocks.4", "blocks.5"], "grid": 16, "border": "reflect", "score_share": None}
ONNX = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None] == []
GRAPHS = ("openvino", "onnx") if ONNX else ("openvino",)


def fitted(root: Path, name: str, **parts: Any) -> Path:
    """A run on eight textures with a short network; `parts` override the configuration's `model` and `data`."""
    data = mvtec(root / "the parts", train=8, good=1, scratch=1)
    config = {
        "model": {"name": name, **SHORT, **parts.get("model", {})},
        "data": {"root": str(data), "image_size": list(SIZE), "num_workers": 1, **parts.get("data", {})},
        "thresholds": {"folds": 2},
        "output_dir": str(root / "runs"),
        "run_id": "one",
    }
    return fit(parse_config(config, "test"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small PaDiM with the top-share score, and a PatchCore as it ships but with the paper's score."""
    return {
        "patchcore": fitted(tmp_path_factory.mktemp("patchcore"), "patchcore", model=RECIPE),
        "padim": fitted(tmp_path_factory.mktemp("padim"), "padim"),
    }


@pytest.fixture(scope="module")
def exports(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every run in every graph format that can be written here."""
    out = {}
    for name, run in runs.items():
        for form in GRAPHS:
            out[name, form] = tmp_path_factory.mktemp("out") / "copy"
            export(run, form, out[name, form])
    return out


def answers(folder: Path, rgb: U8) -> tuple[float, npt.NDArray[np.float32]]:
    """What an exported file says, asked as a stranger would who has read export.json only."""
    told = json.loads((folder / "export.json").read_text("utf-8"))
    if told["format"] == "openvino":
        compiled = ov.Core().compile_model(folder / "model.xml", "CPU", told["runtime_settings"])
        got = compiled({told["input"]["name"]: rgb[None]})
        return float(got["pred_score"]), np.array(got["anomaly_map"])
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    anomaly_map, score = session.run(["anomaly_map", "pred_score"], {told["input"]["name"]: rgb[None]})
    return float(score), anomaly_map


def resized(rgb: U8, height: int, width: int) -> U8:
    """The rule of export.json's `input.resize`, written out."""
    shrinks = rgb.shape[0] >= height and rgb.shape[1] >= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how))


def picture(seed: int, height: int, width: int) -> U8:
    """Colour noise of some smoothness, with a dark spot."""
    rgb = np.stack([texture(seed * 3 + c, height, width) for c in range(3)], 2)
    rgb[height // 3 : height // 2, width // 4 : width // 2] //= 4
    return rgb


# The graph against the native path, in torch and without any network: a toy embedding with real behaviour.


class ToyEmbedding(nn.Module):
    """Mean and spread of each colour in each cell of a grid: `[P, 6]`; also an `Embedder`."""

    precision = "f32"

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        x = rgb.permute(0, 3, 1, 2).float() / 32
        mean = nn.functional.adaptive_avg_pool2d(x, self.grid)
        square = nn.functional.adaptive_avg_pool2d(x * x, self.grid)
        return torch.cat([mean, (square - mean * mean).clamp(min=0).sqrt()], 1)[0].flatten(1).T.contiguous()


def both(model: Any, view: View, rgb: U8) -> tuple[tuple[float, Any], tuple[float, Any]]:
    """Score and map of the native detector and of its graph."""
    embedding = ToyEmbedding(view.grid)

    def embedder(image: U8) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return embedding(torch.from_numpy(image[None])).numpy()

    graph = DetectorGraph(embedding, model, view).eval()
    with torch.inference_mode():
        anomaly_map, score = graph(torch.from_numpy(rgb[None]))
    native = Detector(view=view, embedder=embedder, model=model).score(rgb)  # type: ignore[arg-type]
    return native, (float(score), anomaly_map.numpy())


def toy_model(kind: str, grid: tuple[int, int], neighbours: int = 4) -> PadimScorer | PatchCoreScorer:
    rng = np.random.default_rng(5)
    cells = grid[0] * grid[1]
    if kind == "patchcore":
        bank = (4 + rng.normal(size=(60, 6))).astype(np.float32)
        kin = np.argsort(((bank[:, None] - bank[None]) ** 2).sum(2), 1)[:, :neighbours]
        return PatchCoreScorer(core=PatchCore(bank=bank, kin=kin))
    stack = (4 + rng.normal(size=(30, cells, 6)) * rng.uniform(0.2, 3, 6)).astype(np.float32)
    return PadimScorer(padim=fit_padim([stack], np.array([0, 2, 3, 5]), 0.01))


def region(kind: str | None) -> U8 | None:
    mask = np.zeros((40, 50), np.uint8)
    mask[7:30, 11:29] = 255
    return mask if kind else None


@pytest.mark.parametrize("kind", ["padim", "patchcore"])
@pytest.mark.parametrize("share", [0.01, 0.5, None])
@pytest.mark.parametrize("roi", [None, "a part"])
@pytest.mark.parametrize("grid", [(8, 8), (5, 12), (32, 48)])
@pytest.mark.parametrize("sigma", [0.0, 4.0, 30.0])
def test_the_graph_is_the_detector(kind: str, share: float | None, roi: str | None, grid: Any, sigma: float) -> None:
    """Both models, both scores, with a region or without, any grid, no blur or one wider than the image."""
    view = View(image_size=(32, 48), grid=grid, tile=None, overlap=0, sigma=sigma, score_share=share, roi=region(roi))
    model = toy_model(kind, grid)
    for seed in (1, 2):
        (score, native), (copied, finished) = both(model, view, picture(seed, 32, 48))
        assert copied == pytest.approx(score, rel=1e-5)
        np.testing.assert_allclose(finished, native, rtol=1e-5, atol=1e-5 * native.max())
        assert roi is None or ((finished == 0) == (native == 0)).all()


def test_the_paper_score_without_neighbours_is_the_largest_distance() -> None:
    view = View(image_size=(32, 48), grid=(8, 8), tile=None, overlap=0, sigma=4, score_share=None)
    (score, native), (copied, _) = both(toy_model("patchcore", (8, 8), neighbours=1), view, picture(1, 32, 48))
    assert copied == pytest.approx(score, rel=1e-6)
    assert score > native.max()


@pytest.mark.parametrize(("cells", "pixels"), [(3, 64), (16, 64), (64, 64), (40, 64)])
def test_growing_and_blurring_is_one_matrix_for_each_axis(cells: int, pixels: int) -> None:
    """Two small products equal OpenCV's resize and blur of the whole map, up to the mirrored border."""
    patches = np.random.default_rng(cells).random((cells, 7)).astype(np.float32)
    for sigma in (0.0, 2.5, 12.0, 40.0):
        want = blur_map(resize_map(patches, pixels, 90), sigma)
        got = growth(cells, pixels, sigma) @ patches @ growth(7, 90, sigma).T
        np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.parametrize("block", [1, 7, 60, 61])
def test_the_nearest_is_found_in_whatever_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to brute force in double precision, far from the origin too; a vector of the bank has distance 0."""
    monkeypatch.setattr(exported_graph, "BANK_BLOCK", block)
    rng = np.random.default_rng(3)
    bank = (rng.normal(size=(61, 9)) + 500).astype(np.float32)
    queries = np.concatenate([bank[[0, 6, 7, 60]], (rng.normal(size=(50, 9)) + 500).astype(np.float32)])
    search = NearestInBank(PatchCore(bank=bank, kin=np.zeros((61, 1), np.int64)), reweighted=False)
    distance, row = search(torch.from_numpy(queries))
    exact = np.sqrt(((queries[:, None].astype(np.float64) - bank[None]) ** 2).sum(2))
    assert row.tolist() == exact.argmin(1).tolist()
    assert distance[:4].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(distance.numpy(), exact.min(1), rtol=1e-4)


def test_what_one_tile_cannot_say_is_refused_with_every_reason() -> None:
    view = View(image_size=(32, 48), grid=(8, 8), tile=32, overlap=4, sigma=4, score_share=None, roi=region("a part"))
    padim = toy_model("padim", (16, 8))
    for model, words in ((padim, ("128 positions", "region")), (toy_model("patchcore", (8, 8)), ("worst", "region"))):
        with pytest.raises(UsageError, match="--format bundle") as refused:
            DetectorGraph(ToyEmbedding((8, 8)), model, view)
        assert all(word in str(refused.value) for word in words)
    pixel = np.zeros((32, 48), np.uint8)
    pixel[7, 9] = 255  # the score looks at every second row and column only
    with pytest.raises(UsageError, match="region of interest vanishes"):
        DetectorGraph(ToyEmbedding((8, 8)), toy_model("patchcore", (8, 8)), replace(view, tile=None, roi=pixel))


@pytest.mark.parametrize("form", GRAPHS)
@pytest.mark.parametrize(("kind", "share"), [("padim", None), ("patchcore", None), ("patchcore", 0.02)])
def test_a_region_of_interest_lives_in_the_file(form: str, kind: str, share: float | None, tmp_path: Path) -> None:
    """Written, read and run by its runtime: the native answer inside of the region, nothing outside."""
    view = View(image_size=(32, 48), grid=(8, 8), tile=None, overlap=0, sigma=3, score_share=share, roi=region("part"))
    model, rgb = toy_model(kind, (8, 8)), picture(3, 32, 48)
    (score, native), _ = both(model, view, rgb)
    graph = DetectorGraph(ToyEmbedding((8, 8)), model, view).eval()
    export_formats.GRAPH_FORMATS[form].write(graph, (32, 48), tmp_path)
    copied, finished = export_formats.GRAPH_FORMATS[form].load(tmp_path)(rgb)
    assert copied == pytest.approx(score, rel=1e-5)
    np.testing.assert_allclose(finished, native, rtol=1e-5, atol=1e-5)
    assert (finished[:5] == 0).all() and finished[16, 20] > 0


# The gate.


def plain(score: float, value: float = 1.0) -> Any:
    return lambda rgb: (score, np.full((2, 2), value, np.float32))


LIMITS = {"image_threshold": 2.0, "pixel_threshold": 1.0}
PROBES = np.zeros((3, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("copy", "holds"),
    [
        (plain(1.0), True),
        (plain(1.0 + 1.9 * SHARE), True),
        (plain(1.0 + 2.1 * SHARE), False),
        (plain(1.0, 1 + 0.9 * SHARE), True),
        (plain(1.0, 1 + 1.1 * SHARE), False),
        (plain(float("nan")), False),
        (plain(1.0, float("nan")), False),
        (plain(1.0, float("inf")), False),
        (lambda rgb: (1.0, np.ones((2, 3), np.float32)), False),
    ],
)
def test_the_gate_holds_the_stated_tolerance(copy: Any, holds: bool) -> None:
    """A thousandth of the image threshold for scores and of the pixel threshold for maps; NaN never passes."""
    parity = compare(plain(1.0), copy, PROBES, LIMITS, lambda done: None)
    assert parity.holds is holds
    json.dumps(parity.to_json(), allow_nan=False)
    if holds:
        gate(parity, "a copy")
    else:
        with pytest.raises(WorkError, match="does not agree"):
            gate(parity, "a copy")


def test_a_flipped_label_is_refused_however_small_the_difference() -> None:
    parity = compare(plain(2.0), plain(np.nextafter(2.0, 3)), PROBES, LIMITS, lambda done: None)
    assert parity.flipped == (0, 1, 2) and parity.score_max_difference < parity.score_allowed
    with pytest.raises(WorkError, match="labels flipped on probes 0, 1, 2"):
        gate(parity, "a copy")


def test_a_threshold_of_zero_is_no_scale() -> None:
    zero = {"image_threshold": 0.0, "pixel_threshold": 0.0}
    assert compare(plain(1.0), plain(1.0005, 1.0005), PROBES, zero, lambda done: None).holds
    assert not compare(plain(1.0), plain(1.01), PROBES, zero, lambda done: None).holds


# Whole exports.


@pytest.mark.parametrize("form", GRAPHS)
@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_the_exported_file_answers_as_the_run_does(
    name: str, form: str, runs: dict[str, Path], exports: dict[tuple[str, str], Path]
) -> None:
    """In its own runtime, on images of other sizes than the probes', resized by the rule that export.json states."""
    folder, bundle = exports[name, form], Bundle(runs[name])
    told = json.loads((folder / "export.json").read_text("utf-8"))
    assert {p.name for p in folder.iterdir()} == {*told["files"], "export.json"}
    assert told["thresholds"]["image_threshold"] == bundle.thresholds["image_threshold"]
    assert (folder / "thresholds.json").read_bytes() == (runs[name] / "thresholds.json").read_bytes()
    detector = bundle.detector(precision="f32")
    for seed, (height, width) in enumerate([SIZE, (130, 200), (40, 300), (50, 60)]):
        rgb = picture(seed, height, width)
        score, native = detector.score(rgb)
        copied, finished = answers(folder, resized(rgb, *SIZE))
        assert finished.shape == SIZE and finished.dtype == np.float32
        assert copied == pytest.approx(score, rel=1e-4)
        np.testing.assert_allclose(finished, native, rtol=1e-4, atol=1e-4 * native.max())


def test_parity_is_stated_with_its_tolerance(exports: dict[tuple[str, str], Path]) -> None:
    for folder in exports.values():
        told = json.loads((folder / "export.json").read_text("utf-8"))
        parity, limits = told["parity"], told["thresholds"]
        assert parity["probes"] == 16 and 0 < parity["native_ng"] < 16  # good ones and painted ones
        assert parity["score_allowed"] == pytest.approx(1e-3 * limits["image_threshold"])
        assert parity["map_allowed"] == pytest.approx(1e-3 * limits["pixel_threshold"])
        assert 0 <= parity["score_max_difference"] < 0.1 * parity["score_allowed"]
        assert 0 < parity["map_max_difference"] < 0.1 * parity["map_allowed"]
        assert parity["flipped"] == []


def test_no_file_knows_this_machine(exports: dict[tuple[str, str], Path], runs: dict[str, Path]) -> None:
    """Neither the folders of the run nor those of the program (exporters like to store call stacks)."""
    here = [str(run.parents[3]).encode() for run in runs.values()] + [str(Path(export_module.__file__).parent).encode()]
    for folder in exports.values():
        for path, data in tree(folder).items():
            assert not any(place in data for place in here), path


@pytest.mark.parametrize("form", GRAPHS)
def test_exporting_again_gives_the_same_bytes_whatever_was_exported_before(
    form: str,
    runs: dict[str, Path],
    exports: dict[tuple[str, str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first time another model came before; now by the command, which says how well the copy agrees."""
    out = tmp_path / "again"
    assert main(["export", "--run-dir", str(runs["padim"]), "--format", form, "--output-dir", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{form}: {out}\n" in said and "tolerance 0.001" in said and "no label flips" in said
    assert said.count("(allowed ") == 2 and str(out / "export.json") in said
    assert tree(out) == tree(exports["padim", form])


def test_the_tile_rule_of_export_json_leads_to_the_native_answer(tmp_path: Path) -> None:
    """Cut, resized, judged, stitched and scored by its words alone: the map and the score of the run."""
    run = fitted(tmp_path, "patchcore", data={"tile": 40, "overlap": 10, "image_size": [64, 64]})
    export(run, "openvino", tmp_path / "out")
    rule = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))["tiles"]
    assert rule["score"].startswith("maximum pred_score")
    rgb = picture(4, 75, 95)
    score, native = Bundle(run).detector().score(rgb)

    def starts(n: int) -> list[int]:
        tile, step = rule["tile_px"], rule["tile_px"] - rule["overlap_px"]
        return [0] if n <= tile else [min(i * step, n - tile) for i in range(-(-(n - tile) // step) + 1)]

    stitched, scores = np.zeros(rgb.shape[:2], np.float32), []
    for y in starts(75):
        for x in starts(95):
            tile = rgb[y : y + rule["tile_px"], x : x + rule["tile_px"]]
            one, anomaly_map = answers(tmp_path / "out", resized(tile, 64, 64))
            scores.append(one)
            placed = cv2.resize(anomaly_map, tile.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            part = stitched[y : y + len(tile), x : x + tile.shape[1]]
            np.maximum(part, placed, out=part)
    assert len(scores) == 3 * 3
    assert max(scores) == pytest.approx(score, rel=1e-5)
    np.testing.assert_allclose(stitched, native, rtol=1e-4)


# Refusals leave nothing behind.


def test_a_planted_disagreement_is_refused(
    runs: dict[str, Path],
    exports: dict[tuple[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another blur than the native one: exit code 1, the figures on stderr, an earlier export untouched."""
    out = tmp_path / "out"
    shutil.copytree(exports["padim", "openvino"], out)
    before = tree(tmp_path)
    monkeypatch.setattr(exported_graph, "blur_map", lambda values, sigma: blur_map(values, sigma * 1.05))
    arguments = ["export", "--run-dir", str(runs["padim"]), "--format", "openvino", "--output-dir", str(out)]
    assert main([*arguments, "--overwrite"]) == 1
    said = capsys.readouterr()
    assert "does not agree with the native detector" in said.err and "maps by at most" in said.err
    assert said.out == ""
    assert tree(tmp_path) == before and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_label_that_flips_is_refused(
    runs: dict[str, Path], exports: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    """The threshold lies exactly between the native score of a probe and the copy's, a millionth apart."""
    run = tmp_path / "run"
    shutil.copytree(runs["padim"], run)
    bundle = Bundle(run)
    native = bundle.detector(precision="f32")
    copy = exports["padim", "openvino"]
    pairs = [(native.score(rgb)[0], answers(copy, rgb)[0]) for rgb in bundle.tensors["probe_inputs"]]
    limit = next(min(pair) for pair in pairs if pair[0] != pair[1])
    (run / "thresholds.json").write_text(json.dumps({**bundle.thresholds, "image_threshold": limit}), "utf-8")
    sign(run)
    with pytest.raises(WorkError, match="labels flipped on probes"):
        export(run, "openvino", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_weights_of_another_network_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"weights of something else")
    with pytest.raises(BundleError, match="not the weights file"):
        export(runs["padim"], "openvino", tmp_path / "out", weights=other)
    assert [p.name for p in tmp_path.iterdir()] == ["other.pth"]


def test_nothing_but_an_earlier_export_is_ever_replaced(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["padim"], run)
    before = tree(tmp_path)
    for out in (run, tmp_path, run / ".."):
        with pytest.raises(UsageError, match="run folder itself"):
            export(run, "bundle", out, overwrite=True)
    other = tmp_path / "another run"
    shutil.copytree(runs["patchcore"], other)
    with pytest.raises(UsageError, match="other things"):
        export(run, "bundle", other, overwrite=True)
    shutil.rmtree(other)
    with pytest.raises(UsageError, match="is a file"):
        export(run, "bundle", run / "meta.json", overwrite=True)
    with pytest.raises(UsageError, match="expected one of openvino, onnx, bundle"):
        export(run, "tensorrt", tmp_path / "out")
    assert tree(tmp_path) == before
    export(run, "bundle", tmp_path / "out")
    with pytest.raises(UsageError, match="--overwrite"):
        export(run, "bundle", tmp_path / "out")
    export(run, "bundle", tmp_path / "out", overwrite=True)


def test_what_a_killed_export_left_is_cleaned_up(runs: dict[str, Path], tmp_path: Path) -> None:
    left = export_module._beside(tmp_path / "out", "exporting")
    put(left / "half.png", texture(0))
    export(runs["padim"], "bundle", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "half.png").exists()


def test_a_missing_extra_is_named_before_anything_is_done(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "onnxscript" else known(name, *a))
    out = tmp_path / "out"
    code = main(["export", "--run-dir", str(runs["padim"]), "--format", "onnx", "--output-dir", str(out)])
    assert code == 2
    assert "pip install 'noescape[onnx]'" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


# The bundle.


def test_a_bundle_is_whole_knows_no_place_and_inspects(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exactly the files of a bundle, the same answers from wherever it is copied, and it can be exported again."""
    out = tmp_path / "made" / "out"
    arguments = ["export", "--run_dir", str(runs["padim"]), "--format", "bundle", "--output_dir", str(out), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parity"]["score_max_difference"] == 0 == told["parity"]["map_max_difference"]
    files = tree(out)
    assert set(files) == {*BUNDLE_FILES, "manifest.json"}
    place = str(runs["padim"].parents[3]).encode()
    assert place in (runs["padim"] / "config.yaml").read_bytes()
    assert not any(place in data for data in files.values())
    same = set(BUNDLE_FILES) - {"config.yaml"}
    assert {name: files[name] for name in same} == {name: (runs["padim"] / name).read_bytes() for name in same}
    moved = (tmp_path / "made").rename(tmp_path / "moved") / "out"
    opened, original = Bundle(moved), Bundle(runs["padim"])
    assert opened.config.identity() == original.config.identity()
    put(tmp_path / "new" / "a.png", texture(77))
    folders = ["--input-dir", str(tmp_path / "new"), "--model-dir", str(moved), "--output-dir", str(tmp_path / "seen")]
    assert main(["inspect", *folders, "--num-workers", "1", "--no-report", "--json"]) == 0
    row = json.loads((tmp_path / "seen" / "preds.jsonl").read_text("utf-8"))
    rgb = np.repeat(texture(77)[:, :, None], 3, 2)
    assert row["pred_score"] == original.detector().score(rgb)[0]
    assert export(moved, "openvino", tmp_path / "again")["parity"]["flipped"] == []


def test_a_bundle_of_a_model_that_no_graph_can_carry(tmp_path: Path) -> None:
    """PaDiM over tiles learnt each position of the whole image: as a graph refused, as a bundle compared and copied."""
    run = fitted(tmp_path, "padim", data={"tile": 40, "overlap": 10, "image_size": [64, 64]})
    with pytest.raises(UsageError, match="--format bundle"):
        export(run, "openvino", tmp_path / "out")
    told = export(run, "bundle", tmp_path / "out")
    assert told["parity"]["score_max_difference"] == 0
    rgb = picture(1, 48, 64)
    assert Bundle(tmp_path / "out").detector().score(rgb)[0] == Bundle(run).detector().score(rgb)[0]


# Memory.

MEASURE = """
import re, sys
from pathlib import Path
import numpy as np
from noescape.anomaly import export_formats
if sys.argv[1] == "onnx":
    import onnxruntime

def peak_kb():  # of this program alone: the resource module would count what started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))

rgb = np.random.default_rng(1).integers(0, 255, (256, 256, 3), dtype=np.uint8)
before = peak_kb()
judge = export_formats.GRAPH_FORMATS[sys.argv[1]].load(Path(sys.argv[2]))
for _ in range(2):
    judge(rgb)
print(peak_kb() - before)
"""

if Path("/proc/self/status").is_file():

    @pytest.mark.parametrize("form", GRAPHS)
    def test_a_bank_of_20000_runs_in_little_memory(form: str, tmp_path: Path) -> None:
        """Far under 1 GB over the runtime itself, at 1,024 patches of 344 dimensions (the bank alone is 28 MB)."""
        embedding = torch_embedding(parse_config({"model": {**RECIPE, "grid": 32}}, "test"))
        bank = np.random.default_rng(0).normal(size=(20_000, embedding.dims)).astype(np.float32)
        assert bank.shape[1] == 344
        core = PatchCore(bank=bank, kin=np.zeros((20_000, 9), np.int64))
        view = View(image_size=(256, 256), grid=embedding.grid, tile=None, overlap=0, sigma=4, score_share=0.01)
        graph = DetectorGraph(embedding, PatchCoreScorer(core=core), view).eval().requires_grad_(False)
        export_formats.GRAPH_FORMATS[form].write(graph, (256, 256), tmp_path)
        done = subprocess.run([sys.executable, "-c", MEASURE, form, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert 28_000 < int(done.stdout) < 600_000
