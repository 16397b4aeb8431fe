"""Our cookbook as the original renderer reads it: two files, the keys that are documented for it, and no others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noescape.board.scene.config import RenderConfig
from noescape.board.scene.target import Target
from noescape.files import dump_yaml, write_text
from noescape.records import UsageError

# None: the value as it is; a mapping: these keys of it; "*": any names, each with the keys below.
_LAMP = {"intensity": None, "color_r": None, "color_g": None, "color_b": None}
_MODE = dict.fromkeys(
    ("enabled", "ratio", "component_types", "translate_range", "rotate_z_range", "angle_min", "angle_max")
)
_STAGE = ("scene", "camera_path", "camera_xform_path", "ring_light_root", "pcba_root")
TARGET_KEYS: Mapping[str, Any] = dict.fromkeys((*_STAGE, "component_types", "horizontal_aperture"))
IMAGE_KEYS: Mapping[str, Any] = {
    "pipeline_type": None,
    "seed": None,
    "random_seed": None,
    "max_image_count": None,
    "num_triggers": None,
    "rename_to_grid_index": None,
    "resolution": None,
    "pathtracing": {"spp": None, "total_spp": None, "max_bounces": None},
    "scan_grid": {"x_num": None, "y_num": None},
    "semantics": None,
    "defects": {"shift": _MODE, "tombstone": _MODE, "sideflip": _MODE},
    "use_scene_lights": None,
    "vantablack_components": None,
    "lighting": {
        "ring_light": None,
        "exposure_range": None,
        "cone_angle_range": None,
        "cone_softness_range": None,
        "layers": {"*": _LAMP},
        "white_light": _LAMP,
    },
    "camera_rotation": {"z_fixed": None},
    "augmentation": {"motion_blur": {"probability": None, "alpha_range": None, "kernel_choices": None}},
    "writer": {
        "rgb": None,
        "semantic_segmentation": None,
        "colorize_semantic_segmentation": None,
        "semantic_types": None,
        "frame_padding": None,
    },
}
NAMES = {"good": "day0_image.yaml", "defect": "structural_image.yaml"}


def write_isaac(target: Target, config: RenderConfig, usd: Path | None, out: Path) -> list[Path]:
    """Write `pcba_target.yaml` and `day0_image.yaml` (with poses: `structural_image.yaml`) into `out`; their paths.

    Not run against that renderer here: the keys are checked against its documentation. UsageError for what has no
    documented key there (a run of missing parts, poses beyond shift, tombstone and sideflip), and where no stage is
    named.
    """
    if usd is None:
        raise UsageError("which stage shall the cookbook name? Give BOARD.usd, or scene: in the target")
    if config.pipeline_type not in NAMES:
        raise UsageError(f"pipeline_type {config.pipeline_type} has no documented form in the original cookbooks")
    beyond = [mode for mode in config.defects.enabled_modes if mode not in IMAGE_KEYS["defects"]]
    if beyond:
        raise UsageError(f"defects: {', '.join(beyond)} is not documented for the original renderer; take it out")
    halves = {
        "pcba_target.yaml": _picked(
            {**target.model_dump(mode="json"), "scene": os.path.relpath(usd, out)}, TARGET_KEYS
        ),
        NAMES[config.pipeline_type]: _picked(config.model_dump(mode="json"), IMAGE_KEYS),
    }
    for name, values in halves.items():
        write_text(out / name, dump_yaml(values))
    return [out / name for name in halves]


def _picked(values: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Of `values` what has a documented key, in the documented order; what is not set is left out."""
    if "*" in keys:
        return {name: _picked(value, keys["*"]) for name, value in values.items()}
    out: dict[str, Any] = {}
    for name, below in keys.items():
        value = values.get(name)
        if value is None:
            continue
        out[name] = value if below is None else _picked(value, below)
        if below is not None and not out[name]:
            del out[name]
    return out
