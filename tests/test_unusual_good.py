"""A few odd good images hold the threshold up: they are named, the price is told, and what to type works as printed."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import room_maker
from dataset_maker import put, texture
from noescape.anomaly.bundle import Bundle
from noescape.anomaly.recompute import recompute_thresholds
from noescape.anomaly.unusual_good import list_of_names, read_names, without_unusual
from noescape.cli.figures import unusual_lines
from noescape.cli.main import main
from noescape.records import DataError, Sample, UsageError


def samples(*groups: str | None) -> list[Sample]:
    """A good image for each group name."""
    return [
        Sample(key=f"{i:02d}.png", image=Path("x"), label=0, defect_type="good", group=g) for i, g in enumerate(groups)
    ]


USUAL = np.linspace(1, 2, 30)


def test_without_odd_images_there_is_nothing_to_say() -> None:
    assert without_unusual(samples(*["a"] * 30), USUAL, 99.5) is None


def test_the_threshold_without_them_is_the_same_percentile_of_the_others() -> None:
    said = without_unusual(samples(*[None] * 32), np.array([9.0, *USUAL, 10.0]), 99.5)
    assert said == {
        "images": ["31.png", "00.png"],
        "groups": {},
        "n_good": 30,
        "image_threshold": float(np.percentile(USUAL, 99.5)),
    }


def test_a_part_most_of_whose_images_are_odd_goes_as_a_whole() -> None:
    """Its least odd picture would still hold the threshold up; a part with one odd picture of many stays."""
    groups = [*["usual"] * 30, *["odd"] * 3, *["usual"]]
    said = without_unusual(samples(*groups), np.array([*USUAL, 10.0, 9.0, 2.6, 8.0]), 99.5)
    assert said is not None and said["groups"] == {"odd": 3} and said["n_good"] == 30
    assert said["images"] == ["30.png", "31.png", "33.png", "32.png"], "most unusual first, then the rest of the part"
    assert said["image_threshold"] <= 2


def test_odd_images_that_do_not_move_the_threshold_are_not_worth_a_word() -> None:
    assert without_unusual(samples(*[None] * 31), np.array([*USUAL, 10.0]), 50) is None


@given(st.lists(st.text(min_size=1), unique=True))
def test_a_list_of_names_holds_any_name(names: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "names.txt"
        path.write_bytes(list_of_names(names).encode("utf-8", "surrogatepass"))
        assert list(read_names(path)) == names


@pytest.mark.parametrize("data", [b"\xff\xfe", b'"torn\n', b'"a" b\n'])
def test_what_is_no_list_of_names_is_an_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(data)
    with pytest.raises(DataError, match=r"names\.txt: expected a text with the name of an image in each line"):
        read_names(tmp_path / "names.txt")
    with pytest.raises(DataError, match="No such file"):
        read_names(tmp_path / "gone.txt")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(data set, run): two of eighteen good images are of another surface, of one part; faint defects to find."""
    work = tmp_path_factory.mktemp("work")
    root = room_maker.parts(work / "some parts", train=16, good=6, blot=0)
    groups = {f"train/good/{i:03d}.png": f"part {i}" for i in range(16)}
    for i in range(2):
        put(root / "train" / "good" / f"odd{i}.png", texture(70 + i, 64, 64, 1.5))
        groups[f"train/good/odd{i}.png"] = "another"
    (root / "groups.json").write_text(json.dumps(groups))
    for i in range(4):
        image = room_maker.part(500 + i)
        image[20:34, 20:34] = np.clip(image[20:34, 20:34].astype(int) + 60, 0, 255)
        put(root / "test" / "faint" / f"{i}.png", image)
    return root, room_maker.fitted(root, work / "runs", coreset_sampling_ratio=1.0)


@pytest.fixture
def run(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1].parents[2], tmp_path / "runs")) / made[1].relative_to(made[1].parents[2])


def typed(lines: list[str], command: str) -> list[str]:
    (line,) = [text for text in lines if text.strip().startswith(f"noescape {command}")]
    return shlex.split(line)[1:]


def test_fit_names_the_odd_images_and_tells_their_price(made: tuple[Path, Path]) -> None:
    _, run = made
    other = Bundle(run).thresholds["without_unusual"]
    assert set(other["images"]) == {"train/good/odd0.png", "train/good/odd1.png"} and other["groups"] == {"another": 2}
    assert set(read_names(run / "unusual_good.txt")) == set(other["images"])
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    rows = room_maker.rows(run / "preds_test.jsonl")
    missed = sum(r["pred_score"] <= other["image_threshold"] for r in rows if r["gt_label"] == 1)
    stopped = sum(r["pred_score"] > other["image_threshold"] for r in rows if r["gt_label"] == 0)
    then, now = metrics["without_unusual"], metrics["at_threshold"]
    assert (then["miss_rate"]["events"], then["false_alarm_rate"]["events"]) == (missed, stopped)
    assert then["miss_rate"]["events"] < now["miss_rate"]["events"] == 4, "or this test shows nothing"
    said = "\n".join(unusual_lines(run, metrics))
    assert said.startswith("WARNING: 2 of 18 good images stand apart") and "all 2 of another" in said
    assert f"misses {missed} of 4 defects instead of 4, and stops {stopped} of 6 good parts" in said


def test_the_refit_as_it_is_printed_learns_from_the_others(
    made: tuple[Path, Path], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And gives about the promised threshold; what is left out stays left out in all that follows."""
    promised = Bundle(run).thresholds["without_unusual"]["image_threshold"]
    command = typed(unusual_lines(run), "fit")
    command += ["--output-dir", str(run.parents[2])]  # the copy's own place: the configuration names the original's
    assert main(command) == 0
    again = run.with_name("run-2")
    assert Bundle(again).meta["good_images"] == 16
    assert Bundle(again).thresholds["image_threshold"] == pytest.approx(promised, rel=0.05)
    assert Bundle(again).thresholds["without_unusual"] is None and not (again / "unusual_good.txt").exists()
    assert "WARNING" not in capsys.readouterr().out
    assert recompute_thresholds(again) == Bundle(again).thresholds


def test_what_the_user_keeps_in_the_list_is_what_is_left_out(run: Path, tmp_path: Path) -> None:
    (tmp_path / "my list.txt").write_text("# looked at\n\n  train/good/odd1.png  \n")
    command = ["fit", "--config", str(run / "config.yaml"), "--run-id", "other", "--output-dir", str(tmp_path)]
    assert main([*command, "--leave-out", str(tmp_path / "my list.txt")]) == 0
    learnt = [
        r["image_path"] for r in room_maker.rows(tmp_path / "patchcore" / "some parts" / "other" / "preds_train.jsonl")
    ]
    assert "train/good/odd0.png" in learnt and "train/good/odd1.png" not in learnt and len(learnt) == 17


def test_the_lower_threshold_as_it_is_printed_is_set_and_the_warning_goes(run: Path) -> None:
    promised = Bundle(run).thresholds["without_unusual"]["image_threshold"]
    assert main(typed(unusual_lines(run), "tune")) == 0
    assert Bundle(run).thresholds["image_threshold"] == pytest.approx(promised, abs=1e-4)
    assert unusual_lines(run) == []


def test_images_that_are_not_there_cannot_be_left_out(made: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 of the 2 images .*'train/good/od1\.png', did you mean 'train/good/odd1"):
        room_maker.fitted(made[0], tmp_path, leave_out=["train/good/od1.png", "train/good/000.png"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_whoever_sees_figures_sees_the_warning(command: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--run-dir", str(run)]) == 0
    said = capsys.readouterr().out
    assert "WARNING: 2 of 18 good images stand apart" in said and "--leave-out" in said
    if command == "predict":
        page = (run / "predictions" / "report.html").read_text("utf-8")
        assert "A few good images let defects pass" in page and "--leave-out RUN/unusual_good.txt</code>" in page


def test_a_run_on_a_plain_folder_is_fitted_again_on_it(made: tuple[Path, Path], tmp_path: Path) -> None:
    good = Path(shutil.copytree(made[0] / "train" / "good", tmp_path / "good_ones"))
    (good / "odd1.png").unlink()
    place = ["--output-dir", str(tmp_path), "--run-id", "one"]
    assert main(["fit", "--good", str(good), "--config", str(made[1] / "config.yaml"), *place]) == 0
    run = tmp_path / "patchcore" / "good_ones" / "one"
    assert "--good GOOD " in "\n".join(unusual_lines(run)), "where the folder is not known"
    assert main(typed(unusual_lines(run, None, good), "fit")) == 0
    assert Bundle(run.with_name("one-2")).meta["good_images"] == 16
