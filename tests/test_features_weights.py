"""Weights files: where they are looked for, and that no code in one ever runs."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from noescape.features import weights
from noescape.features.weights import WHEELS, find_weights, load_state
from noescape.records import BundleError, UsageError


class Bomb:
    """Touches its canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


def bombs(canary: Path) -> dict[str, bytes]:
    """A pickle that acts, in each wrapping in which weights travel."""
    from io import BytesIO

    bomb = Bomb(canary)
    plain = pickle.dumps(bomb)
    saved, old, mixed = BytesIO(), BytesIO(), BytesIO()
    torch.save(bomb, saved)
    torch.save(bomb, old, _use_new_zipfile_serialization=False)
    torch.save({"layer1.0.conv1.weight": torch.zeros(1), "extra": bomb}, mixed)
    script = BytesIO()
    with zipfile.ZipFile(script, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "version"):
            archive.writestr(f"archive/{name}", plain if name.endswith("pkl") else "3\n")
    out = {"pickle": plain, "torch": saved.getvalue(), "torch-old": old.getvalue(), "torch-mixed": mixed.getvalue()}
    return out | {"torch-script": script.getvalue(), "protocol0": pickle.dumps(bomb, protocol=0)}


KINDS = ("pickle", "torch", "torch-old", "torch-mixed", "torch-script", "protocol0")


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch on archives that look like its scripts
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors", ".ckpt", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_bomb_does_not_run(kind: str, suffix: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / f"weights{suffix}"
    path.write_bytes(bombs(canary)[kind])
    with pytest.raises(BundleError, match=r"weights.* is not a plain weights file|holds no state dict"):
        load_state(path)
    assert not canary.exists()


def test_the_bombs_are_real(tmp_path: Path) -> None:
    """What the test above proves would be worth nothing with duds."""
    canary = tmp_path / "canary"
    for kind, data in bombs(canary).items():
        path = tmp_path / kind
        path.write_bytes(data)
        if kind in ("torch", "torch-old", "torch-mixed"):
            torch.load(path, weights_only=False)
        else:
            inner = zipfile.ZipFile(path).read("archive/data.pkl") if zipfile.is_zipfile(path) else data
            pickle.loads(inner)
        assert canary.exists(), kind
        canary.unlink()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}", b"\x80\x02.", b"\xff" * 100, b"\0" * 4096])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_weights_file_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(BundleError, match=r"is not a plain weights file|holds no state dict"):
        load_state(tmp_path / f"w{suffix}")


@pytest.mark.parametrize("value", [[1, 2], {}, {"a": 1}, {"state_dict": {"a": "text"}}, torch.zeros(3)])
def test_what_holds_no_tensors_by_name_is_refused(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="holds no state dict of tensors"):
        load_state(tmp_path / "w.pth")


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.pth does not exist"):
        find_weights("resnet18", tmp_path / "none.pth")


def test_without_a_wheel_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="give a local file"):
        find_weights("resnet18")
    monkeypatch.setattr(weights.WheelWeights, "path", lambda self: None)
    for name, wheel in WHEELS.items():
        with pytest.raises(UsageError, match="not installed: pip install") as caught:
            find_weights(name)
        assert str(caught.value).endswith(wheel.install)


def test_an_altered_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"something else")
    monkeypatch.setattr(weights.WheelWeights, "path", lambda self: tmp_path / "w.pth")
    with pytest.raises(BundleError, match=r"w\.pth was altered: .*; reinstall efficientnet-lite0"):
        find_weights("efficientnet_lite0")


def test_a_given_file_wins_over_the_wheel(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    assert find_weights("efficientnet_lite0", tmp_path / "w.pth") == tmp_path / "w.pth"
