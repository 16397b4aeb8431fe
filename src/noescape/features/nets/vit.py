"""Vision transformers of the DINOv2 kind (layer scale, optional register tokens), from a local state dict."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from noescape.features.nets.layers import State

EPS = 1e-6
HEAD_WIDTH = 64  # every ViT-S/B/L of DINO and DINOv2


class Attention(nn.Module):
    """Pre-norm transformer block with layer scale: x + g1*attn(norm(x)), then x + g2*mlp(norm(x))."""

    def __init__(self, state: State, prefix: str, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.norm1, self.norm2 = _norm(state, f"{prefix}.norm1"), _norm(state, f"{prefix}.norm2")
        self.qkv, self.proj = _linear(state, f"{prefix}.attn.qkv"), _linear(state, f"{prefix}.attn.proj")
        self.fc1, self.fc2 = _linear(state, f"{prefix}.mlp.fc1"), _linear(state, f"{prefix}.mlp.fc2")
        one = torch.ones(width)
        self.scale1 = nn.Parameter(state.get(f"{prefix}.ls1.gamma", one), requires_grad=False)
        self.scale2 = nn.Parameter(state.get(f"{prefix}.ls2.gamma", one), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[N, T, D]` to `[N, T, D]`."""
        n, t, d = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        x = x + self.scale1 * self.proj(mixed.transpose(1, 2).reshape(n, t, d))
        return torch.add(x, self.scale2 * self.fc2(functional.gelu(self.fc1(self.norm2(x)))))


class VisionTransformer(nn.Module):
    """Patch tokens of chosen blocks as maps `[N, D, H/patch, W/patch]`, each through the final norm."""

    def __init__(self, state: State, taps: tuple[str, ...], image_size: tuple[int, int]) -> None:
        super().__init__()
        weight = state["patch_embed.proj.weight"]
        width, self.patch = int(weight.shape[0]), int(weight.shape[-1])
        self.grid = (image_size[0] // self.patch, image_size[1] // self.patch)
        self.taps = tuple(int(tap.rpartition(".")[2]) for tap in taps)
        self.embed = nn.Conv2d(3, width, self.patch, self.patch)
        self.embed.weight = nn.Parameter(weight, requires_grad=False)
        self.embed.bias = nn.Parameter(state["patch_embed.proj.bias"], requires_grad=False)
        registers = state.get("register_tokens", state.get("reg_token", torch.zeros(1, 0, width)))
        position, patches = state["pos_embed"], state["pos_embed"].shape[1]
        # Some exports hold a position for the class token (and it comes first), some do not.
        has_class = math.isqrt(patches) ** 2 != patches
        first = state["cls_token"] + position[:, :1] if has_class else state["cls_token"]
        self.prefix = nn.Parameter(torch.cat([first, registers], 1), requires_grad=False)
        self.position = nn.Parameter(_fit_grid(position[:, 1:] if has_class else position, self.grid), False)
        self.blocks = nn.ModuleList(Attention(state, f"blocks.{i}", width) for i in range(max(self.taps) + 1))
        self.norm = _norm(state, "norm")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised `[N, 3, H, W]` to one map per tap."""
        height, width = self.grid
        x = x[:, :, : height * self.patch, : width * self.patch]
        x = self.embed(x).flatten(2).transpose(1, 2) + self.position
        x = torch.cat([self.prefix.expand(x.shape[0], -1, -1), x], 1)
        out = {}
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                tokens = self.norm(x)[:, self.prefix.shape[1] :]
                out[i] = tokens.transpose(1, 2).reshape(x.shape[0], -1, height, width)
        return [out[i] for i in self.taps]


def build(name: str, state: State, taps: tuple[str, ...], image_size: tuple[int, int]) -> VisionTransformer:
    """The transformer in `state` for images of `image_size` (height, width), with outputs `blocks.N` (0-based)."""
    return VisionTransformer(state, taps, image_size)


def _fit_grid(position: Tensor, grid: tuple[int, int]) -> Tensor:
    """Position embeddings `[1, n*n, D]` resampled (bicubic) to `grid` patches."""
    side = math.isqrt(position.shape[1])
    if (side, side) == grid:
        return position
    square = position.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    fitted = functional.interpolate(square, size=grid, mode="bicubic", antialias=True)
    return fitted.permute(0, 2, 3, 1).reshape(1, grid[0] * grid[1], -1)


def _linear(state: State, name: str) -> nn.Linear:
    weight = state[f"{name}.weight"]
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(state[f"{name}.bias"], requires_grad=False)
    return layer


def _norm(state: State, name: str) -> nn.LayerNorm:
    layer = nn.LayerNorm(state[f"{name}.weight"].shape[0], eps=EPS)
    layer.weight = nn.Parameter(state[f"{name}.weight"], requires_grad=False)
    layer.bias = nn.Parameter(state[f"{name}.bias"], requires_grad=False)
    return layer
