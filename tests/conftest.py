"""What holds for all tests: few threads, nothing optional taken for granted, a last line on what was left out."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

# Set before numpy, torch or OpenCV start their thread pools: two cores, shared by the workers of pytest-xdist.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same examples every time, wherever it runs; a busy machine is no failure.
settings.register_profile("house", derandomize=True, deadline=None, database=None)
settings.load_profile("house")

BOARD = ("mapbox_earcut", "mitsuba", "pxr")  # the extra of that name
DIFFUSION = ("diffusers", "peft", "transformers")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def missing() -> list[str]:
    """What tests would use and is not installed on this machine; such tests are not collected."""
    modules = ("onnx", "onnxscript", "onnxruntime", "elpv_dataset", "tensorboard", "selenium", "sklearn", "scipy")
    modules += ("s3fs", "moto", "flask", "flask_cors", "adlfs", *BOARD, *DIFFUSION)
    out = [name for name in modules if importlib.util.find_spec(name) is None]
    if not any(shutil.which(name) for name in BROWSERS):
        out.append("chromium")
    if not shutil.which("chromedriver"):
        out.append("chromedriver")
    if not shutil.which("azurite-blob"):
        out.append("azurite")
    return out


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The torture suites run only when they are named, and tests only where all that they use is installed."""
    if collection_path.name == "torture" and not any("torture" in arg for arg in config.args):
        return True
    tries_diffusion = collection_path.parent.name == "torture" and collection_path.match("test_defects_diffusion*.py")
    if tries_diffusion and any(importlib.util.find_spec(name) is None for name in DIFFUSION):
        return True
    of_boards = collection_path.match("test_board_*.py") or collection_path.match("test_flow_pcb_*.py")
    if of_boards and any(importlib.util.find_spec(name) is None for name in BOARD):
        return True
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that names what is not installed, so that a green run says what it did not try."""
    names = missing()
    if names:
        terminalreporter.write_line(f"not installed, so their tests were not collected: {', '.join(names)}")
