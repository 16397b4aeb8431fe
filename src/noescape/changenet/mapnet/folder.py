"""A map network on disk: weights as safetensors, all else as JSON, every file with its digest; nothing is executed.

model.json              the recipe, what it was trained on, the digest of each weights file; written last
net_0.safetensors …     the weights of each network
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noescape.changenet.mapnet.net import MapNet
from noescape.changenet.mapnet.recipe import MapRecipe
from noescape.files import contained, read_json_object, sha256_file, write_json, write_with
from noescape.records import BundleError, DataError, UsageError

FORMAT = 1
KIND = "mapnet"
CARD = "model.json"


def weights_name(number: int) -> str:
    """The file of network `number`."""
    return f"net_{number}.safetensors"


def save_net(folder: Path, number: int, net: MapNet) -> None:
    """Write the weights of one network; the file appears whole."""
    from safetensors.torch import save_file

    tensors = {name: value.contiguous() for name, value in net.state_dict().items() if not _is_count(name)}
    write_with(folder / weights_name(number), lambda part: save_file(tensors, part))


def load_net(folder: Path, number: int, width: float) -> MapNet:
    """The network back. BundleError when the file is missing, is no safetensors or does not fit the network."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / weights_name(number)
    net = MapNet(width)
    try:
        tensors: dict[str, Tensor] = load_file(path)
        counts = {name: value for name, value in net.state_dict().items() if _is_count(name)}
        net.load_state_dict({**tensors, **counts})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{path} does not hold the weights of this map network ({reason})") from None
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise BundleError(f"{path} holds weights that are no numbers")
    return net.eval()


def write_card(folder: Path, recipe: MapRecipe, trained_on: Mapping[str, Any]) -> None:
    """Finish the folder: from here on it is a model."""
    files = {weights_name(n): sha256_file(folder / weights_name(n)) for n in range(recipe.nets)}
    card = {"format": FORMAT, "kind": KIND, "recipe": recipe.to_json(), "trained_on": dict(trained_on), "files": files}
    write_json(folder / CARD, card)


def read_card(folder: Path) -> tuple[MapRecipe, dict[str, Any]]:
    """Recipe and what it was trained on, after every file was checked. BundleError says what is wrong with which."""
    if not (folder / CARD).is_file():
        raise BundleError(f"{folder} is no finished map network: {CARD} is missing; train it (again) into this folder")
    card = read_json_object(folder / CARD, "the description of a map network", error=BundleError)
    if card.get("format") != FORMAT or card.get("kind") != KIND:
        found = f"kind {card.get('kind')!r}, format {card.get('format')!r}"
        raise BundleError(f"{folder / CARD}: expected kind {KIND!r}, format {FORMAT}, got {found}")
    try:
        recipe = MapRecipe.from_json(card.get("recipe"))
    except (DataError, UsageError) as error:
        raise BundleError(f"{folder / CARD}: {error}") from None
    trained_on = card.get("trained_on")
    if not isinstance(trained_on, dict):
        raise BundleError(f"{folder / CARD}: expected trained_on, what the network was trained on")
    _check_files(folder, card.get("files"), [weights_name(n) for n in range(recipe.nets)])
    return recipe, trained_on


def _check_files(folder: Path, digests: object, names: Sequence[str]) -> None:
    if not isinstance(digests, dict) or set(digests) != set(names):
        raise BundleError(f"{folder / CARD}: must list exactly {', '.join(names)}")
    for name in names:
        path = contained(folder, name)
        if not path.is_file():
            raise BundleError(f"{path} is missing; {CARD} lists it")
        if (found := sha256_file(path)) != digests[name]:
            said = str(digests[name])[:12]
            raise BundleError(f"{path} was altered: sha256 {found[:12]}…, {CARD} says {said}…; restore or train again")


def _is_count(name: str) -> bool:
    """How many batches a normalisation saw: it has no part in inference."""
    return name.endswith("num_batches_tracked")
