"""Backbones by name: unknown names and layers, and weights that are another's, are told with what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import net_maker
from noescape.features.backbones import BACKBONES, backbone, checked_taps, load_net
from noescape.features.nets import resnet
from noescape.records import BundleError, UsageError


def test_an_unknown_backbone_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown backbone 'resnet81', did you mean 'resnet18'\?"):
        backbone("resnet81")
    with pytest.raises(UsageError, match="Known: efficientnet_lite0"):
        backbone("zzz")


@pytest.mark.parametrize(
    ("name", "tap"), [("resnet18", "layer5"), ("dinov2_vits14", "blocks.12"), ("mobilenet_v2", "layer2")]
)
def test_an_unknown_layer_is_answered_with_those_there_are(name: str, tap: str) -> None:
    with pytest.raises(UsageError, match=f"backbone {name} has no layer '{tap}'; it has "):
        checked_taps(backbone(name), (tap,))


@pytest.mark.parametrize("name", BACKBONES)
def test_default_layers_exist(name: str) -> None:
    row = backbone(name)
    assert checked_taps(row, ()) == row.default_taps == checked_taps(row, row.default_taps)


def saved(state: Any, path: Path) -> Path:
    save_file({k: v.contiguous() for k, v in state.items()}, path)
    return path


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a ResNet-50, up to the layer that tells it from others."""
    return saved(net_maker.resnet_state("resnet50", layers=3), tmp_path_factory.mktemp("w") / "deep.safetensors")


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "wide_resnet50_2"])
def test_weights_of_a_sibling_are_refused_and_named(name: str, deep: Path) -> None:
    """A ResNet-50 would load as a ResNet-34 without a complaint: its blocks bear the same names."""
    with pytest.raises(BundleError, match=rf"not a weights file of {name}: .*; it looks like resnet50$"):
        load_net(backbone(name), ("layer2",), (64, 64), deep)


def test_weights_of_another_family_are_refused(deep: Path) -> None:
    with pytest.raises(BundleError, match=r"not a weights file of dinov2_vits14: it has no tensor 'patch_embed"):
        load_net(backbone("dinov2_vits14"), ("blocks.1",), (56, 56), deep)


@pytest.mark.parametrize("how", ["missing", "shape", "nan"])
def test_damaged_weights_are_refused(how: str, tmp_path: Path) -> None:
    state = net_maker.resnet_state("resnet18")
    if how == "missing":
        del state["layer2.0.bn1.running_var"]
    elif how == "shape":
        state["layer2.0.conv1.weight"] = torch.zeros(128, 63, 3, 3)
    else:
        state["layer2.0.conv1.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(BundleError, match="not a weights file of resnet18"):
        load_net(backbone("resnet18"), ("layer2",), (64, 64), saved(state, tmp_path / "w.safetensors"))


@pytest.mark.parametrize("wrap", ["", "state_dict", "teacher", "module.", "backbone.", "half"])
def test_weights_come_in_the_usual_wrappings(wrap: str, tmp_path: Path) -> None:
    state = net_maker.resnet_state("resnet18")
    path = tmp_path / "w.pth"
    if wrap == "half":
        torch.save({k: v.half() for k, v in state.items()}, path)
    elif wrap.endswith("."):
        torch.save({wrap + k: v for k, v in state.items()}, path)
    else:
        torch.save({wrap: state} if wrap else state, path)
    (got,) = load_net(backbone("resnet18"), ("layer1",), (64, 64), path)(torch.ones(1, 3, 64, 64))
    (want,) = resnet.build("resnet18", state, ("layer1",)).eval()(torch.ones(1, 3, 64, 64))
    torch.testing.assert_close(got, want, rtol=0.02 if wrap == "half" else 0, atol=0.02 if wrap == "half" else 0)
