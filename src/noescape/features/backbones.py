"""The table of backbones: which family builds a name, its taps, and how its input is normalised."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noescape.features.signatures import check_signature
from noescape.features.weights import find_weights, load_state
from noescape.records import BundleError, UsageError

if TYPE_CHECKING:
    from torch import nn

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
LITE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
_STAGES = tuple(f"blocks.{i}" for i in range(7))
_LAYERS = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """One row: `family` is a module of `features.nets`; `mean` and `std` per RGB channel on the 0..255 scale;
    `taps` the outputs that exist; `default_taps` those used when none are named;
    `multiple` what height and width of the input must be divisible by."""

    name: str
    family: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    taps: tuple[str, ...]
    default_taps: tuple[str, ...]
    multiple: int = 32


def _row(name: str, family: str, norm: tuple[tuple[float, ...], ...], taps: tuple[str, ...],
         default: tuple[str, ...], multiple: int = 32) -> Backbone:  # fmt: skip
    mean, std = (tuple(v) for v in norm)
    return Backbone(name=name, family=family, mean=mean, std=std, taps=taps, default_taps=default, multiple=multiple)  # type: ignore[arg-type]


BACKBONES = {
    row.name: row
    for row in (
        *(
            _row(f"efficientnet_lite{i}", "efficientnet_lite", LITE, _STAGES, ("blocks.2", "blocks.4"))
            for i in range(3)
        ),
        _row("mobilenet_v2", "mobilenet_v2", IMAGENET, _STAGES, ("blocks.2", "blocks.4")),
        *(
            _row(name, "resnet", IMAGENET, _LAYERS, ("layer2", "layer3"))
            for name in ("resnet18", "resnet34", "resnet50", "wide_resnet50_2")
        ),
        *(
            _row(name, "vit", IMAGENET, tuple(f"blocks.{i}" for i in range(depth)), default, patch)
            for name, depth, default, patch in (
                ("dinov2_vits14", 12, ("blocks.7", "blocks.11"), 14),
                ("dinov2_vitb14", 12, ("blocks.7", "blocks.11"), 14),
                ("dinov2_vitl14", 24, ("blocks.15", "blocks.23"), 14),
                ("vit_small_patch16", 12, ("blocks.7", "blocks.11"), 16),
                ("vit_base_patch16", 12, ("blocks.7", "blocks.11"), 16),
            )
        ),
    )
}


def backbone(name: str) -> Backbone:
    """The row called `name`; UsageError with the nearest name otherwise."""
    if name in BACKBONES:
        return BACKBONES[name]
    near = difflib.get_close_matches(name, BACKBONES, 1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    raise UsageError(f"unknown backbone {name!r}{hint} Known: {', '.join(BACKBONES)}")


def checked_taps(row: Backbone, taps: tuple[str, ...] | None) -> tuple[str, ...]:
    """`taps` if the backbone has them all, its default taps for None or (); UsageError otherwise."""
    if not taps:
        return row.default_taps
    for tap in taps:
        if tap not in row.taps:
            raise UsageError(f"backbone {row.name} has no layer {tap!r}; it has {', '.join(row.taps)}")
    return taps


def load_net(row: Backbone, taps: tuple[str, ...], image_size: tuple[int, int], weights: Path | None) -> nn.Module:
    """Build the network of `row` with its weights, in eval mode, up to the deepest tap.

    `image_size` (height, width) matters to transformers only. BundleError where the file does not fit the network.
    """
    path = find_weights(row.name, weights)
    family = importlib.import_module(f"noescape.features.nets.{row.family}")
    state = load_state(path)
    check_signature(row.name, state, path)
    try:
        extra = (image_size,) if row.family == "vit" else ()
        net: nn.Module = family.build(row.name, state, taps, *extra)
        _try_out(net, image_size)
    except KeyError as error:
        raise BundleError(f"{path} is not a weights file of {row.name}: it has no tensor {error}") from None
    except (RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{path} is not a weights file of {row.name}: its tensors do not fit ({reason})") from None
    return net.eval().requires_grad_(False)


def _try_out(net: nn.Module, image_size: tuple[int, int]) -> None:
    """ValueError where the answer to a black image is not finite; what does not fit fails in torch."""
    import torch

    with torch.inference_mode():
        outputs = net.eval()(torch.zeros(1, 3, *image_size))
    if not all(bool(torch.isfinite(one).all()) for one in outputs):
        raise ValueError("they give features that are not finite numbers")
