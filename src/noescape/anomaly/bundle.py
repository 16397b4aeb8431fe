"""The run folder as a bundle: everything that inspecting needs, with a sha256 manifest; runs with no network.

config.yaml  meta.json  thresholds.json  manifest.json
weights/model.safetensors   what was learnt (bank or Gaussians), the region of interest, the probe set
weights/embedding.xml .bin  the backbone as an OpenVINO graph: RGB bytes in, patch features out
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.config import InspectorConfig, parse_config
from noescape.anomaly.detector import Detector, Model, PadimScorer, PatchCoreScorer, View
from noescape.anomaly.fitting_together import last_line, refuse_misfits
from noescape.anomaly.padim import Padim
from noescape.anomaly.patchcore import PatchCore
from noescape.anomaly.together import finish_replacing, replace_together
from noescape.anomaly.unlike import REGION, Seen
from noescape.features.runtime import Embedder, OpenVinoEmbedder
from noescape.files import contained, dump_json, load_yaml, read_json_object, sha256_file, write_json
from noescape.imaging import Picture
from noescape.records import BundleError

FORMAT = 1
BUNDLE_FILES = (
    "config.yaml",
    "meta.json",
    "thresholds.json",
    "weights/model.safetensors",
    "weights/embedding.xml",
    "weights/embedding.bin",
)
Tensors = dict[str, npt.NDArray[np.generic]]


class Bundle:
    """A run folder opened for reading: checked against its manifest, tensors loaded, nothing executed."""

    def __init__(self, folder: Path) -> None:
        """Open and verify; BundleError names the first file that is missing, altered or of another format."""
        self.folder = folder
        self.digest = verify(folder)
        self.meta: dict[str, Any] = _json(folder / "meta.json")
        self.config: InspectorConfig = parse_config(load_yaml(folder / "config.yaml"), str(folder / "config.yaml"))
        self.thresholds: dict[str, Any] = _json(folder / "thresholds.json")
        self.tensors = load_tensors(folder / "weights" / "model.safetensors")
        try:
            _complete(self.meta, self.thresholds, self.view)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder}: meta.json or thresholds.json is not complete ({error!r})") from None

    def detector(self, *, streams: int = 1, precision: str | None = None, device: str = "cpu") -> Detector:
        """Compile the embedding for `streams` threads and put the detector together."""
        return Detector(view=self.view, embedder=self.embedder(streams, precision, device), model=self.model)

    def embedder(self, streams: int, precision: str | None, device: str) -> Embedder:
        """The stored graph on the CPU; on a GPU the same network in torch, from the weights the run was fitted with.

        BundleError where the stored graph does not run, does not take the images of this bundle, or gives something
        else than the model learnt.
        """
        if device != "cpu":
            from noescape.anomaly.embedder import torch_embedder

            return torch_embedder(self.config, device)
        graph, wanted = self.folder / "weights" / "embedding.xml", precision or self.meta["precision"]
        try:
            made = OpenVinoEmbedder(graph, precision=wanted, streams=streams)
        except RuntimeError as error:
            raise BundleError(f"{graph} cannot be run: {last_line(error)}") from None
        refuse_misfits(self.folder, self.view, made, self.model)
        return made

    def look(self, picture: Picture) -> Seen:
        """What a picture looks like, measured as the training images of this bundle were."""
        inside = self.meta["training_appearance"].get("of") == REGION
        return Seen.of(picture, self.view if inside else None)

    @cached_property
    def view(self) -> View:
        """How images are cut and sized."""
        roi = self.tensors.get("roi")
        return View.from_json(self.meta["view"], None if roi is None else roi.astype(np.uint8))

    @cached_property
    def model(self) -> Model:
        """What was learnt."""
        return scorer(self.meta["model"], self.tensors)


def _complete(meta: dict[str, Any], thresholds: dict[str, Any], view: View) -> None:
    """KeyError, TypeError or ValueError where a value that inspecting relies on is missing or of another kind."""
    for name in ("model", "category", "run_id", "identity", "precision", "train_digest"):
        if not isinstance(meta[name], str):
            raise TypeError(f"{name} must be text")
    numbers = [thresholds["image_threshold"], thresholds["pixel_threshold"], *thresholds["map_scale"]]
    if not all(isinstance(n, int | float) for n in [*numbers, *(thresholds["review_band"] or ()), *view.image_size]):
        raise TypeError("thresholds, map_scale and image_size must be numbers")
    if not 1 <= meta["white_level"] <= 65535 or not meta["training_appearance"]["bits"]:
        raise ValueError("white_level or training_appearance")
    if len(numbers) != 4 or len(view.image_size) != 2 or len(view.grid) != 2 or min(*view.image_size, *view.grid) < 1:
        raise ValueError("map_scale, image_size and grid are pairs of positive numbers")


def scorer(kind: str, tensors: Tensors) -> Model:
    """The model of `kind` ("padim" or "patchcore") from its stored arrays."""
    try:
        if kind == "padim":
            return PadimScorer(padim=Padim.from_tensors(tensors))
        if kind == "patchcore":
            return PatchCoreScorer(core=PatchCore.from_tensors(tensors))
    except KeyError as error:
        raise BundleError(f"the weights of a {kind} model must hold {error}") from None
    except (ValueError, IndexError, TypeError) as error:
        raise BundleError(f"the weights of a {kind} model do not fit together: {error}") from None
    raise BundleError(f"model {kind!r}: this version knows padim and patchcore")


def load_tensors(path: Path) -> Tensors:
    """Arrays of a safetensors file; BundleError if it is anything else (a pickle is never read)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        loaded: Tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{path} is not a safetensors file ({' '.join(str(error).split())[:120]})") from None
    return loaded


def sign(folder: Path) -> None:
    """Write manifest.json over the files of the bundle."""
    digests = {name: sha256_file(folder / name) for name in BUNDLE_FILES}
    write_json(folder / "manifest.json", {"format": FORMAT, "files": digests})


def change(folder: Path, files: Mapping[str, bytes], *, remove: Sequence[str] = ()) -> None:
    """Replace `files` (name, content) of a signed bundle and its manifest in one step that a kill cannot split.

    Names outside of BUNDLE_FILES may be among them; the files named in `remove` disappear in the same step.
    """
    digests = {
        name: hashlib.sha256(files[name]).hexdigest() if name in files else sha256_file(folder / name)
        for name in BUNDLE_FILES
    }
    manifest = dump_json({"format": FORMAT, "files": digests}).encode()
    replace_together(folder, {**files, "manifest.json": manifest}, remove=remove)


def verify(folder: Path) -> str:
    """Check every file against the manifest; returns the digest of the manifest itself, the bundle's identity.

    A `change` that was killed half-way is completed first; one that happens meanwhile is waited for.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: there is no such run folder; noescape fit prints the one that it made")
    finish_replacing(folder)
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise BundleError(f"{folder} is no finished run: manifest.json is missing (fit again with the same --run-id)")
    before = manifest.read_bytes()
    try:
        return _verify(folder, manifest)
    except BundleError:
        if not finish_replacing(folder) and manifest.read_bytes() == before:
            raise
        return verify(folder)


def _verify(folder: Path, manifest: Path) -> str:
    stored = _json(manifest)
    if stored.get("format") != FORMAT:
        raise BundleError(
            f"{manifest}: bundle format {stored.get('format')!r}, this version of noescape reads {FORMAT}: "
            "open it with the version that wrote it"
        )
    files = stored.get("files")
    if not isinstance(files, dict) or set(files) != set(BUNDLE_FILES):
        raise BundleError(f"{manifest}: must list exactly {', '.join(BUNDLE_FILES)}")
    for name, digest in files.items():
        path = contained(folder, name)
        if not path.is_file():
            raise BundleError(f"{path} is missing; the manifest lists it")
        if (found := sha256_file(path)) != digest:
            raise BundleError(
                f"{path} was altered: sha256 {found[:12]}…, the manifest says {str(digest)[:12]}…; {_remedy(name)}"
            )
    return sha256_file(manifest)


def _remedy(name: str) -> str:
    if name == "thresholds.json":
        return "thresholds are not edited by hand: restore the file, then use `noescape tune` to change them"
    return "restore the file from a copy, or fit again"


def _json(path: Path) -> dict[str, Any]:
    return read_json_object(path, "what fit wrote", error=BundleError)
