"""Nothing is reported to anybody: OpenVINO's telemetry stays silent, in whichever order things are imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# Sends are recorded instead of made, where they would leave the process; the events of an import that came before
# noescape show that the recorder works.
PROGRAM = """
import importlib.util, json, sys
known = importlib.util.find_spec("openvino_telemetry") is not None
sent = []
if sys.argv[1] == "openvino first" and known:
    from openvino_telemetry.backend.backend_ga4 import GA4Backend
    from openvino_telemetry.main import Telemetry
    GA4Backend.send = lambda self, message: sent.append(message)
    import openvino
    Telemetry().sender.executor.shutdown(wait=True)
    Telemetry().sender.executor = None
    Telemetry().sender.send = lambda backend, message: sent.append(message)
elif sys.argv[1] == "openvino first":
    import openvino
before = len(sent)
import noescape.features
import torch
from noescape.features.runtime import convert_to_openvino

class Sum(torch.nn.Module):
    def forward(self, x):
        return x.float().sum((0, 3))

convert_to_openvino(Sum(), (4, 4))
try:
    convert_to_openvino(torch.nn.Linear(7, 7), (4, 4))
except Exception:
    pass
loaded = sys.modules.get("openvino_telemetry") is not None
print(json.dumps({"known": known, "loaded": loaded, "before": before, "after": len(sent) - before}))
"""
CI = ("CI", "TF_BUILD", "JENKINS_URL", "TEAMCITY_VERSION", "GITHUB_ACTIONS")


def run(order: str, home: Path) -> dict[str, int]:
    """What the program counted; `home` is its home folder, and nothing says that a machine builds here."""
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in CI} | {"HOME": str(home), "USERPROFILE": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, order], capture_output=True, text=True, env=environment, check=True
    )
    counted: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counted


def test_openvino_imported_after_noescape_finds_no_telemetry(tmp_path: Path) -> None:
    """Nothing is loaded that could speak, and nothing is written into the home folder."""
    counted = run("noescape first", tmp_path / "home")
    assert not counted["loaded"]
    assert not [p for p in (tmp_path / "home").rglob("*") if p.is_file()]


def test_openvino_imported_before_noescape_says_nothing_more(tmp_path: Path) -> None:
    """What it said before was heard by the recorder; from the import of noescape on there is silence."""
    counted = run("openvino first", tmp_path / "home")
    assert counted["before"] > 0 or not counted["known"]
    assert counted["after"] == 0
