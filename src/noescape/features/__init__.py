"""Backbones, where their weights come from, the runtimes that execute them, and nearest neighbours."""

import sys

# OpenVINO's converter reports each use over the network and keeps an identity in the home folder where this package
# of its own is found. Nothing leaves the machine and nothing is written that was not asked for: it is not found.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
