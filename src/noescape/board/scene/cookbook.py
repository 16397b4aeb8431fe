"""The two halves of a cookbook read together and the knobs of a run put in; what can be refused is refused here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from noescape.board.scene.config import FRAMES_ALL, RenderConfig
from noescape.board.scene.defects_config import FLOW_MODES, MODES
from noescape.board.scene.strict import nearest, read_mapping, typed
from noescape.board.scene.target import Target, target_of
from noescape.records import UsageError

_TARGET_KEYS = frozenset(Target.model_fields)
_RENDER_KEYS = dict.fromkeys(RenderConfig.model_fields, "belongs into the other file, which says how to render")
_NOT_HERE = "known to other pipelines, but nothing is made of it here; take it out"
_DAY1 = frozenset({"camera", "registration"})
_OTHERS = (
    "solder_fillet",
    "tin_noise",
    "component_material",
    "board_material",
    "rig",
    "randomize_rig",
    "randomize_material",
    "randomize_fillet",
    "randomize_tin_noise",
    "auto_locate_component",
    "samples_per_position",
    "randomize_defects_per_trigger",
    "render_mode",
    "realtime",
)
ELSEWHERE = {
    **dict.fromkeys(_TARGET_KEYS, "belongs into pcba_target.yaml, which holds what speaks of the stage"),
    **dict.fromkeys(_OTHERS, _NOT_HERE),
    "max_emit": "belongs into day0_crop.yaml, as crop.max_emit",
    "crop_max_emit": "is a knob of the crop step; here frames are capped, by max_image_count (knob render_patches)",
    "render_patches": "is a knob of the command; in this file it is max_image_count",
    "defect_modes": "is a knob of the command; in this file it is defects.<mode>.enabled",
}


def load_render_config(path: Path, target: Path | None = None, **knobs: Any) -> RenderConfig:
    """Read a render cookbook; with `target`, the file of the other half, also see that no key stands in both.

    Knobs, each None = as the file has it: `render_patches` (-1 = every cell, else at least 1), `defect_modes` (`all` or
    names separated by commas), `resolution` (width, height), `spp`, `seed` (of everything drawn). UsageError before
    anything is rendered, naming the key or the knob and what to do.
    """
    values = read_mapping(path)
    if set(values) >= _DAY1:
        values.pop("scene", None)  # a day-1 file stands alone, so it names its stage, too
    if target is not None:
        _boundary(values, path, read_mapping(target), target)
    return typed(RenderConfig, with_knobs(values, path, **knobs), path, ELSEWHERE)


def load_cookbook(target: Path, config: Path, **knobs: Any) -> tuple[Target, RenderConfig]:
    """Both halves, seen to fit each other: defects need `component_types` in the target. Knobs as above."""
    render = load_render_config(config, target, **knobs)
    found = target_of(read_mapping(target), target, _RENDER_KEYS)
    if render.pipeline_type != "good" and found.component_types is None:
        raise UsageError(
            f"{target}: component_types is missing: pipeline_type {render.pipeline_type} of {config} must know which "
            "parts it may spoil. Add a list of pieces of prim names, or ALL"
        )
    if render.pipeline_type != "good" and not found.component_types:
        raise UsageError(f"{target}: component_types is empty: no part may be spoilt, so {config} would make no defect")
    return found, render


def with_knobs(
    values: Mapping[str, Any],
    path: Path,
    *,
    render_patches: int | None = None,
    defect_modes: str | Sequence[str] | None = None,
    resolution: Sequence[int] | None = None,
    spp: int | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """The values of a render cookbook with the knobs of a run in their places."""
    out = dict(values)
    if render_patches is not None:
        out["max_image_count"] = _patches(render_patches)
    elif isinstance(out.get("max_image_count"), str) and out["max_image_count"].startswith("__"):
        out["max_image_count"] = FRAMES_ALL  # a place that a template leaves to the knob
    if isinstance(out.get("output"), str) and out["output"].startswith("__"):
        out.pop("output")
    if defect_modes is not None:
        out["defects"] = _modes(out.get("defects"), defect_modes, path)
    if resolution is not None:
        out["resolution"] = list(resolution)
    if spp is not None:
        tracing = out.get("pathtracing")
        out["pathtracing"] = {**(tracing if isinstance(tracing, dict) else {}), "total_spp": spp}
    if seed is not None:
        out["random_seed"] = seed
    return out


def _patches(count: int) -> int:
    if count == 0:
        raise UsageError("render_patches 0 would render nothing; give -1 for every cell of the scan, or at least 1")
    if count < FRAMES_ALL:
        raise UsageError(f"render_patches {count}: expected -1 (every cell of the scan) or at least 1")
    return count


def _modes(section: Any, wanted: str | Sequence[str], path: Path) -> dict[str, Any]:
    names = [w.strip() for w in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    there = dict(section) if isinstance(section, dict) else {}
    if names == ["all"]:
        return there
    for name in names:
        if name not in MODES:
            raise UsageError(
                f"defect_modes: unknown mode {name!r}; {nearest(name, FLOW_MODES)} (all, or names separated by commas)"
            )
        if name not in there:
            raise UsageError(f"defect_modes: {path} has no defects.{name}; it has {', '.join(there) or 'none'}")
    return {
        mode: {**settings, "enabled": mode in names} if isinstance(settings, dict) else settings
        for mode, settings in there.items()
    }


def _boundary(config: Mapping[str, Any], path: Path, target: Mapping[str, Any], target_path: Path) -> None:
    both = sorted(set(config) & set(target))
    if both:
        raise UsageError(
            f"Config boundary violation: {', '.join(both)} stand(s) in {path} and in {target_path}. What speaks of the "
            "stage belongs into the target, how to render into the other file; keep each key in one of them"
        )
