"""Backbones, where their weights come from, the runtimes that execute them, and nearest neighbours."""

from noescape.features.telemetry import silence_telemetry

silence_telemetry()
