"""The data part of the classify spec: which pairs, their lights and sizes, and how training images are changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Three = tuple[float, float, float]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Part(BaseModel):
    """A section: unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Flip(Part):
    """Mirrored with these probabilities: upside down, left to right."""

    vflip_probability: Share = 0.5
    hflip_probability: Share = 0.5
    enable: bool = True


class Rotate(Part):
    """Turned by one of the angles (degrees, multiples of 90) with this probability."""

    rotate_probability: Share = 0.5
    angle_list: tuple[float, ...] = (90, 180, 270)
    enable: bool = True

    @model_validator(mode="after")
    def _quarter_turns(self) -> Rotate:
        if not self.angle_list or any(angle % 90 for angle in self.angle_list):
            raise ValueError(f"angle_list {list(self.angle_list)}: expected multiples of 90 degrees, at least one")
        return self


class Colour(Part):
    """Brightness, contrast, saturation and hue vary by up to these shares; applied to 1 - color_probability of pairs,
    as the public originals do (at 0.5 there is no difference)."""

    brightness: Share = 0.3
    contrast: Share = 0.3
    saturation: Share = 0.3
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.3
    enable: bool = True
    color_probability: Share = 0.5


class ScaledCrop(Part):
    """Read and without effect, as in the public originals."""

    scale_range: tuple[float, ...] = (1, 1.2)
    enable: bool = True


class Switch(Part):
    """On or off."""

    enable: bool = True


class Augmentation(Part):
    """Changes of training images, drawn once for an input and its golden. `augment` false: none of them."""

    rgb_input_mean: Three = IMAGENET_MEAN
    rgb_input_std: Three = IMAGENET_STD
    random_flip: Flip = Flip()
    random_rotate: Rotate = Rotate()
    random_color: Colour = Colour()
    with_scale_random_crop: ScaledCrop = ScaledCrop()
    with_random_crop: bool | Switch = True
    with_random_blur: bool | Switch = True
    augment: bool = False


class Rows(Part):
    """A CSV of pairs and the folder that its paths start from."""

    csv_path: str | None = None
    images_dir: str | None = None


class Grid(Part):
    """Lights across and down, for concat_type grid."""

    x: Count = 2
    y: Count = 2


class ClassifyData(Part):
    """Which pairs, and how their images become the network's input.

    `input_map` names the lights: object_name + `_` + light + image_ext is a file; without it there is one image and no
    suffix. `image_ext` null: whatever suffix the file has. Lights are laid below each other (linear) or in a grid.
    """

    train_dataset: Rows = Rows()
    validation_dataset: Rows = Rows()
    test_dataset: Rows = Rows()
    infer_dataset: Rows = Rows()
    image_ext: str | None = None
    batch_size: Count = 8
    workers: Annotated[int, Field(ge=0, le=256)] = 8
    fpratio_sampling: Annotated[float, Field(ge=0)] = 0.1
    num_input: Count = 8
    input_map: dict[str, int] | None = None
    concat_type: Literal["linear", "grid"] | None = None
    grid_map: Grid | None = None
    image_width: Annotated[int, Field(ge=16, le=4096)] = 224
    image_height: Annotated[int, Field(ge=16, le=4096)] = 224
    num_classes: Literal[2] = 2
    num_golden: Count = 1
    augmentation_config: Augmentation = Augmentation()

    @property
    def lights(self) -> tuple[str | None, ...]:
        """The names of the lights in the order of their numbers; one None where there is no map."""
        if not self.input_map:
            return (None,)
        return tuple(sorted(self.input_map, key=lambda name: (self.input_map or {})[name]))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns in which the lights lie in the network input."""
        n = len(self.lights)
        if self.concat_type == "grid" and n % 2 == 0:
            grid = self.grid_map or Grid()
            return grid.y, grid.x
        return n, 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network input, all lights together."""
        rows, columns = self.grid
        return rows * self.image_height, columns * self.image_width

    @model_validator(mode="after")
    def _lights_fit(self) -> ClassifyData:
        if self.input_map is not None and len(self.input_map) not in (0, self.num_input):
            raise ValueError(f"input_map names {len(self.input_map)} lights, num_input says {self.num_input}")
        if self.input_map and sorted(self.input_map.values()) != list(range(len(self.input_map))):
            raise ValueError(f"input_map: expected the numbers 0 to {len(self.input_map) - 1}, each once")
        if self.input_map and self.grid[0] * self.grid[1] != len(self.lights):
            raise ValueError(f"grid_map has {self.grid[0] * self.grid[1]} places for {len(self.lights)} lights")
        return self
