"""Evaluation: planted scores give the figures they must, and the digest knows the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import room_maker
from dataset_maker import put, tree
from noescape.anomaly.bundle import Bundle
from noescape.anomaly.detector import Detector
from noescape.anomaly.evaluate import evaluate
from noescape.anomaly.recompute import recompute_thresholds
from noescape.cli.main import main
from noescape.datasets import data_digest, read_mvtec
from noescape.records import DataError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(data set, run)."""
    work = tmp_path_factory.mktemp("run")
    root = room_maker.parts(work / "part", train=5, good=4, blot=4)
    for i in range(2):
        put(root / "test" / "uncertain" / f"{i}.png", room_maker.part(400 + i))
    return root, room_maker.fitted(root, work)


@pytest.fixture
def run(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / "run"))


def plant(monkeypatch: pytest.MonkeyPatch, sign: float) -> None:
    """A detector that knows blots: `sign` 1 the best there can be, -1 the worst."""

    def score(self: Detector, rgb: Any) -> tuple[float, Any]:
        white = (rgb[:, :, 0] == 250).astype(np.float32)
        return sign * float(white.any()), sign * white

    monkeypatch.setattr(Detector, "score", score)


def test_perfect_scores_give_perfect_figures(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, 1)
    m = evaluate(run)
    assert m["image_auroc"] == 1 and m["pixel_auroc"] == 1 and m["pixel_ap"] == pytest.approx(1)
    assert m["pixel_aupro"] == pytest.approx(1) and m["image_best_f1"]["f1"] == 1
    assert all(p["false_alarm_rate"]["value"] == 0 for p in m["false_alarm_rate_at_recall"])
    assert (m["n"]["good"], m["n"]["defect"], m["n"]["errors"]) == (4, 4, 0)
    assert m["per_type"]["blot"]["image_auroc"] == 1


def test_the_worst_scores_give_the_worst_figures(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, -1)
    m = evaluate(run)
    assert m["image_auroc"] == 0 and m["pixel_auroc"] == 0 and m["pixel_aupro"] == 0
    assert m["at_threshold"]["miss_rate"]["value"] == 1


def test_uncertain_images_count_only_when_asked(run: Path) -> None:
    m = evaluate(run)
    assert m["n"]["images"] == 8 and m["uncertain"] == "left out (2 images)"
    more = evaluate(run, include_uncertain=True)
    assert more["n"]["images"] == 10 and more["n"]["defect"] == 6 and "uncertain" in more["per_type"]
    assert more["data_digest"] != m["data_digest"]


def test_the_digest_changes_with_one_byte_and_not_with_the_place(made: tuple[Path, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(made[0], tmp_path / "moved" / "part"))
    one, other = (data_digest(read_mvtec(r, None).test) for r in (made[0], root))
    assert one == other
    for victim in ("test/good/001.png", "test/blot/002.png", "ground_truth/blot/000_mask.png"):
        data = (root / victim).read_bytes()
        (root / victim).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert data_digest(read_mvtec(root, None).test) != one, victim
        (root / victim).write_bytes(data)
    (root / "test" / "good" / "000.png").rename(root / "test" / "good" / "new name.png")
    assert data_digest(read_mvtec(root, None).test) != one


def test_data_elsewhere_gives_the_same_figures(made: tuple[Path, Path], run: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made[0], tmp_path / "moved" / "part"))
    assert evaluate(run, root=root) == evaluate(run)


def test_unreadable_and_misfit_test_images_cost_a_row(made: tuple[Path, Path], run: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made[0], tmp_path / "moved" / "part"))
    (root / "test" / "good" / "000.png").write_bytes(b"no image")
    put(root / "ground_truth" / "blot" / "001_mask.png", np.zeros((5, 5), np.uint8))
    m = evaluate(run, root=root)
    assert m["n"]["errors"] == 2 and m["n"]["good"] == 3 and m["n"]["defect"] == 3
    codes = {r["image_path"]: r["error"]["code"] for r in room_maker.rows(run / "preds_test.jsonl") if "error" in r}
    assert codes == {"test/good/000.png": "not_an_image", "test/blot/001.png": "mask_size"}


def test_rows_are_the_test_images_in_order_and_the_label_follows_the_threshold(run: Path) -> None:
    evaluate(run)
    rows, limit = room_maker.rows(run / "preds_test.jsonl"), Bundle(run).thresholds["image_threshold"]
    assert [r["image_path"] for r in rows] == sorted(r["image_path"] for r in rows) and len(rows) == 8
    assert all(r["label"] == ("NG" if r["pred_score"] > limit else "OK") for r in rows)


def test_evaluating_twice_gives_the_same_bytes(run: Path) -> None:
    evaluate(run)
    before = tree(run)
    evaluate(run)
    assert tree(run) == before


def test_thresholds_computed_again_are_those_of_the_fit(made: tuple[Path, Path], run: Path) -> None:
    """From the images, by the same rule; and by the other rule, without fitting."""
    want = json.loads((made[1] / "thresholds.json").read_text("utf-8"))
    assert recompute_thresholds(run) == want
    other = recompute_thresholds(run, source="train")
    assert other["source"] == "train" and other["image_threshold"] == want["image_threshold_train"]
    assert Bundle(run).thresholds == other, "and the bundle is whole"
    assert not (run / "cache").exists()


def test_thresholds_from_other_images_are_refused(made: tuple[Path, Path], run: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made[0], tmp_path / "moved" / "part"))
    put(root / "train" / "good" / "new.png", room_maker.part(55))
    before = tree(run)
    with pytest.raises(DataError, match=r"not those that .* learnt from; use `noescape tune`"):
        recompute_thresholds(run, root=root)
    assert tree(run) == before


def test_without_test_images_there_is_nothing_to_evaluate(made: tuple[Path, Path], run: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made[0], tmp_path / "moved" / "part"))
    shutil.rmtree(root / "test")
    shutil.rmtree(root / "ground_truth")
    with pytest.raises(DataError, match="no test images"):
        evaluate(run, root=root)


def test_the_command_prints_the_figures_with_n(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--run-dir", str(run)]) == 0
    said = capsys.readouterr().out
    assert "8 images: 4 good, 4 defective" in said and "of 4, at most" in said and "FP/(FP+TN)" in said
    assert main(["evaluate", "--run_dir", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image_auroc"] == 1.0
