"""The command line: quick help, exit codes, JSON alone on stdout, names in any bytes, and no word to the network."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import room_maker
from dataset_maker import tree
from noescape.cli.main import GROUPS, main
from noescape.imaging import png_bytes

HEAVY = ("numpy", "torch", "cv2", "openvino", "PIL", "pydantic", "jinja2", "scipy", "yaml")


def noescape(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "noescape", *arguments], capture_output=True, check=False, **options)


def test_help_answers_at_once_and_imports_nothing_heavy() -> None:
    """Under half a second of CPU, the best of five; and no command drags its work in at its registration."""
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert noescape("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime)
    assert min(spent) < 0.5, spent
    probe = (
        "import sys\nfrom noescape.cli.main import parser\nparser().format_help()\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0 and said.startswith(f"usage: noescape {name}") and len(said) > 200


@pytest.mark.parametrize("part", ["flow", "defects"])
def test_every_part_of_a_group_shows_how_it_is_typed(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([part, "--help"])
    listed = capsys.readouterr().out.split("\n    ")[1:]
    names = [line.split()[0] for line in listed if not line.startswith(" ") and line.strip()]
    assert len(names) > 8
    for name in names:
        with pytest.raises(SystemExit):
            main([part, name, "--help"])
        assert f"\n  noescape {part} {name}" in capsys.readouterr().out, name


def test_a_place_that_cannot_be_written_is_named_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the hidden file beside it that was to be renamed."""
    from noescape.cli import doctor
    from noescape.files import write_with

    def run(args: object) -> int:
        write_with(tmp_path / "taken", lambda part: None)
        return 0

    (tmp_path / "taken").mkdir()
    monkeypatch.setattr(doctor, "run", run)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f"({tmp_path / 'taken'})\n") and "directory" in said and ".part" not in said


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["fit", "--nonsense"], ["inspect"], ["fit", "--seed", "x"]])
def test_wrong_use_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr()
    assert left.value.code == 2 and "usage:" in said.err and said.out == ""


def test_errors_are_one_line_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [
        (["fit", "--config", "patchcor.yaml"], 2, "shipped: "),
        (["fit", "--data-root", str(tmp_path / "none")], 1, "none"),
        (["fit", "--good", str(tmp_path)], 1, "no images"),
        (["fit", "--good", str(tmp_path), "--backbone", "resnet81"], 1, ""),
        (["evaluate", "--run-dir", str(tmp_path)], 1, "no finished run"),
        (["predict", "--run-dir", str(tmp_path)], 1, "no finished run"),
        (["inspect", "--input-dir", str(tmp_path / "none"), "--model-dir", "x", "--output-dir", "y"], 2, "no such"),
    ]
    for arguments, code, said in cases:
        got = main(arguments)
        err = capsys.readouterr().err
        assert (got, err.count("\n")) == (code, 1) and err.startswith("error: ") and said in err, (arguments, err)


def fit_arguments(root: Path, out: Path) -> list[str]:
    sizes = ["--image-size", "64", "--num-workers", "1", "--layers", "blocks.1", "--coreset-sampling-ratio", "0.1"]
    return ["fit", "--config", "patchcore_mvtec.yaml", "--data-root", str(root), "--output-dir", str(out),
            "--run-id", "r", *sizes]  # fmt: skip


def test_underscores_are_dashes_and_json_is_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = room_maker.parts(tmp_path / "my_part", train=4, good=1, blot=1)
    arguments = [a.replace("-", "_").replace("__", "--") if a.startswith("--") else a
                 for a in fit_arguments(root, tmp_path / "my_runs")]  # fmt: skip
    assert "--data_root" in arguments
    assert main([*arguments, "--json"]) == 0
    first = capsys.readouterr()
    result = json.loads(first.out)
    run = Path(result["run_dir"])
    assert run == tmp_path / "my_runs" / "patchcore" / "my_part" / "r" and result["metrics"]["n"]["images"] == 2
    assert "embedding good images" in first.err, "progress goes to stderr"
    assert main(["inspect", f"--input_dir={root / 'test'}", f"--model_dir={run}", f"--output_dir={tmp_path / 'o'}",
                 "--json"]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["num_images"] == 2
    assert main(["predict", "--run_dir", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_images"] == 2
    assert (run / "predictions" / "report.html").is_file()


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = room_maker.parts(tmp_path / "part", train=4, good=1, blot=1)
    before = tree(tmp_path)
    assert main([*fit_arguments(root, tmp_path / "runs"), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["good_images"] == 4 and plan["estimated_seconds"] > 0 and plan["free_disk_mb"] > 0
    assert tree(tmp_path) == before


def test_names_that_are_no_utf8_are_printed_and_not_a_crash(tmp_path: Path) -> None:
    """A folder named in Latin-1 on a terminal that only knows ASCII."""
    root = os.fsencode(tmp_path) + b"/gut\xe9\xff"
    Path(os.fsdecode(root + b"/in")).mkdir(parents=True)
    for i in range(3):
        Path(os.fsdecode(root + b"/in/%d\xe4.png" % i)).write_bytes(png_bytes(room_maker.part(i)))
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    fit = [sys.executable.encode(), b"-m", b"noescape", b"fit", b"--good", root + b"/in", b"--output-dir", root,
           b"--run-id", b"r", b"--image-size", b"64", b"--layers", b"blocks.1"]  # fmt: skip
    done = subprocess.run(fit, capture_output=True, check=False, env=env)
    assert done.returncode == 0 and b"run folder: " in done.stdout and b"Traceback" not in done.stderr, done.stderr
    look = [*fit[:3], b"inspect", b"--input-dir", root + b"/in", b"--model-dir", root + b"/patchcore/in/r",
            b"--output-dir", root + b"/out"]  # fmt: skip
    done = subprocess.run(look, capture_output=True, check=False, env=env)
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    assert Path(os.fsdecode(root + b"/out/report.html")).is_file()


SPY = """
import os, socket, sys

def note(what):
    with open(os.environ["SPY"], "a") as f:
        f.write(what + "\\n")

def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        note(event + " " + repr(arguments)[:200])
        raise OSError("no network here")

sys.addaudithook(hook)
"""


def test_fitting_and_inspecting_need_no_network_and_write_nowhere_else(tmp_path: Path) -> None:
    """With every door to the network shut and watched, also in processes that libraries may start: none is tried.
    The home folder stays empty."""
    (tmp_path / "spy").mkdir()
    (tmp_path / "spy" / "sitecustomize.py").write_text(SPY)
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir(), work.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")} | {
        "PYTHONPATH": str(tmp_path / "spy"), "SPY": str(tmp_path / "spy.txt"), "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
    }  # fmt: skip
    root = room_maker.parts(tmp_path / "data" / "part", train=4, good=1, blot=1)
    before = tree(root)
    out = ["--input-dir", str(root / "test"), "--output-dir", str(work / "out")]
    for arguments in (fit_arguments(root, work / "runs"),
                      ["inspect", *out, "--model-dir", str(work / "runs" / "patchcore" / "part" / "r")]):  # fmt: skip
        done = noescape(*arguments, env=env, cwd=work)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "spy.txt").exists(), (tmp_path / "spy.txt").read_text()
    assert sorted(p.name for p in home.rglob("*")) == [] and tree(root) == before
    assert sorted(p.name for p in work.iterdir()) == ["out", "runs"]


def test_the_spy_is_awake(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SPY)
    env = os.environ | {"PYTHONPATH": str(tmp_path), "SPY": str(tmp_path / "spy.txt")}
    call = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", call], env=env, check=True)
    assert "socket." in (tmp_path / "spy.txt").read_text()


def test_a_reader_that_leaves_is_no_crash(tmp_path: Path) -> None:
    """`noescape … | head -0`."""
    command = f"{sys.executable} -m noescape --help | true; {sys.executable} -m noescape doctor --help | true"
    done = subprocess.run(command, shell=True, capture_output=True, check=False)  # noqa: S602
    assert b"Traceback" not in done.stderr


def test_ctrl_c_says_that_it_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = room_maker.parts(tmp_path / "part", train=3, good=0, blot=0)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("noescape.anomaly.fit.learn", interrupted)
        assert main(fit_arguments(root, tmp_path / "runs")) == 130
    assert "run the same command again to go on" in capsys.readouterr().err
    assert main(fit_arguments(root, tmp_path / "runs")) == 0
