"""The two ways to a new look behind one interface: an image-edit service, or local transfer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.restyle.align import align
from noescape.defects.restyle.config import ResizeConfig, RestyleConfig
from noescape.defects.restyle.endpoint import Endpoint
from noescape.defects.restyle.errors import EndpointError
from noescape.defects.restyle.files import holds_a_mask
from noescape.defects.restyle.geometry import compare_geometry
from noescape.defects.restyle.look import Look, measure
from noescape.defects.restyle.transfer import Transfer, apply_transfer, fit_transfer, generic_transfer
from noescape.imaging import png_bytes, read_picture
from noescape.records import DataError, ImageError

Rgb = npt.NDArray[np.uint8]
SAMPLE = 24
MAX_ANSWER_PIXELS = 2**26


@dataclass(frozen=True, kw_only=True)
class Restyled:
    """A picture with its new look on the pixels of the old one, and what provenance says about it."""

    rgb: Rgb
    facts: dict[str, Any] = field(default_factory=dict)
    attempts: int = 1


class Engine(Protocol):
    """Gives one picture a new look."""

    name: str

    def identity(self) -> dict[str, Any]:
        """All that decides the result beside the picture itself."""
        ...

    def restyle(self, rgb: Rgb, rng: np.random.Generator) -> Restyled:
        """The restyled picture; WorkError where it cannot be had or is refused."""
        ...


class EndpointEngine:
    """Sends each picture to the service and brings the answer back onto its frame."""

    name = "endpoint"

    def __init__(self, config: RestyleConfig, endpoint: Endpoint, scratch: Path) -> None:
        self.config, self._endpoint, self._scratch = config, endpoint, scratch

    def identity(self) -> dict[str, Any]:
        """All that is asked of the service; not where it stands (each row says that) nor how patiently it is asked."""
        left_out = {"retry", "backoff_s", "timeout_s", "max_answer_mb", "api_key_env", "local", "endpoint"}
        told = self.config.model_dump(mode="json", exclude=left_out)
        return {"engine": self.name, **told}

    def restyle(self, rgb: Rgb, rng: np.random.Generator) -> Restyled:
        """Ask, decode, align."""
        del rng  # the service draws by the seed it is sent
        edited = self._endpoint.edit(png_bytes(_sized(rgb, self.config.resize)))
        answer = self._decoded(edited.data)
        out, found = align(answer, rgb, self.config.alignment)
        if found.mi_after < self.config.alignment.min_mi:
            text = (
                f"the answer shares {found.mi_after:.3f} nats with its input, at least {self.config.alignment.min_mi:g}"
            )
            raise EndpointError("unlike", f"{self._endpoint.root}: {text} are asked for (alignment.min_mi)")
        facts: dict[str, Any] = {
            "endpoint": self._endpoint.root,
            "api": edited.api,
            "model": self.config.model,
            "model_checked": self.config.check_model,
        }
        facts |= {"answer_size": [answer.shape[1], answer.shape[0]], "alignment": found.to_json()}
        return Restyled(rgb=out, facts=facts, attempts=edited.attempts)

    def _decoded(self, data: bytes) -> Rgb:
        part = self._scratch / f".answer.{secrets.token_hex(4)}.part"
        try:
            part.write_bytes(data)
            return read_picture(part, max_pixels=MAX_ANSWER_PIXELS).rgb
        except ImageError as error:
            raise EndpointError("not_an_image", f"{self._endpoint.root}: the answer {error.reason}") from None
        finally:
            part.unlink(missing_ok=True)


class LocalEngine:
    """Transfer of tone, colour, texture, blur and noise on this machine; moves nothing, and checks that."""

    name = "local"

    def __init__(self, config: RestyleConfig, transfer: Transfer | None, reference: Look | None, digest: str) -> None:
        """`transfer` None with a `reference`: a map of its own for each picture. `digest` names the reference."""
        self.config, self._reference, self._digest = config, reference, digest
        self.transfer = transfer

    def identity(self) -> dict[str, Any]:
        """The map and where it comes from."""
        told = self.config.local.model_dump(mode="json") | {"seed": self.config.seed}
        shared = self.transfer.to_json() if self.transfer else None
        return {"engine": self.name, "reference": self._digest, "local": told, "transfer": shared}

    def restyle(self, rgb: Rgb, rng: np.random.Generator) -> Restyled:
        """Apply the map; refuse a result whose edges moved."""
        local, transfer = self.config.local, self.transfer
        if transfer is None:
            assert self._reference is not None  # noqa: S101 - the constructor's promise, for the type checker
            transfer = fit_transfer([rgb], self._reference, local)
        out = apply_transfer(rgb, transfer, rng)
        found = compare_geometry(rgb, out)
        if found.measurable and (found.shift_px >= local.max_shift_px or found.edge_ncc < local.min_edge_ncc):
            raise DataError(
                f"its geometry moved: edges lie {found.shift_px:.2f} px off (allowed: under {local.max_shift_px:g}), "
                f"likeness {found.edge_ncc:.2f} (at least {local.min_edge_ncc:g})"
            )
        said = {
            "shift_px": round(found.shift_px, 3),
            "edge_ncc": round(found.edge_ncc, 3),
            "measurable": found.measurable,
        }
        return Restyled(rgb=out, facts={"reference": self._digest or "none", "geometry": said})


def fit_local(config: RestyleConfig, images: Sequence[Path], photos: Sequence[Path], digest: str) -> LocalEngine:
    """A local engine towards `photos` for a set of `images` (a sample of 24 of each is measured); without photos a
    plain camera. Unreadable ones are passed over; DataError when no photo can be read."""
    if not photos:
        return LocalEngine(config, generic_transfer(), None, "")
    reference = measure(_readable(photos, "reference photo"))
    if config.local.tone == "image" or not images:
        return LocalEngine(config, None, reference, digest)
    return LocalEngine(config, fit_transfer(_readable(images, "image"), reference, config.local), reference, digest)


def _readable(paths: Sequence[Path], what: str) -> list[Rgb]:
    """Pictures of at most 24 files, evenly over the list; where one cannot be read, the next that can is taken."""
    count = min(SAMPLE, len(paths))
    wanted = [paths[i * len(paths) // count] for i in range(count)]
    out: list[Rgb] = []
    for path in [*wanted, *(p for p in paths if p not in set(wanted))]:
        if len(out) == count:
            break
        try:
            rgb = read_picture(path).rgb
        except ImageError:
            continue
        if not holds_a_mask(rgb):
            out.append(rgb)
    if not out:
        raise DataError(f"no {what} of {len(paths)} can be read, the first is {paths[0]}")
    return out


def _sized(rgb: Rgb, config: ResizeConfig) -> Rgb:
    """The picture in the size in which it is sent."""
    if config.target_megapixels is None:
        return rgb
    height, width = rgb.shape[:2]
    scale = (config.target_megapixels * 1e6 / (height * width)) ** 0.5
    h, w = (max(config.grid, round(side * scale / config.grid) * config.grid) for side in (height, width))
    enlarge = cv2.INTER_LANCZOS4 if config.interp == "lanczos" else cv2.INTER_LINEAR
    how = cv2.INTER_AREA if scale < 1 else enlarge
    return np.asarray(cv2.resize(rgb, (w, h), interpolation=how), dtype=np.uint8)
