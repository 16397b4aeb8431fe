"""`day0_image.yaml` and its kin: how a board is scanned, lit and spoilt, with the keys of existing cookbooks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from noescape.board.scene.defects_config import Defects, Missing
from noescape.board.scene.light_config import Lighting
from noescape.board.scene.semantics import Rule
from noescape.board.scene.strict import Strict

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Range = tuple[float, float]
FRAMES_ALL = -1


class PathTracing(Strict):
    """Samples and bounces of light. `total_spp` is what is rendered; the other renderer's switches are let pass."""

    spp: Count = 1
    total_spp: Annotated[int, Field(ge=1, le=65536)] = 32
    max_bounces: Annotated[int, Field(ge=0, le=64)] = 4
    max_specular_and_transmission_bounces: int | None = None
    max_volume_bounces: int | None = None
    adaptive_sampling_enabled: bool | None = None
    adaptive_sampling_target_error: float | None = None
    optix_denoiser_enabled: bool | None = None
    optix_denoiser_blend_factor: float | None = None
    firefly_filter_enabled: bool | None = None
    cached_enabled: bool | None = None


class ScanGrid(Strict):
    """Cells of the scan along the world's x and y; a missing number is filled in so that cells fit the picture's shape.

    `z_min` (scene units) keeps the camera at least that high.
    """

    x_num: Annotated[int, Field(ge=1, le=1000)] | None = None
    y_num: Annotated[int, Field(ge=1, le=1000)] | None = None
    z_min: float | None = None

    @model_validator(mode="after")
    def _one_at_least(self) -> ScanGrid:
        if self.x_num is None and self.y_num is None:
            raise ValueError("expected x_num, y_num or both")
        return self


class CameraRotation(Strict):
    """`z_fixed`: yaw in degrees, a multiple of 90. Tilts are known keys, but the camera here looks straight down."""

    x_range: Range = (0.0, 0.0)
    y_range: Range = (0.0, 0.0)
    z_fixed: float = -90.0

    @model_validator(mode="after")
    def _straight_down(self) -> CameraRotation:
        if any(v != 0 for v in (*self.x_range, *self.y_range)):
            raise ValueError("the camera looks straight down: x_range and y_range must be [0, 0]")
        if self.z_fixed % 90:
            raise ValueError(f"z_fixed must be a multiple of 90 degrees, got {self.z_fixed:g}")
        return self


class MotionBlur(Strict):
    """A share of the frames is blurred: with `alpha` of the blurred picture, by a line of one of these lengths (px)."""

    probability: Annotated[float, Field(ge=0, le=1)] = 0.8
    alpha_range: Range = (0.01, 0.3)
    kernel_choices: tuple[Annotated[int, Field(ge=1, le=255)], ...] = (5, 7)

    @model_validator(mode="after")
    def _sane(self) -> MotionBlur:
        low, high = self.alpha_range
        if not 0 <= low <= high <= 1:
            raise ValueError(f"alpha_range must be two shares, the lower first, got {list(self.alpha_range)}")
        if not self.kernel_choices:
            raise ValueError("kernel_choices must name at least one length in px")
        return self


class Augmentation(Strict):
    """What happens to a picture after rendering."""

    motion_blur: MotionBlur = MotionBlur(probability=0.0)


class Writer(Strict):
    """Which pictures other renderers write; here all of BOARD's frame tree is always written."""

    rgb: bool = True
    image_output_format: Literal["png"] = "png"
    semantic_segmentation: bool = True
    instance_id_segmentation: bool = False
    instance_segmentation: bool = True
    colorize_semantic_segmentation: bool = True
    colorize_instance_id_segmentation: bool = False
    bounding_box_2d_tight: bool = True
    bounding_box_2d_loose: bool = False
    bounding_box_3d: bool = False
    distance_to_camera: bool = False
    distance_to_image_plane: bool = False
    colorize_depth: bool = False
    semantic_types: tuple[Literal["class", "defect"], ...] = ("class",)
    frame_padding: Annotated[int, Field(ge=1, le=9)] = 4
    reference: dict[str, Any] | None = None
    defective: dict[str, Any] | None = None


class Capture(Strict):
    """The one picture of a day-1 file: an orthographic camera over `translate` (x, y, in scene units).

    `horizontal_aperture` in tenths of a scene unit; of `rotation_xyz` only the last, a yaw in quarter turns, may be
    other than 0. `z` and `focal_length` change nothing in a picture without perspective.
    """

    translate: tuple[float, float]
    horizontal_aperture: Annotated[float, Field(gt=0, le=1e6)]
    rotation_xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    z: Annotated[float, Field(gt=0)] = 5000.0
    focal_length: Annotated[float, Field(gt=0)] = 50.0

    @model_validator(mode="after")
    def _straight_down(self) -> Capture:
        x, y, yaw = self.rotation_xyz
        if x or y or yaw % 90:
            raise ValueError("the camera looks straight down: rotation_xyz must be [0, 0, a multiple of 90]")
        return self


class RenderConfig(Strict):
    """One run of `board render`.

    `seed`: the first so many cells of the scan are left out; `random_seed`: what everything that is drawn is drawn
    from. `max_image_count`: frames at most, -1 = every cell. `num_triggers`: passes over the board, each with
    draws of its own. `resolution`: width, height in px. `pipeline_type` good renders the board as it is, defect with
    the poses of `defects`, missing with the share `missing.ratio` of the pool taken away. `camera`: one picture instead
    of a scan. `crop`, `registration`, `real_image` and `output` are what other steps read from the same file.
    """

    pipeline_type: Literal["good", "defect", "missing"] = "good"
    seed: Annotated[int, Field(ge=0)] = 0
    random_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    max_image_count: Annotated[int, Field(ge=-1)] = FRAMES_ALL
    num_triggers: Annotated[int, Field(ge=1, le=1000)] = 1
    rename_to_grid_index: bool = True
    output: str | dict[str, Any] | None = None
    resolution: tuple[Annotated[int, Field(ge=8, le=16384)], Annotated[int, Field(ge=8, le=16384)]] = (1920, 1080)
    pathtracing: PathTracing = PathTracing()
    scan_grid: ScanGrid = ScanGrid(x_num=10, y_num=10)
    semantics: tuple[Rule, ...] = ()
    defects: Defects = Defects()
    missing: Missing | None = None
    use_scene_lights: bool = True
    preserve_scene_light_color: bool = False
    vantablack_components: bool = False
    lighting: Lighting = Lighting()
    camera_rotation: CameraRotation = CameraRotation()
    augmentation: Augmentation = Augmentation()
    writer: Writer = Writer()
    camera: Capture | None = None
    crop: dict[str, Any] | None = None
    registration: dict[str, Any] | None = None
    real_image: str | None = None

    @field_validator("max_image_count")
    @classmethod
    def _some(cls, value: int) -> int:
        if value == 0:
            raise ValueError("0 frames would be rendered; give -1 (every cell) or at least 1")
        return value

    @model_validator(mode="after")
    def _fits_its_type(self) -> RenderConfig:
        if self.pipeline_type == "defect" and not self.defects.enabled_modes:
            raise ValueError("pipeline_type defect needs at least one mode under defects with enabled: true")
        if self.pipeline_type == "missing" and self.missing is None:
            raise ValueError("pipeline_type missing needs missing: {ratio: …}")
        if self.pipeline_type == "good" and self.defects.enabled_modes:
            raise ValueError("pipeline_type good has no defects; take them out or say pipeline_type: defect")
        return self
