"""What the doctor says about renderers: which one works here, in which way, and why not in a better one."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from noescape.board.render.blender.engine import GET, command
from noescape.board.render.mitsuba.choice import SCALAR, choose, installed
from noescape.board.render.mitsuba.denoise import can_denoise
from noescape.board.render.mitsuba.start import INSTALL
from noescape.features.doctor import Check
from noescape.records import UsageError

GROUP = "renderers"
NAMES = ("usd", "mitsuba", "denoiser", "blender")


def renderer_checks() -> list[Check]:
    """One row each for `NAMES`, in that order; 1 to 3 s. Nothing is written."""
    return [
        _package("usd", "pxr", "reading and writing boards (noescape board)"),
        _mitsuba(),
        _denoiser(),
        _blender(),
    ]


def _mitsuba() -> Check:
    if not installed():
        detail = "for noescape board render; not installed: mitsuba (--engine toy needs nothing)"
        return _check("mitsuba", "optional", detail, INSTALL)
    try:
        chosen = choose(remember=False)
    except UsageError as error:
        return _check("mitsuba", "broken", " ".join(str(error).split()), INSTALL)
    detail = f"{chosen.variant}, {chosen.why}"
    if chosen.tried:
        detail += f"; in vain: {'; '.join(chosen.tried)}"
    if chosen.variant == SCALAR:
        detail += f"; an LLVM makes it three times as fast: {INSTALL}"
    return _check("mitsuba", "ok", detail)


def _denoiser() -> Check:
    if can_denoise():
        return _check("denoiser", "ok", "Open Image Denoise")
    return _check("denoiser", "optional", "for clean pictures from 16 samples; not installed: mitsuba_oidn", INSTALL)


def _blender() -> Check:
    try:
        found = command()
    except UsageError:
        return _check("blender", "optional", "for --engine blender alone; no Blender found", GET)
    named = "BLENDER_PYTHON" if os.environ.get("BLENDER_PYTHON") else "PATH"
    return _check("blender", "ok", f"{Path(found[0])}, by {named} (not tried)")


def _package(name: str, module: str, purpose: str) -> Check:
    try:
        there = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        there = False
    if there:
        return _check(name, "ok", f"for {purpose}")
    return _check(name, "optional", f"for {purpose}; not installed: {module}", INSTALL)


def _check(name: str, status: str, detail: str, fix: str = "") -> Check:
    return Check(group=GROUP, name=name, status=status, detail=" ".join(detail.split()), fix=fix)
