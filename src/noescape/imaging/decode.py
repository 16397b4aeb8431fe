"""Read one image from an untrusted file: bounded, one format allow-list, one clear reason when it fails."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from noescape.records import ImageError

MAX_PIXELS = 2**28
MAX_FILE_BYTES = 2**31
SUFFIXES = {
    ".png": ("PNG",),
    ".jpg": ("JPEG", "MPO"),
    ".jpeg": ("JPEG", "MPO"),
    ".bmp": ("BMP",),
    ".tif": ("TIFF",),
    ".tiff": ("TIFF",),
    ".webp": ("WEBP",),
}
FORMATS = ("PNG", "JPEG", "MPO", "BMP", "TIFF", "WEBP")
DEFLATE_MAX_RATIO = 1032  # zlib's limit, so a PNG header that promises more pixels than this is lying

RGB = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A decoded image: `rgb` uint8 `[H, W, 3]`, upright; `bits` per channel in the file (8 or 16); `mode` as stored.

    `peak` is the largest raw value seen, before scaling to 8 bits (it tells a 12-bit camera in a 16-bit file).
    """

    rgb: RGB
    bits: int
    mode: str
    peak: int

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.rgb.shape[1])


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image (by its suffix; hidden files are not)."""
    return Path(name).suffix.lower() in SUFFIXES and not Path(name).name.startswith(".")


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS, white_level: int = 65535) -> Picture:
    """Decode the image at `path` to upright RGB, 8 bits per channel.

    16-bit values are scaled by 255 / `white_level` and clipped (4095 for a 12-bit camera). Alpha is dropped,
    palettes and CMYK are converted, EXIF rotation is applied. `max_pixels` is checked on the header, before
    pixels are decoded. Raises ImageError with one of the codes: unreadable, empty, not_an_image, misnamed,
    too_large, truncated, animated, unsupported, corrupt, memory.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise ImageError(path, "empty", "the file is empty")
        if size > MAX_FILE_BYTES:
            raise ImageError(path, "too_large", f"the file has {size} bytes, at most {MAX_FILE_BYTES} are read")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(path, "unreadable", f"cannot be read ({error.strerror or error})") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EXIF and bomb warnings: the checks below decide
            return _decode(path, data, max_pixels, white_level)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(path, "memory", "not enough memory to decode it") from None
    except Exception as error:
        # Pillow plugins raise many kinds (OSError, SyntaxError, struct.error, …) on a broken file; each means one row.
        text = " ".join(str(error).split())[:200]
        code = "truncated" if "truncat" in text or "not enough image data" in text else "corrupt"
        raise ImageError(path, code, f"cannot be decoded ({text or type(error).__name__})") from None


def _decode(path: Path, data: bytes, max_pixels: int, white_level: int) -> Picture:
    try:
        image = _open(data)
    except (UnidentifiedImageError, SyntaxError):
        raise ImageError(path, "not_an_image", f"is not a PNG, JPEG, BMP, TIFF or WebP image ({_kind(data)})") from None
    with image:
        form, (width, height) = image.format or "?", image.size
        allowed = SUFFIXES.get(path.suffix.lower())
        if allowed and form not in allowed:
            raise ImageError(path, "misnamed", f"is named {path.suffix} but holds {form} data; rename or convert it")
        if width < 1 or height < 1:
            raise ImageError(path, "corrupt", f"says it is {width}x{height} pixels")
        if width * height > max_pixels:
            raise ImageError(path, "too_large", f"{width}x{height} pixels, the limit is {max_pixels} (--max-pixels)")
        if getattr(image, "n_frames", 1) > 1 and form != "MPO":
            raise ImageError(path, "animated", f"holds {getattr(image, 'n_frames', 0)} frames; save one image per file")
        bits = _bits(image, data)
        _refuse_hollow(path, image, form, len(data), bits)
        if bits == 16:
            return _decode_16(path, image, data, white_level)
        if image.mode in ("F", "I"):
            raise ImageError(path, "unsupported", f"holds {image.mode} (32-bit) pixels; save it with 8 or 16 bits")
        mode = image.mode
        image.load()
        upright = ImageOps.exif_transpose(image)
        rgb = np.asarray(upright.convert("RGB"), dtype=np.uint8)
        return Picture(rgb=np.ascontiguousarray(rgb), bits=8, mode=mode, peak=int(rgb.max()))


def _open(data: bytes) -> Image.Image:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit is checked instead, per call
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _kind(data: bytes) -> str:
    if data.lstrip()[:1] in (b"<", b"{", b"#") or data[:64].isascii():
        return "it looks like text"
    return f"it starts with {data[:4].hex(' ')}"


def _bits(image: Image.Image, data: bytes) -> int:
    if image.mode.startswith("I;16"):
        return 16
    if image.format == "PNG":
        return 16 if data[24:25] == b"\x10" else 8
    if image.format == "TIFF":
        per_sample = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        return 16 if max(np.atleast_1d(per_sample)) == 16 else 8
    return 8


def _refuse_hollow(path: Path, image: Image.Image, form: str, size: int, bits: int) -> None:
    """Refuse files too small for the pixels they announce, before memory is taken for those pixels."""
    width, height = image.size
    least = 0
    if form == "PNG":
        depth = 1 if image.mode in ("1", "P", "L") else bits // 8 * len(image.getbands())
        least = height * (width * depth // (8 if image.mode in ("1", "P", "L") else 1)) // DEFLATE_MAX_RATIO
    elif form == "BMP" and image.tile and image.tile[0][0] == "raw":  # type: ignore[attr-defined]
        least = height * width // 8
    if size < least:
        raise ImageError(path, "truncated", f"has {size} bytes, too few for the {width}x{height} pixels it announces")


def _decode_16(path: Path, image: Image.Image, data: bytes, white_level: int) -> Picture:
    """16-bit files keep their 16 bits until they are scaled: Pillow for grey, OpenCV for colour."""
    mode = image.mode
    image.load()
    turn = image.getexif().get(0x0112, 1)
    if mode.startswith("I"):
        raw = np.asarray(image).astype(np.int64)
        raw = np.repeat(raw[:, :, None], 3, axis=2)
    else:
        got = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if got is None or got.dtype != np.uint16:
            raise ImageError(path, "unsupported", f"holds 16-bit {mode} pixels in a form that cannot be decoded")
        if got.ndim == 2:
            got = np.repeat(got[:, :, None], 3, axis=2)
        raw = got[:, :, 2::-1].astype(np.int64)
    raw = _turn(raw, turn)
    scaled = np.clip((raw * 255 + white_level // 2) // white_level, 0, 255).astype(np.uint8)
    return Picture(rgb=np.ascontiguousarray(scaled), bits=16, mode=mode, peak=int(raw.max()))


def _turn(array: npt.NDArray[np.int64], exif_orientation: int) -> npt.NDArray[np.int64]:
    """Apply EXIF orientation 1-8 to an `[H, W, C]` array."""
    if exif_orientation in (2, 4, 5, 7):
        array = array[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(exif_orientation, 0)
    return np.rot90(array, turns)
