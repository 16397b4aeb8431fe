"""C-RADIOv2 vision transformers from a local file: their tensors under the names that our transformer has.

They have a linear patch projection without bias, several summary and register tokens in one tensor, positions for
images of up to 2048 px that are resampled (bilinear, corners aligned) to the input, and no norm at the end.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from noescape.features.nets.vit import VisionTransformer
from noescape.features.weights import load_state
from noescape.records import BundleError

PATCH = 16
MEAN = (0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255)
STD = (0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255)
NAMES = {  # width and depth
    "c_radio_v2_vit_base_patch16_224": (768, 12),
    "c_radio_v2_vit_base_patch16": (768, 12),
    "c_radio_v2_vit_large_patch16_224": (1024, 24),
}
_PREFIXES = ("radio_model.", "model.", "base_model.")
State = dict[str, Tensor]


def load(path: Path, size: tuple[int, int]) -> VisionTransformer:
    """The transformer in `path`, with four outputs spread over its depth, for inputs of `size` (height, width).

    BundleError where the file holds something else.
    """
    state = _without_prefixes(load_state(path))
    try:
        plain = _renamed(state, size)
        depth = 1 + max(int(name.split(".")[1]) for name in plain if name.startswith("blocks."))
        taps = tuple(f"blocks.{depth * part // 4 - 1}" for part in (1, 2, 3, 4))
        net = VisionTransformer(plain, taps, (PATCH, PATCH))
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise BundleError(f"{path} is not a weights file of C-RADIOv2: {error}") from None
    net.grid = (size[0] // PATCH, size[1] // PATCH)
    net.position = nn.Parameter(_positions(state["patch_generator.pos_embed"], net.grid), requires_grad=False)
    net.norm = nn.Identity()  # type: ignore[assignment]
    return net.eval().requires_grad_(False)


def _without_prefixes(state: State) -> State:
    """Wrappers add one prefix each; the tensors of adaptors beside the model have none of them and are left out."""
    for prefix in _PREFIXES:
        if any(name.startswith(prefix) for name in state):
            state = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return state


def _renamed(state: State, size: tuple[int, int]) -> State:
    flat = state["patch_generator.embedder.weight"]
    width = int(flat.shape[0])
    tokens = state["patch_generator.cls_token.token"].reshape(1, -1, width)
    out = {
        "patch_embed.proj.weight": flat.reshape(width, 3, PATCH, PATCH),
        "patch_embed.proj.bias": torch.zeros(width),
        "cls_token": tokens[:, :1],
        "register_tokens": tokens[:, 1:],
        "pos_embed": torch.zeros(1, 1, width),  # replaced: it is resampled in another way
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    return out | {name: value for name, value in state.items() if name.startswith("blocks.")}


def _positions(given: Tensor, grid: tuple[int, int]) -> Tensor:
    """`[1, n*n, D]` for a grid of patches: resampled to the longer side, then cut."""
    side = round(given.shape[1] ** 0.5)
    square = given.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    longest = max(grid)
    if (side, side) != grid:
        square = functional.interpolate(square, (longest, longest), mode="bilinear", align_corners=True)
    return square[:, :, : grid[0], : grid[1]].flatten(2).transpose(1, 2)
