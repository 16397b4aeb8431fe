"""The output folder of an inspection: claimed, continued, replaced only when asked, and whole after a full disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import room_maker
from dataset_maker import put, tree
from inspecting import command, images_of, look
from noescape.anomaly.bundle import Bundle
from noescape.anomaly.inspect import inspect
from noescape.records import DataError, UsageError


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    return room_maker.fitted(room_maker.parts(work / "part", train=6, good=0, blot=0), work)


def test_an_empty_folder_is_an_error_and_writes_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no image")
    assert command(tmp_path / "in", run, tmp_path / "out") == 1
    assert "no images" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert command(tmp_path / "none", run, tmp_path / "out") == 2
    with pytest.raises(DataError, match="no images"):
        inspect([], tmp_path, run, tmp_path / "out")


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 1, 1), tmp_path / "out"
    (out / "masks").mkdir(parents=True)
    (out / "masks" / "mine.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"holds other files.*--overwrite"):
        look(folder, run, out)
    assert tree(out) == {"masks/mine.png": b"mine"}


def test_overwrite_replaces_the_results_and_nothing_else(run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 2, 1), tmp_path / "out"
    look(folder, run, out)
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("mine")
    (out / "mine.csv").write_text("mine")
    with pytest.raises(UsageError, match="holds another inspection"):
        look(folder, run, out, min_defect_area=7)
    look(folder, run, out, min_defect_area=7, overwrite=True)
    got = tree(out)
    assert got.pop("notes/mine.txt") == got.pop("mine.csv") == b"mine"
    look(folder, run, tmp_path / "fresh", min_defect_area=7)
    assert room_maker.solid(got) == room_maker.solid(tree(tmp_path / "fresh"))


def test_new_pictures_under_old_names_are_not_taken_for_inspected(run: Path, tmp_path: Path) -> None:
    """A camera writes part.png again and again: yesterday's OK must not answer for today's part."""
    folder, out = tmp_path / "in", tmp_path / "out"
    put(folder / "part.png", room_maker.part(1))
    assert look(folder, run, out)[0]["label"] == "OK"
    put(folder / "part.png", room_maker.defective(1)[0])
    with pytest.raises(UsageError, match="holds another inspection"):
        look(folder, run, out)
    assert look(folder, run, out, overwrite=True)[0]["label"] == "NG"


@pytest.mark.parametrize("garbage", ["", "{", "[]", "\x00", "[" * 10**5])
def test_a_damaged_marker_is_another_inspection(garbage: str, run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 1, 0), tmp_path / "out"
    look(folder, run, out)
    (out / "inspection.json").write_text(garbage)
    with pytest.raises(UsageError, match="holds another inspection"):
        look(folder, run, out)


@pytest.mark.parametrize("line", ['{"image_path": "other.png"}\n', "garbage\n", "[]\n"])
def test_rows_of_something_else_are_refused(line: str, run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 2, 0), tmp_path / "out"
    look(folder, run, out)
    (out / "preds.jsonl").write_text(line)
    with pytest.raises(DataError, match=r"preds\.jsonl"):
        look(folder, run, out)


def test_a_torn_last_row_is_done_again(run: Path, tmp_path: Path) -> None:
    folder, out = images_of(tmp_path / "in", 2, 2), tmp_path / "out"
    look(folder, run, out)
    want = room_maker.solid(tree(out))
    data = (out / "preds.jsonl").read_bytes()
    for keep in (0, 10, len(data) // 2, len(data) - 1):
        (out / "preds.jsonl").write_bytes(data[:keep])
        look(folder, run, out)
        assert room_maker.solid(tree(out)) == want


def test_a_finished_inspection_judges_nothing_again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = images_of(tmp_path / "in", 2, 2), tmp_path / "out"
    look(folder, run, out)
    want = tree(out)
    monkeypatch.setattr(Bundle, "detector", lambda *_, **__: pytest.fail("it worked again"))
    look(folder, run, out)
    assert tree(out) == want


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_threads_changes_no_byte(workers: int, run: Path, tmp_path: Path) -> None:
    folder = images_of(tmp_path / "in", 5, 4)
    look(folder, run, tmp_path / "one", workers=1)
    look(folder, run, tmp_path / "more", workers=workers)
    assert room_maker.solid(tree(tmp_path / "more")) == room_maker.solid(tree(tmp_path / "one"))


def full(path: Any, *_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.mark.parametrize("where", ["noescape.anomaly.inspect.write_bytes", "noescape.anomaly.inspect.write_json",
                                   "noescape.anomaly.inspect.write_csv", "noescape.files.jsonl.JsonlAppender.append"])  # fmt: skip # noqa: E501
def test_a_full_disk_is_one_clear_line_and_later_it_goes_on(
    where: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = images_of(tmp_path / "in", 2, 2), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        assert command(folder, run, out) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: No space left on device") and "Traceback" not in "".join(said)
    assert command(folder, run, out) == 0
    assert command(folder, run, tmp_path / "fresh") == 0
    assert room_maker.solid(tree(out)) == room_maker.solid(tree(tmp_path / "fresh"))


def test_an_output_folder_that_cannot_be_written_is_one_clear_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = images_of(tmp_path / "in", 1, 0)
    (tmp_path / "file").write_text("in the way")
    assert command(folder, run, tmp_path / "file" / "out") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        assert command(folder, run, tmp_path / "locked" / "out") == 1
        assert "Permission denied" in capsys.readouterr().err
