"""An exported detector gives the native answers in its own runtime, or it is not exported at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset_maker import put, texture, tree
from export_maker import GRAPHS, RECIPE, SIZE, all_exports, answers, both_runs, fitted, picture, resized
from noescape.anomaly import export as export_module
from noescape.anomaly import export_formats
from noescape.anomaly.bundle import BUNDLE_FILES, Bundle
from noescape.anomaly.config import parse_config
from noescape.anomaly.detector import PatchCoreScorer, View
from noescape.anomaly.embedder import torch_embedding
from noescape.anomaly.export import export
from noescape.anomaly.exported_graph import DetectorGraph
from noescape.anomaly.patchcore import PatchCore
from noescape.cli.main import main
from noescape.records import UsageError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return both_runs(tmp_path_factory)


@pytest.fixture(scope="module")
def exports(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    return all_exports(runs, tmp_path_factory)


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
