"""The Python door: `PatchCore().fit("good/").predict(image)`."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from noescape.anomaly.bundle import BUNDLE_FILES, Bundle
from noescape.anomaly.config import InspectorConfig, ModelName, parse_config
from noescape.anomaly.detector import Detector
from noescape.anomaly.fit import fit, good_folder
from noescape.anomaly.progress import Tell, silent
from noescape.files import parse_yaml
from noescape.imaging import find_defects, read_picture, resize_map
from noescape.records import Defect, UsageError


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What an inspector says about one image.

    `label` is "NG" if `score` > `threshold`, else "OK"; `review` whether the score lies in the review band;
    `anomaly_map` float32 `[H, W]` in the size of the image, in score units (NG regions lie over `pixel_threshold`);
    `defects` are those regions, boxes in pixels of the image.
    """

    score: float
    label: str
    threshold: float
    review: bool
    defects: tuple[Defect, ...]
    anomaly_map: npt.NDArray[np.float32]
    pixel_threshold: float


class Inspector:
    """Learns from good images, then judges new ones. Use `PatchCore` or `PaDiM`, or `load` a run folder.

    Options are the keys of the configuration's parts, e.g. `PatchCore(coreset_sampling_ratio=0.1, image_size=(320,
    320), image_percentile=99)`; see `noescape.anomaly.config`.
    """

    _name: ClassVar[ModelName]

    def __init__(self, **options: Any) -> None:
        self._config = _configure(self._name, options)
        self._run: Path | None = None
        self._bundle: Bundle | None = None
        self._detector: Detector | None = None

    def fit(self, good: str | Path, *, output_dir: str | Path | None = None, tell: Tell = silent) -> Self:
        """Learn from every image below the folder `good`. The run folder goes below `output_dir`, or into a
        temporary folder that lives as long as this object (`save` keeps it)."""
        if output_dir is None:
            target = Path(tempfile.mkdtemp(prefix="noescape-"))
            weakref.finalize(self, shutil.rmtree, target, ignore_errors=True)
        else:
            target = Path(output_dir)
        config = self._config.model_copy(update={"output_dir": target, "run_id": self._config.run_id or "python"})
        return self._open(fit(config, tell=tell, data=good_folder(Path(good))))

    def predict(self, image: str | Path | npt.NDArray[np.uint8]) -> Prediction:
        """Judge one image: a path, or RGB uint8 `[H, W, 3]` (grey `[H, W]` is taken too). ImageError if unreadable."""
        bundle, detector = self._ready()
        if isinstance(image, np.ndarray):
            rgb = _as_rgb(image)
        else:
            path, data = Path(image), bundle.config.data
            rgb = read_picture(path, max_pixels=data.max_pixels, white_level=bundle.meta["white_level"]).rgb
        score, finished = detector.score(rgb)
        full = resize_map(finished, *rgb.shape[:2])
        limits = bundle.thresholds
        _, defects = find_defects(full, limits["pixel_threshold"])
        band = limits["review_band"]
        return Prediction(
            score=score,
            label="NG" if score > limits["image_threshold"] else "OK",
            threshold=limits["image_threshold"],
            review=band is not None and band[0] <= score <= band[1],
            defects=tuple(defects),
            anomaly_map=full,
            pixel_threshold=limits["pixel_threshold"],
        )

    def predict_many(self, images: Iterable[str | Path | npt.NDArray[np.uint8]]) -> Iterator[Prediction]:
        """Judge images one after the other, lazily."""
        return (self.predict(image) for image in images)

    def save(self, folder: str | Path) -> Path:
        """Copy the bundle (see `noescape.anomaly.bundle`) to a new or empty folder."""
        bundle, _ = self._ready()
        target = Path(folder)
        if target.exists() and any(target.iterdir()):
            raise UsageError(f"{target} is not empty")
        for name in (*BUNDLE_FILES, "manifest.json"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / name, target / name)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Inspector:
        """Open a run folder or a saved bundle; the kind of model is the one that was saved."""
        bundle = Bundle(Path(folder))
        inspector = {"patchcore": PatchCore, "padim": PaDiM}[bundle.config.model.name]()
        inspector._config = bundle.config
        return inspector._open(bundle.folder)

    def _open(self, run: Path) -> Self:
        self._run, self._bundle = run, Bundle(run)
        self._detector = self._bundle.detector()
        return self

    def _ready(self) -> tuple[Bundle, Detector]:
        if self._bundle is None or self._detector is None:
            raise UsageError("this inspector has not learnt anything yet: call fit() or load() first")
        return self._bundle, self._detector


class PatchCore(Inspector):
    """PatchCore: distance to the nearest good patch."""

    _name = "patchcore"


class PaDiM(Inspector):
    """PaDiM: one Gaussian of good features for each position; for parts that always lie the same way."""

    _name = "padim"


def _configure(name: ModelName, options: dict[str, Any]) -> InspectorConfig:
    from importlib import resources

    text = (resources.files("noescape.assets") / "inspector" / f"{name}_mvtec.yaml").read_text("utf-8")
    values = parse_config(parse_yaml(text), name).model_dump()
    for key, value in options.items():
        part = next((p for p in ("model", "data", "thresholds") if key in values[p]), None)
        target = values[part] if part else values
        if key not in target:
            raise UsageError(f"unknown option {key!r}; see noescape.anomaly.config for the keys")
        target[key] = value
    return parse_config(values, name)


def _as_rgb(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise UsageError(f"expected uint8 [H, W, 3] (RGB) or [H, W], got {image.dtype} {list(image.shape)}")
    rgb = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    return np.ascontiguousarray(rgb)
