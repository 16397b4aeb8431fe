"""One image to be generated, as a row of `testcase.jsonl`: which clean image, where the defect, of which type."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from noescape.files import dump_row, write_text
from noescape.records import DataError


def _name(value: Any) -> str:
    """Text, not empty. Names of files need not be text of any encoding, which pydantic's own strings must."""
    if not isinstance(value, str) or not value:
        raise ValueError("expected text that is not empty")
    return value


def _key(value: Any) -> str:
    texture, plus, kind = _name(value).partition("+")
    if not (texture and plus and kind):
        raise ValueError('expected "TEXTURE+TYPE"')
    return value  # type: ignore[no-any-return]


if TYPE_CHECKING:
    Name: TypeAlias = str
    Key: TypeAlias = str
else:
    Name = Annotated[Any, AfterValidator(_name)]
    Key = Annotated[Any, AfterValidator(_key)]
Whole = Annotated[int, Field(ge=0)]
MAX_LISTED = 20
FILES = ("image_filename", "mask_filename", "submask_filename")


class TestCase(BaseModel):
    """What is asked for, not yet how it came out.

    `image_filename` is the clean image, `mask_filename` the mask (0/255) of where the defect comes, `anomaly_type` the
    key "TEXTURE+TYPE". In memory both names are usable as they are (see `image`, `mask`); in a file, relative ones are
    relative to the folder of that file, or else to the folder the program runs in. `seed` decides everything random
    about this image. `guidance`, `num_steps` and the crop's values speak to the diffusion generator; `crop_ratio` is
    the side of the square crop over the larger side of the mask's box (None: the crop grid). Up to
    `iteration_generation_max_instance` instances of one image are drawn one after the other (1: all at once).
    `shift_values` ("x,y" in pixels), `rotation_angle` (degrees) and `morph_operation` are still to be done to the mask
    before it is used; placement has done all of its moving and leaves them out. `submask_filename` is the mask of the
    example that was placed (None where a rule made the mask), `index` the number of the row.
    Keys of other programs are kept and written again; one that nearly reads like a key of ours is refused.
    """

    __test__ = False  # no test class, whatever pytest thinks of the name
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    image_filename: Name
    mask_filename: Name
    anomaly_type: Key
    guidance: Annotated[float, Field(ge=0)] = 7.0
    num_steps: Annotated[int, Field(ge=1)] = 35
    seed: Whole = 0
    num_generated_images: Annotated[int, Field(ge=1)] = 1
    crop_and_paste: bool = True
    crop_ratio: Annotated[float, Field(ge=1)] | None = 2.0
    crop_grid_X: Annotated[int, Field(ge=1)] | Literal["none"] = "none"  # noqa: N815 - the key in the file
    crop_grid_Y: Annotated[int, Field(ge=1)] | Literal["none"] = "none"  # noqa: N815
    poisson_blend: bool = False
    iteration_generation_max_instance: Annotated[int, Field(ge=1)] = 5
    shift_values: Annotated[str, Field(pattern=r"^\s*-?\d{1,6}\s*,\s*-?\d{1,6}\s*$")] | None = None
    rotation_angle: float | None = None
    morph_operation: Literal["dilate", "erode", "open", "close", "none"] | None = None
    submask_filename: Name | None = None
    index: Whole | None = None

    @field_validator("shift_values", mode="before")
    @classmethod
    def _pair_as_text(cls, value: Any) -> Any:
        return ",".join(str(v) for v in value) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _no_misspelt_key(self) -> TestCase:
        for key in self.model_extra or {}:
            near = difflib.get_close_matches(key, type(self).model_fields, 1, cutoff=0.85)
            if near:
                raise ValueError(f"unknown key {key!r}, did you mean {near[0]!r}?")
        return self

    @property
    def image(self) -> Path:
        """The clean image."""
        return Path(self.image_filename)

    @property
    def mask(self) -> Path:
        """The placed mask."""
        return Path(self.mask_filename)

    @property
    def shift(self) -> tuple[int, int]:
        """What `shift_values` asks for, in pixels to the right and down."""
        x, y = (self.shift_values or "0,0").split(",")
        return int(x), int(y)

    @property
    def texture(self) -> str:
        """What the defect is on."""
        return self.anomaly_type.partition("+")[0]

    @property
    def defect(self) -> str:
        """The type's own name."""
        return self.anomaly_type.partition("+")[2]


def read_testcases(path: Path) -> tuple[TestCase, ...]:
    """All rows, their file names resolved against the folder of `path`. Opens none of the files named.

    DataError lists every bad row at once, by line: no JSON, missing or misspelt keys, values out of range. A last line
    without its newline counts.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"{path}: expected a testcase.jsonl, which cannot be read ({reason})") from None
    cases, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = TestCase.model_validate(json.loads(line))
            cases.append(_resolved(case, path.parent))
        except ValidationError as error:
            problems += [f"line {number}: {_explain(problem)}" for problem in error.errors()]
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: not a row of JSON ({error})")
    if problems:
        more = [f"… and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
        listed = "\n".join(f"  - {line}" for line in [*problems[:MAX_LISTED], *more])
        raise DataError(f"{path} holds {len(problems)} problem(s); nothing was started:\n{listed}")
    if not cases:
        raise DataError(f"{path} holds no test case; `noescape defects place` writes one")
    return tuple(cases)


def write_testcases(path: Path, cases: Sequence[TestCase]) -> None:
    """Write all rows at once, atomically; file names become relative to the folder of `path`. Same rows, same bytes."""
    write_text(path, "".join(dump_row(_row(case, path.parent)) + "\n" for case in cases))


def _row(case: TestCase, folder: Path) -> dict[str, Any]:
    row = case.model_dump(exclude_none=True)
    for key in FILES:
        if key in row:
            row[key] = Path(os.path.relpath(row[key], folder)).as_posix()
    return row


def _resolved(case: TestCase, folder: Path) -> TestCase:
    values = {key: _find(value, folder) for key in FILES if (value := getattr(case, key)) is not None}
    return case.model_copy(update=values)


def _find(name: str, folder: Path) -> str:
    """Beside the file that names it; the public originals name files from where they run."""
    here = folder / name
    return name if not here.exists() and Path(name).exists() else str(here)


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    what = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"the key {where!r} is missing"
    return f"{where}: {what}, got {problem['input']!r}" if where else what
