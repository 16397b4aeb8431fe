"""The pictures of a comparison: chosen by both models alike, the same images for both, and only where the data are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from dataset_maker import tree
from noescape.anomaly.compare import compare
from noescape.anomaly.compare_samples import choose
from noescape.anomaly.paired import Scored
from noescape.cli.main import main
from noescape.files import read_jsonl, write_json
from noescape.imaging import read_picture
from noescape.records import DataError, Sample, UsageError
from small_runs import fitted, plates


def _scored(samples: Sequence[Sample], a: Sequence[float], b: Sequence[float]) -> Scored:
    rows = [
        [{"gt_label": s.label, "gt_type": s.defect_type, "pred_score": v, "label": "OK"} for s, v in zip(samples, x)]
        for x in (a, b)
    ]
    return Scored.of(*rows)


def _samples(good: int, kinds: Sequence[str]) -> list[Sample]:
    out = [Sample(key=f"good/{i}", image=Path("x"), label=0, defect_type="good") for i in range(good)]
    return out + [Sample(key=f"{k}/{i}", image=Path("x"), label=1, defect_type=k) for i, k in enumerate(kinds)]


def test_without_masks_severity_goes_by_both_models_scores() -> None:
    samples = _samples(5, ["pit", "scratch"] * 6)
    scores = [1.0, 5.0, 2.0, 3.0, 4.0, *(10.0 + i for i in range(12))]
    chosen = choose(_scored(samples, scores, [7 * s for s in scores]), samples, 2**20)
    assert [c.name for c in chosen] == [
        "good_01",
        "good_02",
        *("defect_mild_scratch_01", "defect_mild_pit_02", "defect_medium_scratch_03", "defect_medium_pit_04"),
        *("defect_severe_scratch_05", "defect_severe_pit_06"),
    ]
    assert [c.sample.key for c in chosen][:2] == ["good/3", "good/1"], "the middle one and the highest"
    turned = choose(_scored(samples, [7 * s for s in scores], scores), samples, 2**20)
    assert turned == chosen, "which model comes first does not matter"


@pytest.mark.parametrize("defects", range(8))
def test_few_images_are_all_shown_once(defects: int) -> None:
    samples = _samples(1, ["pit"] * defects)
    chosen = choose(_scored(samples, range(len(samples)), range(len(samples))), samples, 2**20)
    keys = [c.sample.key for c in chosen]
    assert len(keys) == len(set(keys)) == 1 + min(6, defects) and len({c.name for c in chosen}) == len(chosen)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both models on one small data set."""
    base = tmp_path_factory.mktemp("compare")
    root = plates(base / "plate")
    runs = {model: fitted(root, base / "runs", model) for model in ("padim", "patchcore")}
    return {"root": root, **runs}


def test_the_same_images_are_drawn_by_both(made: dict[str, Path], tmp_path: Path) -> None:
    """File names as promised, one picture with all, the same bytes each time."""
    report = compare(made["padim"], made["patchcore"], tmp_path / "one")
    samples = tmp_path / "one" / "comparison_samples"
    names = sorted(p.name for p in (samples / "padim").iterdir())
    assert names == sorted(p.name for p in (samples / "patchcore").iterdir())
    assert len(names) == 8 and {"good_01_overlay.png", "good_02_overlay.png"} < set(names)
    shape = r"(good_\d\d|defect_(mild|medium|severe)_(pit|scratch)_\d\d)_overlay\.png"
    assert [n for n in names if not re.fullmatch(shape, n)] == []
    sheet = read_picture(samples / "side_by_side.png")
    assert sheet.width > 4 * 200 and sheet.height > 8 * 150
    shares = [row["mask_share"] for row in report["samples"] if row["mask_share"]]
    assert shares == sorted(shares) and len(shares) == 6
    overlay = read_picture(samples / "patchcore" / names[-1]).rgb
    assert overlay.shape == (96, 128, 3)
    compare(made["padim"], made["patchcore"], tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    scores = {r["image_path"]: r["pred_score"] for r in read_jsonl(made["padim"] / "preds_test.jsonl")}
    assert all(row["score_a"] == pytest.approx(scores[row["image_path"]], rel=1e-5) for row in report["samples"])


def test_pictures_of_another_pair_do_not_stay(made: dict[str, Path], tmp_path: Path) -> None:
    """Two runs of one model are told apart by their ids; only what a comparison wrote is taken away."""
    out, other = tmp_path / "out", tmp_path / "padim two"
    shutil.copytree(made["padim"], other)
    metrics = json.loads((other / "metrics.json").read_text())
    write_json(other / "metrics.json", metrics | {"run_id": "two"})
    compare(made["padim"], made["patchcore"], out)
    (out / "comparison_samples" / "patchcore" / "mine.png").write_bytes(b"kept")
    compare(made["padim"], other, out)
    kept = {p.relative_to(out).as_posix() for p in out.rglob("*.png")}
    assert len([n for n in kept if "/one/" in n]) == len([n for n in kept if "/two/" in n]) == 8
    assert [n for n in kept if "/patchcore/" in n] == ["comparison_samples/patchcore/mine.png"]


def test_a_foreign_report_in_the_output_folder_is_no_list_of_files_to_delete(
    made: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("kept")
    write_json(tmp_path / "out" / "comparison_report.json", {"samples": [{"files": {"a": "../../precious"}}]})
    with pytest.raises(UsageError, match="no report of a comparison"):
        compare(made["padim"], made["patchcore"], tmp_path / "out")
    assert (tmp_path / "precious").read_text() == "kept"


def test_moved_or_altered_data_are_found_out_before_drawing(made: dict[str, Path], tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(made["root"], moved)
    report = compare(made["padim"], made["patchcore"], tmp_path / "out", root=moved)
    assert len(report["samples"]) == 8
    (moved / "test" / "good" / "000.png").unlink()
    with pytest.raises(DataError, match=r"not those that were evaluated.*--data-root"):
        compare(made["padim"], made["patchcore"], tmp_path / "out", root=moved)
    with pytest.raises(DataError, match="--no-samples"):
        compare(made["padim"], made["patchcore"], tmp_path / "out", root=tmp_path / "gone")


def test_the_command_says_where_and_what(
    made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Underscore spellings too; without samples no data are needed; JSON is the report."""
    words = ["compare", "--run_dir_a", str(made["padim"]), "--run_dir_b", str(made["patchcore"])]
    words += ["--output_dir", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "padim and patchcore on the same 12 good and 12 defective images" in said and "side_by_side.png" in said
    assert main([*words, "--no-samples", "--json", "--data-root", str(tmp_path / "gone")]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "comparison_report.json").read_text())
