"""Random weights in the names and shapes that the network families expect, and the networks written out plainly."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class Weights:
    """Draws tensors; every norm gets statistics of its own, so that a wrong fold shows."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def conv(self, name: str, out: int, into: int, k: int) -> None:
        fan = into * k * k
        self.state[f"{name}.weight"] = torch.randn(out, into, k, k, generator=self.rng) * math.sqrt(2 / fan)

    def norm(self, name: str, width: int, *, statistics: bool = True) -> None:
        rand = lambda low, high: torch.rand(width, generator=self.rng) * (high - low) + low  # noqa: E731
        self.state[f"{name}.weight"], self.state[f"{name}.bias"] = rand(0.7, 1.3), rand(-0.2, 0.2)
        if statistics:
            self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"] = rand(-0.1, 0.1), rand(0.7, 1.4)

    def linear(self, name: str, out: int, into: int) -> None:
        self.state[f"{name}.weight"] = torch.randn(out, into, generator=self.rng) / math.sqrt(into)
        self.state[f"{name}.bias"] = torch.randn(out, generator=self.rng) * 0.1


def resnet_state(name: str, seed: int = 0, layers: int = 4) -> State:
    """ResNet-18, 34, 50 or Wide-ResNet-50-2 with random weights; only the first `layers` layers."""
    depth = {"resnet18": (2, 2, 2, 2)}.get(name, (3, 4, 6, 3))
    basic = name in ("resnet18", "resnet34")
    w = Weights(seed)
    w.conv("conv1", 64, 3, 7)
    w.norm("bn1", 64)
    into = 64
    for i, count in enumerate(depth[:layers]):
        base = 64 << i
        width = base * 2 if name.startswith("wide") else base
        out = base if basic else base * 4
        for j in range(count):
            p = f"layer{i + 1}.{j}"
            shapes = ((width, into, 3), (out, width, 3)) if basic else ((width, into, 1), (width, width, 3), (out, width, 1))  # fmt: skip # noqa: E501
            for k, (o, n, size) in enumerate(shapes, 1):
                w.conv(f"{p}.conv{k}", o, n, size)
                w.norm(f"{p}.bn{k}", o)
            if j == 0 and (i > 0 or not basic):
                w.conv(f"{p}.downsample.0", out, into, 1)
                w.norm(f"{p}.downsample.1", out)
            into = out
    w.linear("fc", 10, into)
    return w.state


def mobilenet_state(seed: int = 0) -> State:
    """MobileNetV2 1.0 with random weights."""
    w = Weights(seed)
    w.conv("features.0.0", 32, 3, 3)
    w.norm("features.0.1", 32)
    into, index = 32, 1
    for expand, out, count in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)):
        for _ in range(count):
            p, hidden, at = f"features.{index}.conv", into * expand, 0
            if expand > 1:
                w.conv(f"{p}.0.0", hidden, into, 1)
                w.norm(f"{p}.0.1", hidden)
                at = 1
            w.conv(f"{p}.{at}.0", hidden, 1, 3)
            w.norm(f"{p}.{at}.1", hidden)
            w.conv(f"{p}.{at + 1}", out, hidden, 1)
            w.norm(f"{p}.{at + 2}", out)
            into, index = out, index + 1
    w.conv("features.18.0", 1280, 320, 1)
    w.norm("features.18.1", 1280)
    return w.state


def vit_state(
    width: int = 64, patch: int = 14, depth: int = 3, side: int = 5, registers: int = 0, class_position: bool = True,
    seed: int = 0,
) -> State:  # fmt: skip
    """A transformer with DINOv2's names; `side` patches per side in its position embedding."""
    w = Weights(seed)
    randn = lambda *shape: torch.randn(*shape, generator=w.rng)  # noqa: E731
    w.conv("patch_embed.proj", width, 3, patch)
    w.state["patch_embed.proj.bias"] = randn(width) * 0.1
    w.state["cls_token"], w.state["mask_token"] = randn(1, 1, width), torch.zeros(1, width)
    w.state["pos_embed"] = randn(1, side * side + class_position, width) * 0.3
    if registers:
        w.state["register_tokens"] = randn(1, registers, width)
    for i in range(depth):
        p = f"blocks.{i}"
        for k in (1, 2):
            w.norm(f"{p}.norm{k}", width, statistics=False)
            w.state[f"{p}.ls{k}.gamma"] = torch.rand(width, generator=w.rng)
        w.linear(f"{p}.attn.qkv", 3 * width, width)
        w.linear(f"{p}.attn.proj", width, width)
        w.linear(f"{p}.mlp.fc1", 4 * width, width)
        w.linear(f"{p}.mlp.fc2", width, 4 * width)
    w.norm("norm", width, statistics=False)
    return w.state


def plain_resnet(state: State, depth: tuple[int, ...], x: Tensor) -> list[Tensor]:
    """A residual network straight from its paper, batch norms unfolded: the outputs of its layers."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(name: str, x: Tensor) -> Tensor:
        return batch_norm(state, name, x, 1e-5)

    x = nn.functional.max_pool2d(norm("bn1", conv("conv1", x, 2)).relu(), 3, 2, 1)
    out = []
    for i, count in enumerate(depth):
        for j in range(count):
            p, stride = f"layer{i + 1}.{j}", 2 if i and not j else 1
            deep = f"{p}.conv3.weight" in state
            y = norm(f"{p}.bn1", conv(f"{p}.conv1", x, 1 if deep else stride)).relu()
            y = norm(f"{p}.bn2", conv(f"{p}.conv2", y, stride if deep else 1))
            if deep:
                y = norm(f"{p}.bn3", conv(f"{p}.conv3", y.relu()))
            if f"{p}.downsample.0.weight" in state:
                x = norm(f"{p}.downsample.1", conv(f"{p}.downsample.0", x, stride))
            x = (x + y).relu()
        out.append(x)
    return out


def batch_norm(state: State, name: str, x: Tensor, eps: float) -> Tensor:
    """Batch norm in evaluation, as torch computes it."""
    part = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    return nn.functional.batch_norm(x, *part, training=False, eps=eps)


def plain_vit(state: State, x: Tensor, taps: tuple[int, ...], heads: int) -> list[Tensor]:
    """A transformer of DINOv2's kind, attention written out, positions as stored (no resizing)."""
    f = nn.functional
    n, (gy, gx) = x.shape[0], (s // state["patch_embed.proj.weight"].shape[-1] for s in x.shape[-2:])
    patch = state["patch_embed.proj.weight"].shape[-1]
    tokens = f.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], patch)
    tokens = torch.cat([state["cls_token"].expand(n, -1, -1), tokens.flatten(2).transpose(1, 2)], 1)
    tokens = tokens + state["pos_embed"]
    width = tokens.shape[-1]

    def norm(name: str, t: Tensor) -> Tensor:
        return f.layer_norm(t, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(name: str, t: Tensor) -> Tensor:
        return t @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    out = []
    for i in range(max(taps) + 1):
        p = f"blocks.{i}"
        q, k, v = (
            part.reshape(n, -1, heads, width // heads).transpose(1, 2)
            for part in linear(f"{p}.attn.qkv", norm(f"{p}.norm1", tokens)).chunk(3, -1)
        )
        weights = (q @ k.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(n, -1, width)
        tokens = tokens + state[f"{p}.ls1.gamma"] * linear(f"{p}.attn.proj", mixed)
        hidden = f.gelu(linear(f"{p}.mlp.fc1", norm(f"{p}.norm2", tokens)))
        tokens = tokens + state[f"{p}.ls2.gamma"] * linear(f"{p}.mlp.fc2", hidden)
        if i in taps:
            out.append(norm("norm", tokens)[:, 1:].transpose(1, 2).reshape(n, width, gy, gx))
    return out
