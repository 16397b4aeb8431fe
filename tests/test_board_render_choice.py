"""Which variant of Mitsuba is used: tried in processes of their own, remembered with all that it hangs on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from board_meshes import RINGS, board, camera
from noescape.board.render import checks
from noescape.board.render.mitsuba import choice, llvm
from noescape.board.render.mitsuba.choice import LLVM, SCALAR, Choice, choose, trial
from noescape.board.render.mitsuba.engine import Mitsuba
from noescape.board.render.mitsuba.llvm import Llvm, candidates
from noescape.records import UsageError


@pytest.fixture(autouse=True)
def _own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("NOESCAPE_MITSUBA_VARIANT", raising=False)
    monkeypatch.setattr(choice, "_KNOWN", {})


def _trials(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str | None]) -> list[str]:
    """Stand-in trials; the variants and libraries that were tried."""
    tried: list[str] = []

    def stand_in(variant: str, library: Llvm | None, timeout_s: float = 0) -> str | None:
        name = f"{variant} {library.library}" if library else variant
        tried.append(name)
        return answers[name]

    monkeypatch.setattr(choice, "trial", stand_in)
    monkeypatch.setattr(choice.ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(choice, "candidates", lambda: [Llvm(library=p, origin=p) for p in ("/a", "/b")])
    return tried


def test_the_first_that_works_is_used_and_the_others_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = _trials(monkeypatch, {"llvm_ad_rgb /a": "ended by SIGABRT", "llvm_ad_rgb /b": None})
    found = choose()
    assert found.variant == LLVM and found.llvm is not None and found.llvm.library == "/b"
    assert found.tried == ("llvm_ad_rgb with /a: ended by SIGABRT",) and tried[-1] == "llvm_ad_rgb /b"


def test_scalar_is_what_is_left_and_nothing_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, str | None] = {"llvm_ad_rgb /a": "no", "llvm_ad_rgb /b": "no", "scalar_rgb": None}
    _trials(monkeypatch, answers)
    assert choose().variant == SCALAR
    answers["scalar_rgb"] = "failed (no such file)"
    choice._KNOWN.clear()
    (choice._file()).unlink()
    with pytest.raises(UsageError, match="no such file"):
        choose()
    with pytest.raises(UsageError, match="no variant 'llvm_mono'"):
        choose("llvm_mono")


def test_the_answer_is_remembered_until_anything_it_hangs_on_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = _trials(monkeypatch, {"llvm_ad_rgb /a": None})
    first = choose()
    choice._KNOWN.clear()
    assert choose() == first and len(tried) == 1
    choice._KNOWN.clear()
    monkeypatch.setattr(choice, "_processor", lambda: "another one")
    assert choose() == first and len(tried) == 2
    for damage in ("{", "[]", json.dumps({"key": 1}), json.dumps({"key": choice._hangs_on(None), "choice": {}})):
        choice._KNOWN.clear()
        choice._file().write_text(damage)
        assert choose() == first
    assert len(tried) == 6


def test_looking_alone_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _trials(monkeypatch, {"llvm_ad_rgb /a": None})
    choose(remember=False)
    assert not choice._file().exists()


def test_a_library_that_is_none_costs_one_process_and_not_this_one(tmp_path: Path) -> None:
    fake = tmp_path / "libLLVM with space.so"
    fake.write_bytes(b"\x7fELF nonsense")
    said = trial(LLVM, Llvm(library=str(fake), origin="fake"))
    assert said is not None and ("failed" in said or "ended by" in said)


def test_what_is_chosen_here_really_renders() -> None:
    assert choose().variant in choice.VARIANTS and trial(SCALAR, None) is None


def test_an_llvm_that_is_named_is_the_only_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [c.library for c in candidates({"DRJIT_LIBLLVM_PATH": "/mine.so"})] == ["/mine.so"]
    monkeypatch.setattr(llvm, "WHEEL", "no-such-wheel")
    monkeypatch.setattr(llvm, "SYSTEM", ())
    assert candidates({}) == []


def test_libraries_of_the_system_come_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (14, 19, 9):
        folder = tmp_path / f"llvm-{version}" / "lib"
        folder.mkdir(parents=True)
        (folder / f"libLLVM-{version}.so.1").write_bytes(b"")
        (folder / "libLLVM.so").symlink_to(folder / f"libLLVM-{version}.so.1")
    monkeypatch.setattr(llvm, "SYSTEM", (str(tmp_path / "llvm-*" / "lib" / "libLLVM*.so*"),))
    monkeypatch.setattr(llvm, "WHEEL", "no-such-wheel")
    assert [Path(c.library).name for c in candidates({})] == [f"libLLVM-{v}.so.1" for v in (19, 14, 9)]


def test_the_scalar_variant_gives_the_same_ids_and_nearly_the_same_colours() -> None:
    """Two roads to one answer: compiled kernels and plain C++."""
    view, knobs = camera((32, 24)), {"spp": 64, "bounces": 3, "seed": 3}
    scalar = Mitsuba(SCALAR, denoise=False).render(board(), view, RINGS, **knobs)
    other = Mitsuba(denoise=False).render(board(), view, RINGS, **knobs)
    assert (scalar.mesh == other.mesh).all() and scalar.own == other.own
    assert np.array_equal(scalar.depth, other.depth, equal_nan=True)
    assert abs(np.clip(scalar.color, 0, 2).mean() / np.clip(other.color, 0, 2).mean() - 1) < 0.05


def test_the_doctor_says_which_variant_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Choice(variant=SCALAR, llvm=None, why="no compiler", tried=("llvm_ad_rgb with x: ended by SIGABRT",))
    monkeypatch.setattr(checks, "choose", lambda remember: chosen)
    rows = {row.name: row for row in checks.renderer_checks()}
    assert tuple(rows) == checks.NAMES and rows["mitsuba"].status == "ok"
    assert "scalar_rgb" in rows["mitsuba"].detail and "SIGABRT" in rows["mitsuba"].detail
    assert "pip install" in rows["mitsuba"].detail

    def fails(remember: bool) -> Choice:
        raise UsageError("Mitsuba renders in no way here:\n  - x")

    monkeypatch.setattr(checks, "choose", fails)
    broken = checks.renderer_checks()[1]
    assert broken.status == "broken" and broken.fix and "\n" not in broken.detail
    monkeypatch.setattr(checks, "installed", lambda: False)
    assert checks.renderer_checks()[1].status == "optional"
