"""Promises of `noescape data`: findings do not fail, useless folders do, and every answer names the next command."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

import pytest

from dataset_maker import mvtec, put, texture, tree
from noescape.cli import data
from noescape.records import NoescapeError


def run(*words: object) -> int:
    """Parse and run as `noescape data …` would."""
    parser = argparse.ArgumentParser(prog="noescape")
    data.register(parser.add_subparsers())
    args = parser.parse_args(["data", *map(str, words)])
    try:
        return int(args.run(args))
    except NoescapeError as error:
        return error.exit_code


def test_findings_are_listed_and_exit_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = mvtec(tmp_path / "my part")
    (root / "test" / "good" / "copy.png").write_bytes((root / "train" / "good" / "001.png").read_bytes())
    (root / "test" / "good" / "empty.png").write_bytes(b"")
    assert run("check", root) == 0
    out = capsys.readouterr().out
    assert "LEAK: 1 (the same image trains and tests" in out
    assert "test/good/copy.png = train/good/001.png" in out
    assert "test/good/empty.png: empty" in out
    last = shlex.split(out.splitlines()[-1])
    assert last[1:4] == ["noescape", "fit", "--config"]
    assert last[-3:] == [str(tmp_path), "--category", "my part"]


def test_a_folder_of_categories_is_checked_whole_or_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mvtec(tmp_path / "bolt")
    (mvtec(tmp_path / "nut") / "train" / "good" / "000.png").write_bytes(b"")
    assert run("check", tmp_path, "--json", "--out", tmp_path / "p.png") == 0
    value = json.loads(capsys.readouterr().out)
    assert [c["category"] for c in value["categories"]] == ["bolt", "nut"]
    assert [len(c["unreadable"]) for c in value["categories"]] == [0, 1]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert run("check", tmp_path, "--category", "nut", "--json") == 0
    assert [c["category"] for c in json.loads(capsys.readouterr().out)["categories"]] == ["nut"]


def test_a_folder_in_another_layout_exits_1_and_shows_the_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "a.png", texture(1))
    assert run("check", tmp_path) == 1
    assert "train/good/*.png" in capsys.readouterr().err
    assert run("check", tmp_path, "--json") == 1
    assert json.loads(capsys.readouterr().out)["usable"] is False
    assert run("check", tmp_path / "nowhere") == 1


def test_names_cannot_write_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = mvtec(tmp_path / "part")
    (root / "test" / "good" / "\x1b[2Jx\nLEAK.png").write_bytes(b"")
    assert run("check", root) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\nLEAK" not in out


def _tiles(src: Path) -> Path:
    for tile in range(6):
        for e in range(1, 4):
            stem = src / ("MT_Break" if tile == 5 else "MT_Free") / "Imgs" / f"exp{e}_num_{1000 * tile + 20 * e}"
            put(stem.with_suffix(".jpg"), texture(10 * tile + e, 160, 120, sigma=1.2))
            put(stem.with_suffix(".png"), texture(1, 160, 120) * (tile == 5))
    return src


def test_an_import_tells_counts_terms_and_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    src, out = _tiles(tmp_path / "src"), tmp_path / "out"
    assert run("import", "magnetic-tile", src, out, "--seed", 7) == 0
    text = capsys.readouterr().out
    assert "test/break" in text and "Huang" in text and "6 physical tiles" in text
    assert text.splitlines()[-1].endswith("--category magnetic_tile")
    before = tree(out)
    assert run("import", "magnetic-tile", src, out, "--seed", 7, "--json") == 0
    assert json.loads(capsys.readouterr().out)["categories"][0]["done_before"] is True
    assert run("import", "magnetic-tile", src, out, "--seed", 8) == 1
    assert tree(out) == before


def test_a_random_split_warns_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", "magnetic-tile", _tiles(tmp_path / "src"), tmp_path / "out", "--split", "random") == 0
    captured = capsys.readouterr()
    assert "warning: --split random" in captured.err
    assert "warning" not in captured.out
    info = json.loads((tmp_path / "out" / "magnetic_tile" / "dataset.json").read_text())
    assert info["split"] == "random"


@pytest.mark.parametrize(
    "words",
    [
        ["import", "magnetic-tile", "SRC", "OUT", "--train-fraction", "1.5"],
        ["import", "magnetic-tile", "SRC", "SRC/inside"],
        ["import", "visa", "SRC", "OUT"],
    ],
)
def test_wrong_use_exits_2_and_writes_nothing(tmp_path: Path, words: list[str]) -> None:
    _tiles(tmp_path / "SRC")
    before = tree(tmp_path)
    assert run(*[tmp_path / w if w.startswith(("SRC", "OUT")) else w for w in words]) == 2
    assert tree(tmp_path) == before


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["import", "--help"], ["import", "elpv", "--help"]])
def test_every_help_text_gives_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert words == ["--help"] or "examples:\n  noescape data" in out
