"""Tuning: thresholds that n can carry, the old ones kept, and more good images learnt without refitting."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset_maker import put, tree
from noescape.anomaly.bundle import Bundle
from noescape.anomaly.fit import fit
from noescape.anomaly.padim import Padim
from noescape.anomaly.tune import HISTORY, Tuning, tune
from noescape.cli.main import main
from noescape.files import read_jsonl
from noescape.records import DataError, UsageError
from small_runs import config, defective_part, fitted, good_part, plates


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set, a folder of new good images (one torn, one twice), and a run of each model; only read."""
    base = tmp_path_factory.mktemp("tune")
    root = plates(base / "plate")
    for i in range(12):
        put(base / "new" / f"{i:03d}.png", good_part(5000 + i))
    (base / "new" / "torn's.png").write_bytes((base / "new" / "000.png").read_bytes()[:300])
    (base / "new" / "zz twice.png").write_bytes((base / "new" / "000.png").read_bytes())
    runs = {model: fitted(root, base / "runs", model) for model in ("padim", "patchcore")}
    return {"base": base, "root": root, "new": base / "new", **runs}


@pytest.fixture
def run(made: dict[str, Path], tmp_path: Path) -> Path:
    """A PatchCore run of one's own."""
    return Path(shutil.copytree(made["patchcore"], tmp_path / "one run"))


def _limits(run: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((run / "thresholds.json").read_text("utf-8"))
    return value


def _scores(run: Path, folder: Path) -> list[float]:
    from noescape.imaging import read_picture

    detector = Bundle(run).detector()
    return [detector.score(read_picture(p).rgb)[0] for p in sorted(folder.glob("0*.png"))]


def test_new_thresholds_are_percentiles_of_the_new_scores(made: dict[str, Path], run: Path) -> None:
    """Old thresholds are kept, stale figures are gone, the bundle is whole, and the report says all that."""
    old, scores = _limits(run), _scores(run, made["new"])
    report = tune(run, Tuning(good=made["new"]))
    new = _limits(run)
    assert new["image_threshold"] == pytest.approx(np.percentile(scores, 99.5), rel=1e-6)
    assert (new["source"], new["n_good"], len(new["good_scores"])) == ("tune", 12, 12)
    assert [row["thresholds"] for row in read_jsonl(run / HISTORY)] == [old]
    assert report["removed"] == ["metrics.json"] and not (run / "metrics.json").exists()
    assert (run / "preds_test.jsonl").is_file(), "the scores of the test images are still those of the model"
    assert Bundle(run).thresholds == new
    assert {"image_threshold_train", "image_threshold_heldout", "map_scale", "review_band"} <= set(new)


def test_a_bad_image_costs_one_row_and_a_copy_counts_once(made: dict[str, Path], run: Path) -> None:
    report = tune(run, Tuning(good=made["new"], dry_run=True))
    rows = {row["image_path"]: row for row in report["images"]}
    assert len(rows) == 14 and rows["torn's.png"]["error"]["code"] == "truncated"
    assert rows["zz twice.png"]["same_as"] == "000.png"
    found = {k: report["good_images"][k] for k in ("found", "used", "unreadable", "duplicates")}
    assert found == {"found": 14, "used": 12, "unreadable": 1, "duplicates": 1}
    assert any("only 12 new good images" in text for text in report["warnings"])


def test_a_dry_run_writes_nothing(made: dict[str, Path], run: Path) -> None:
    before = tree(run)
    for wanted in (
        Tuning(good=made["new"], dry_run=True),
        Tuning(good=made["new"], learn=True, force=True, dry_run=True),
    ):
        assert tune(run, wanted)["changed"] is False
    assert tree(run) == before


def test_tuning_again_changes_nothing(made: dict[str, Path], run: Path) -> None:
    tune(run, Tuning(good=made["new"]))
    before = tree(run)
    assert tune(run, Tuning(good=made["new"]))["changed"] is False
    assert tree(run) == before


def test_thresholds_alone_leave_a_run_that_fit_knows(made: dict[str, Path], run: Path, tmp_path: Path) -> None:
    """`fit` of the same configuration still finds its run, and figures can be had again."""
    home = tmp_path / "runs" / "patchcore" / "plate" / "one"
    shutil.copytree(run, home)
    tune(home, Tuning(image_threshold=4.5))
    assert fit(config(made["root"], tmp_path / "runs", "patchcore")) == home
    assert main(["evaluate", "--run-dir", str(home)]) == 0
    assert json.loads((home / "metrics.json").read_text())["at_threshold"]["threshold"] == 4.5


@pytest.mark.parametrize("model", ["padim", "patchcore"])
def test_learning_sets_thresholds_before_and_lowers_scores_after(
    made: dict[str, Path], tmp_path: Path, model: str
) -> None:
    run, plain = (Path(shutil.copytree(made[model], tmp_path / name)) for name in ("learn", "plain"))
    before = _scores(run, made["new"])
    report = tune(run, Tuning(good=made["new"], learn=True, force=True))
    tune(plain, Tuning(good=made["new"]))
    names = ("image_threshold", "pixel_threshold", "map_scale", "good_scores")
    assert {k: _limits(run)[k] for k in names} == {k: _limits(plain)[k] for k in names}
    assert _limits(run)["image_threshold_train"] is None, "those of fitting describe another model"
    assert np.mean(_scores(run, made["new"])) < 0.97 * np.mean(before)
    assert report["removed"] == ["metrics.json", "preds_test.jsonl"] and report["learnt"]["images"] == 12
    meta = Bundle(run).meta
    assert meta["good_images"] == 28 and meta["patches"] == 28 * 64
    assert main(["evaluate", "--run-dir", str(run)]) == 0


def test_learning_is_fitting_on_all_for_padim(made: dict[str, Path], tmp_path: Path) -> None:
    """The same images in one fit give the same Gaussians, to rounding."""
    run = Path(shutil.copytree(made["padim"], tmp_path / "run"))
    tune(run, Tuning(good=made["new"], learn=True, force=True))
    root = tmp_path / "plate"
    shutil.copytree(made["root"] / "train", root / "train")
    for i in range(12):
        shutil.copy(made["new"] / f"{i:03d}.png", root / "train" / "good" / f"new{i:03d}.png")
    whole = Bundle(fitted(root, tmp_path / "runs", "padim"))
    more, together = Padim.from_tensors(Bundle(run).tensors), Padim.from_tensors(whole.tensors)
    assert np.allclose(more.mean, together.mean, atol=1e-4)
    assert more.ridge == pytest.approx(together.ridge, rel=1e-4)
    features = together.mean + np.random.default_rng(0).normal(size=together.mean.shape).astype(np.float32) * 0.3
    wide = np.zeros((len(features), int(together.channels.max()) + 1), np.float32)
    wide[:, together.channels] = features
    assert np.allclose(more.distances(wide), together.distances(wide), rtol=5e-3)
    assert Bundle(run).meta["training_appearance"]["sizes"] == whole.meta["training_appearance"]["sizes"]


def test_what_was_learnt_is_not_learnt_twice_nor_taken_for_the_fit(
    made: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    home = tmp_path / "runs" / "patchcore" / "plate" / "one"
    shutil.copytree(run, home)
    tune(home, Tuning(good=made["new"], learn=True, force=True))
    before = tree(home)
    again = tune(home, Tuning(good=made["new"], learn=True, force=True))
    assert again["changed"] is False and "has learnt these images before" in again["warnings"][0]
    assert tree(home) == before
    with pytest.raises(UsageError, match="another configuration or data"):
        fit(config(made["root"], tmp_path / "runs", "patchcore"))
    warned = tune(home, Tuning(good=made["new"], dry_run=True))["warnings"]
    assert any("has learnt these images" in text for text in warned)


def test_images_that_are_ng_are_not_learnt_without_force(made: dict[str, Path], run: Path, tmp_path: Path) -> None:
    """The message names them; nothing is written."""
    for i in range(3):
        put(tmp_path / "new" / f"{i}.png", good_part(7000 + i))
    put(tmp_path / "new" / "a defect.png", defective_part(7100, 14)[0])
    before = tree(run)
    with pytest.raises(DataError, match=r"(?s)NG to this model .*'a defect.png'") as caught:
        tune(run, Tuning(good=tmp_path / "new", learn=True))
    assert "--force" in str(caught.value) and tree(run) == before
    assert tune(run, Tuning(good=tmp_path / "new", learn=True, force=True))["learnt"]["images"] == 4


def test_images_unlike_the_training_set_are_warned_of(run: Path, tmp_path: Path) -> None:
    for i in range(4):
        put(tmp_path / "bright" / f"{i}.png", np.clip(good_part(8000 + i).astype(int) + 80, 0, 255).astype(np.uint8))
    report = tune(run, Tuning(good=tmp_path / "bright", dry_run=True))
    text = " ".join(report["warnings"])
    assert "4 of 4 look unlike the training images (brightness 4" in text and "drifted" in text


def test_training_images_are_recognised(made: dict[str, Path], run: Path) -> None:
    report = tune(run, Tuning(good=made["root"] / "train" / "good", dry_run=True))
    assert any("16 of 16 score exactly as a training image does" in text for text in report["warnings"])


def test_contradictions_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    good = tmp_path / "good"
    for wanted, reason in (
        (Tuning(), "nothing to do"),
        (Tuning(learn=True, keep_old=True), "--keep-old and --learn needs new good images"),
        (Tuning(good=good, target=Fraction(1, 100), image_threshold=1.0), "give one"),
        (Tuning(image_threshold=float("nan")), "finite"),
        (Tuning(band=(1.0, 2.0), band_percentiles=(1.0, 2.0)), "give one"),
        (Tuning(band_percentiles=(1.0, 200.0)), "between 0 and 100"),
    ):
        with pytest.raises(UsageError, match=reason):
            tune(tmp_path / "no run", wanted)


def test_a_whole_data_set_is_no_folder_of_good_images(made: dict[str, Path], run: Path) -> None:
    with pytest.raises(UsageError, match="looks like a whole data set"):
        tune(run, Tuning(good=made["root"]))


def test_no_readable_image_is_an_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(DataError, match="no images"):
        tune(run, Tuning(good=tmp_path / "new"))
    (tmp_path / "new" / "a.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"none of the 1 .* a.png"):
        tune(run, Tuning(good=tmp_path / "new"))


def test_the_command_as_the_report_prints_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(run), "--image-threshold", "12.25"]) == 0
    said = capsys.readouterr().out
    assert "→ 12.2500  (set by hand)" in said and "removed, as no longer true: metrics.json" in said
    assert f"noescape evaluate --run-dir '{run}'" in said
    assert _limits(run)["image_threshold"] == 12.25


def test_the_command_in_json_and_with_underscores(
    made: dict[str, Path], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", str(run), "--good", str(made["new"]), "--target_false_alarm", "10%", "--keep_old", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["after"]["n_good"] == 28 and report["false_alarms"]["events"] <= 2
    assert main(["tune", str(run), "--good", str(made["new"]), "--target-false-alarm", "200%"]) == 2
