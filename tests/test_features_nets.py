"""The networks against the same ones written out plainly, and against OpenVINO."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import net_maker
from noescape.features.backbones import backbone
from noescape.features.embedding import EmbeddingSpec, PatchEmbedding, build_embedding
from noescape.features.nets import mobilenet_v2, resnet, vit
from noescape.features.nets.layers import InvertedResidual, SameConv, folded_conv
from noescape.features.runtime import OpenVinoEmbedder, TorchEmbedder, convert_to_openvino, save_openvino


def picture(height: int, width: int, seed: int = 0) -> Any:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, 0).repeat(8, 1)[:height, :width])


def same_by_hand(x: Any, weight: Any, stride: int, mode: str) -> Any:
    """TensorFlow's SAME in plain loops: output ceil(n / s), the odd padding pixel at the end."""
    n, k = x.shape[-1], weight.shape[-1]
    out = math.ceil(n / stride)
    total = max((out - 1) * stride + k - n, 0)
    before, after = total // 2, total - total // 2
    padded = np.pad(x, [(before, after)] * 2, mode="constant" if mode == "zeros" else mode)
    rows = [
        [(padded[i * stride : i * stride + k, j * stride : j * stride + k] * weight).sum() for j in range(out)]
        for i in range(out)
    ]
    return np.array(rows)


@pytest.mark.parametrize("border", ["zeros", "reflect"])
@pytest.mark.parametrize("n", [4, 5, 7, 8])
@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2)])
def test_same_padding_is_tensorflows(k: int, stride: int, n: int, border: str) -> None:
    rng = np.random.default_rng(k * 10 + n)
    x, weight = rng.normal(size=(n, n)), rng.normal(size=(k, k))
    conv = SameConv(1, 1, k, stride, bias=False)
    conv.border = border
    conv.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float32)[None, None])
    got = conv(torch.tensor(x, dtype=torch.float32)[None, None])[0, 0].detach().numpy()
    np.testing.assert_allclose(got, same_by_hand(x, weight, stride, border), atol=1e-5)


def test_same_padding_of_sizes_that_differ() -> None:
    conv = SameConv(1, 1, 3, 2)
    assert conv(torch.zeros(1, 1, 8, 9)).shape[-2:] == (4, 5)


@pytest.mark.parametrize("n", [1, 2])
def test_maps_too_small_to_be_mirrored_go_on_as_their_edge(n: int) -> None:
    conv = SameConv(1, 1, 5, 1, bias=False)
    conv.border = "reflect"
    assert conv(torch.full((1, 1, n, n), 2.0)).allclose(2 * conv.weight.sum() * torch.ones(1, 1, n, n), atol=1e-5)


@pytest.mark.parametrize("border", ["zeros", "reflect"])
@pytest.mark.parametrize("side", [4, 11, 64])
@pytest.mark.parametrize(("k", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_a_border_added_before_the_expansion_is_the_one_added_after(
    k: int, stride: int, side: int, border: str
) -> None:
    """On maps large enough for the early way, too small for it, and never for zeros."""
    torch.manual_seed(k)
    depthwise = SameConv(12, 12, k, stride, groups=12)
    depthwise.border = border
    block = InvertedResidual(nn.Conv2d(3, 12, 1), depthwise, nn.Conv2d(12, 3, 1)).eval()
    x = torch.randn(1, 3, side, side + 6)
    assert block.expand is not None
    with torch.inference_mode():
        plain = block.project(depthwise(block.expand(x).clamp(0, 6)).clamp(0, 6)) + (x if stride == 1 else 0)
        torch.testing.assert_close(block(x), plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("out", "into", "k", "groups"), [(8, 5, 1, 1), (6, 4, 3, 1), (7, 1, 3, 7), (7, 1, 5, 7)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_folded_convolution_is_convolution_and_batch_norm(
    out: int, into: int, k: int, groups: int, stride: int
) -> None:
    w = net_maker.Weights(3)
    w.conv("c", out, into, k)
    w.norm("n", out)
    x = torch.randn(2, into * groups, 9, 9, generator=w.rng)
    plain = nn.functional.conv2d(x, w.state["c.weight"], None, stride, k // 2, 1, groups)
    want = net_maker.batch_norm(w.state, "n", plain, 1e-3)
    got = folded_conv(w.state, "c", "n", eps=1e-3, stride=stride)(x)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "depth"), [("resnet18", (2, 2, 2, 2)), ("wide_resnet50_2", (3, 4, 6, 3))])
def test_residual_networks_are_those_of_the_paper(name: str, depth: tuple[int, ...]) -> None:
    taps = ("layer1", "layer2", "layer3")
    state = net_maker.resnet_state(name, layers=3)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        net = resnet.build(name, net_maker.resnet_state(name), taps)
        for got, want in zip(net.eval()(x), net_maker.plain_resnet(state, depth[:3], x), strict=True):
            assert got.shape == want.shape
            assert float((got - want).abs().max()) < 1e-3 * float(want.std())


def test_a_transformer_is_attention_written_out() -> None:
    state = net_maker.vit_state(width=128, depth=3, side=5)
    x = torch.randn(1, 3, 70, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        got = vit.build("dinov2", state, ("blocks.0", "blocks.2"), (70, 70))(x)
        for ours, want in zip(got, net_maker.plain_vit(state, x, (0, 2), heads=2), strict=True):
            assert ours.shape == want.shape == (1, 128, 5, 5)
            assert float((ours - want).abs().max()) < 1e-4


def test_a_transformer_takes_registers_other_grids_and_positions_without_class() -> None:
    x = torch.zeros(1, 3, 28, 56)
    for registers, class_position in ((0, True), (4, False), (4, True)):
        state = net_maker.vit_state(registers=registers, class_position=class_position)
        (out,) = vit.build("dinov2", state, ("blocks.1",), (28, 56)).eval()(x)
        assert out.shape == (1, 64, 2, 4) and bool(torch.isfinite(out).all())


def test_layers_come_in_the_order_they_are_asked_for_and_nothing_deeper_is_built() -> None:
    state = net_maker.resnet_state("resnet18")
    net = resnet.build("resnet18", state, ("layer2", "layer1"))
    two, one = net.eval()(torch.zeros(1, 3, 64, 64))
    assert two.shape[1] == 128 and one.shape[1] == 64 and len(net.stages) == 2


def embedding_of(net: nn.Module, name: str, taps: tuple[str, ...], size: tuple[int, int], **spec: Any) -> Any:
    made = EmbeddingSpec(backbone=name, taps=taps, image_size=size, **spec)
    return PatchEmbedding(net.eval().requires_grad_(False), backbone(name), made).eval()


def networks() -> dict[str, Any]:
    return {
        "lite0": lambda: build_embedding(
            EmbeddingSpec(backbone="efficientnet_lite0", taps=("blocks.2", "blocks.4"), image_size=(64, 96), pool=3)
        ),
        "lite0 as shipped": lambda: build_embedding(
            EmbeddingSpec(
                backbone="efficientnet_lite0",
                taps=("blocks.2", "blocks.4", "blocks.5"),
                image_size=(96, 96),
                pool=1,
                grid=(16, 16),
                norm="root",
                border="reflect",
            )
        ),
        "resnet18": lambda: embedding_of(
            resnet.build("resnet18", net_maker.resnet_state("resnet18"), ("layer2", "layer3")),
            "resnet18",
            ("layer2", "layer3"),
            (64, 64),
        ),
        "wide_resnet50_2": lambda: embedding_of(
            resnet.build("wide_resnet50_2", net_maker.resnet_state("wide_resnet50_2"), ("layer1", "layer2")),
            "wide_resnet50_2",
            ("layer1", "layer2"),
            (64, 64),
        ),
        "mobilenet_v2": lambda: embedding_of(
            mobilenet_v2.build("mobilenet_v2", net_maker.mobilenet_state(), ("blocks.2", "blocks.4")),
            "mobilenet_v2",
            ("blocks.2", "blocks.4"),
            (64, 64),
            grid=(8, 8),
            norm="root",
        ),
        "transformer": lambda: embedding_of(
            vit.build("dinov2_vits14", net_maker.vit_state(), ("blocks.0", "blocks.2"), (56, 42)),
            "dinov2_vits14",
            ("blocks.0", "blocks.2"),
            (56, 42),
        ),
    }


@pytest.mark.parametrize("name", networks())
def test_openvino_gives_what_torch_gives(name: str, tmp_path: Path) -> None:
    """From the same bytes, through a file on disk, to 1e-4 of the spread of the features."""
    module = networks()[name]()
    size = {"lite0": (64, 96), "lite0 as shipped": (96, 96), "transformer": (56, 42)}.get(name, (64, 64))
    save_openvino(convert_to_openvino(module, size), tmp_path / "e.xml")
    fast, plain = OpenVinoEmbedder(tmp_path / "e.xml"), TorchEmbedder(module, "cpu")
    for seed in range(2):
        rgb = picture(*size, seed)
        want, got = plain(rgb), fast(rgb)
        assert got.shape == want.shape == (module.grid[0] * module.grid[1], module.dims)
        assert got.dtype == np.float32
        assert np.abs(got - want).max() < 2e-4 * max(1.0, float(want.std()))


def test_the_converted_graph_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    module = networks()["lite0"]()
    files = []
    for i in range(2):
        save_openvino(convert_to_openvino(module, (64, 96)), tmp_path / f"{i}" / "e.xml")
        files.append([(tmp_path / f"{i}" / name).read_bytes() for name in ("e.xml", "e.bin")])
    assert files[0] == files[1]


def test_patches_lie_in_row_order() -> None:
    """A spot in the upper right moves the features of the upper right most."""
    module = TorchEmbedder(networks()["lite0"](), "cpu")
    rgb = np.full((64, 96, 3), 120, np.uint8)
    other = rgb.copy()
    other[8:20, 72:88] = 255
    moved = np.linalg.norm(module(other) - module(rgb), axis=1).reshape(8, 12)
    y, x = np.unravel_index(moved.argmax(), moved.shape)
    assert y in (1, 2) and 8 <= x <= 11


def test_root_norm_is_the_square_root_of_the_length() -> None:
    plain, root = (
        embedding_of(
            resnet.build("resnet18", net_maker.resnet_state("resnet18"), ("layer1",)),
            "resnet18",
            ("layer1",),
            (64, 64),
            pool=1,
            norm=norm,
        )
        for norm in ("none", "root")
    )
    rgb = torch.from_numpy(picture(64, 64)[None])
    with torch.inference_mode():
        a, b = plain(rgb).norm(dim=1), root(rgb).norm(dim=1)
    torch.testing.assert_close(b, a.sqrt(), rtol=1e-3, atol=1e-3)


def test_threads_get_the_same_answers() -> None:
    from concurrent.futures import ThreadPoolExecutor

    embedder = OpenVinoEmbedder(convert_to_openvino(networks()["lite0"](), (64, 96)), streams=3)
    pictures = [picture(64, 96, s) for s in range(12)]
    alone = [embedder(p) for p in pictures]
    with ThreadPoolExecutor(3) as pool:
        for a, b in zip(alone, pool.map(embedder, pictures), strict=True):
            np.testing.assert_array_equal(a, b)
