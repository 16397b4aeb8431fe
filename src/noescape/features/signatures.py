"""A few tensors that tell each network from its siblings, whose weights would load without a complaint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from noescape.records import BundleError


class HasShape(Protocol):
    """Anything with a shape: a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its extents."""
        ...


# Shapes that must be there, and the first tensor of a deeper sibling, which must not.
Signature = tuple[dict[str, tuple[int, ...]], str]


def _resnet(last: int, conv1: tuple[int, ...]) -> Signature:
    return {f"layer3.{last}.conv1.weight": conv1}, f"layer3.{last + 1}.conv1.weight"


def _lite(last: int, width: int) -> Signature:
    return {f"_blocks.{last}._bn2.weight": (width,)}, f"_blocks.{last + 1}._bn2.weight"


def _vit(width: int, patch: int, depth: int = 12) -> Signature:
    shapes = {"patch_embed.proj.weight": (width, 3, patch, patch), f"blocks.{depth - 1}.norm1.weight": (width,)}
    return shapes, f"blocks.{depth}.norm1.weight"


SIGNATURES: dict[str, Signature] = {
    "efficientnet_lite0": _lite(15, 320),
    "efficientnet_lite1": _lite(20, 320),
    "efficientnet_lite2": _lite(20, 352),
    "mobilenet_v2": ({"features.17.conv.3.weight": (320,)}, "features.19.0.weight"),
    "resnet18": _resnet(1, (256, 256, 3, 3)),
    "resnet34": _resnet(5, (256, 256, 3, 3)),
    "resnet50": _resnet(5, (256, 1024, 1, 1)),
    "wide_resnet50_2": _resnet(5, (512, 1024, 1, 1)),
    "dinov2_vits14": _vit(384, 14),
    "dinov2_vitb14": _vit(768, 14),
    "dinov2_vitl14": _vit(1024, 14, 24),
    "vit_small_patch16": _vit(384, 16),
    "vit_base_patch16": _vit(768, 16),
}


def check_signature(name: str, state: Mapping[str, HasShape], path: Path) -> None:
    """BundleError where `state` (of the file `path`) is not that of the network `name`, with what it looks like."""
    problem = _misfit(name, state)
    if problem is None:
        return
    twins = [other for other in SIGNATURES if _misfit(other, state) is None]
    hint = f"; it looks like {' or '.join(twins)}" if twins else ""
    raise BundleError(f"{path} is not a weights file of {name}: {problem}{hint}")


def _misfit(name: str, state: Mapping[str, HasShape]) -> str | None:
    shapes, absent = SIGNATURES[name]
    for key, shape in shapes.items():
        if key not in state:
            return f"it has no tensor {key!r}"
        if (found := tuple(state[key].shape)) != shape:
            return f"tensor {key!r} has shape {list(found)}, expected {list(shape)}"
    return f"it has a tensor {absent!r}, so the network is a deeper one" if absent in state else None
