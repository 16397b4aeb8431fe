"""Read one image from an untrusted file: bounded, one format allow-list, one clear reason when it fails."""

from __future__ import annotations

import io
import stat
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from noescape.imaging.header import HEAD_BYTES, SUFFIXES, in_words, kind_of, least_bytes, too_many_scans, webp_size
from noescape.imaging.quiet import quiet_reading, silence_native_libraries
from noescape.records import ImageError, UsageError

MAX_PIXELS = 2**28
MAX_FILE_BYTES = 2**31

RGB = npt.NDArray[np.uint8]
Raw = npt.NDArray[np.uint16]

silence_native_libraries()


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
    pixels are decoded; memory stays under about 16 bytes per pixel beside the file itself.
    Raises ImageError with one of the codes: unreadable, empty, not_an_image, misnamed, too_large, truncated,
    animated, unsupported, corrupt, memory. Safe to call from several threads.
    """
    if not 1 <= white_level <= 65535:
        raise UsageError(f"white_level must be in 1..65535, got {white_level}")
    data, form = _read(path, max_pixels)
    try:
        with quiet_reading():
            return _decode(path, data, form, max_pixels, white_level)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(path, "memory", "not enough memory to decode it") from None
    except Exception as error:
        # Pillow plugins raise many kinds (OSError, SyntaxError, struct.error, …) on a broken file; each means one row.
        text = " ".join(str(error).split())[:200]
        code = "truncated" if "truncat" in text.lower() or "not enough image data" in text else "corrupt"
        raise ImageError(path, code, f"cannot be decoded ({text or type(error).__name__})") from None


def _read(path: Path, max_pixels: int) -> tuple[bytes, str]:
    """The bytes of a file that starts as an image of the kind its name says, and that kind."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(path, "unreadable", "is not a regular file")
        limit = min(MAX_FILE_BYTES, 32 * max_pixels + (1 << 24))  # uncompressed, four channels of 64 bits
        if status.st_size > limit:
            raise ImageError(path, "too_large", f"the file has {status.st_size} bytes, at most {limit} are read")
        with path.open("rb") as f:
            head = f.read(HEAD_BYTES)
            if not head:
                raise ImageError(path, "empty", "the file is empty")
            form = _checked_kind(path, head)
            return head + f.read(max(0, status.st_size - len(head))), form
    except (OSError, ValueError) as error:  # ValueError: NUL in a name
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(path, "unreadable", f"cannot be read ({reason})") from None
    except MemoryError:
        raise ImageError(path, "memory", "not enough memory to read it") from None


def _checked_kind(path: Path, head: bytes) -> str:
    form = kind_of(head)
    if form is None:
        raise ImageError(path, "not_an_image", f"is not a PNG, JPEG, BMP, TIFF or WebP image ({in_words(head)})")
    if SUFFIXES.get(path.suffix.lower(), form) != form:
        raise ImageError(path, "misnamed", f"is named {path.suffix} but holds {form} data; rename or convert it")
    return form


def _decode(path: Path, data: bytes, form: str, max_pixels: int, white_level: int) -> Picture:
    announced = webp_size(data) if form == "WEBP" else None
    if announced:
        _refuse_huge(path, announced, max_pixels)
    try:
        image = Image.open(io.BytesIO(data), formats=(form,))
    except (UnidentifiedImageError, SyntaxError):
        raise ImageError(path, "corrupt", f"starts as {form} but its header cannot be read") from None
    with image:
        _refuse_huge(path, image.size, max_pixels)
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise ImageError(path, "animated", "holds several frames or pages; save one image per file")
        bits = _bits(image, form)
        _refuse_hollow(path, image, form, data, bits)
        if image.mode in ("F", "I") or bits > 16:
            raise ImageError(path, "unsupported", f"holds {image.mode} pixels of {bits} bits; save it with 8 or 16")
        return _decode_16(path, image, data, white_level) if bits == 16 else _decode_8(image)


def _decode_8(image: Image.Image) -> Picture:
    mode = image.mode
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    rgb = np.asarray(image if mode == "RGB" else image.convert("RGB"), dtype=np.uint8)
    return Picture(rgb=np.ascontiguousarray(rgb), bits=8, mode=mode, peak=int(rgb.max()))


def _refuse_huge(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(path, "corrupt", f"says it is {width}x{height} pixels")
    if width * height > max_pixels:
        raise ImageError(path, "too_large", f"{width}x{height} pixels, the limit is {max_pixels} (--max-pixels)")


def _bits(image: Image.Image, form: str) -> int:
    """Bits per channel as stored: 8 (or fewer), 16, or what a TIFF says."""
    if form == "TIFF":
        per_sample = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        most = int(max(np.atleast_1d(per_sample)))
        return 16 if 8 < most <= 16 else max(8, most)
    return 16 if image.mode.startswith("I;16") or (form == "PNG" and ";16" in _raw_mode(image)) else 8


def _raw_mode(image: Image.Image) -> str:
    """How Pillow names the stored layout of pixels ("RGB;16B"), or nothing where it has no such name."""
    tile = getattr(image, "tile", None)
    return str(tile[0].args) if tile else ""


def _refuse_hollow(path: Path, image: Image.Image, form: str, data: bytes, bits: int) -> None:
    """Refuse files too small for the pixels they announce, before memory is taken for those pixels."""
    width, height = image.size
    tile = getattr(image, "tile", None)
    raw = form in ("BMP", "TIFF") and bool(tile) and tile[0].codec_name == "raw"  # type: ignore[index]
    per_pixel = 1 if image.mode in ("1", "L", "P") else bits * len(image.getbands())
    if form == "BMP":
        per_pixel = 1 if image.mode in ("1", "L", "P") else 16
    least = least_bytes(form, width * height, per_pixel, raw=raw, data=data)
    if len(data) < least:
        size = f"{width}x{height}"
        raise ImageError(path, "truncated", f"has {len(data)} bytes, too few for the {size} pixels it announces")
    if form == "JPEG" and too_many_scans(data):
        raise ImageError(path, "corrupt", "has far more scans than any camera writes")


def _decode_16(path: Path, image: Image.Image, data: bytes, white_level: int) -> Picture:
    """16-bit files keep their 16 bits until they are scaled."""
    mode = image.mode
    low_byte_mode = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}.get(_raw_mode(image))
    if mode.startswith("I"):
        raw = _grey_16(image)
    elif image.format == "PNG" and low_byte_mode:
        raw = _colour_16(image, data, low_byte_mode)
    else:
        raw = _by_opencv(path, image, data)
    scaled = _turn(_to_8_bits(white_level)[raw], image.getexif().get(0x0112, 1))
    if scaled.ndim == 2:
        scaled = np.repeat(scaled[:, :, None], 3, axis=2)
    return Picture(rgb=np.ascontiguousarray(scaled), bits=16, mode=mode, peak=int(raw.max()))


def _grey_16(image: Image.Image) -> Raw:
    inverted = image.format == "TIFF" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
    image.load()
    raw = np.asarray(image).astype(np.uint16, copy=False)
    return 65535 - raw if inverted else raw


def _colour_16(image: Image.Image, data: bytes, low_byte_mode: str) -> Raw:
    """Pillow has no 16-bit colour: one pass gives the high bytes; read as little-endian, another gives the low ones."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as second:
        second.tile = [tile._replace(args=low_byte_mode) for tile in second.tile]
        low = np.asarray(second)[:, :, :3]
    image.load()
    return np.asarray(np.asarray(image)[:, :, :3].astype(np.uint16) << 8 | low, dtype=np.uint16)


def _by_opencv(path: Path, image: Image.Image, data: bytes) -> Raw:
    image.load()  # Pillow judges first whether the file is whole
    got = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if got is None or got.dtype != np.uint16 or got.shape[1::-1] != image.size:
        raise ImageError(path, "unsupported", f"holds 16-bit {image.mode} pixels in a form that cannot be decoded")
    return np.asarray(got if got.ndim == 2 else got[:, :, 2::-1], dtype=np.uint16)


def _to_8_bits(white_level: int) -> RGB:
    """The 8-bit value of each 16-bit one, rounded; a table costs a sixth of the memory of arithmetic on pixels."""
    values = np.arange(65536, dtype=np.int64)
    return np.clip((values * 255 + white_level // 2) // white_level, 0, 255).astype(np.uint8)


def _turn(array: RGB, exif_orientation: int) -> RGB:
    """Apply EXIF orientation 1-8 to an `[H, W]` or `[H, W, C]` array."""
    if exif_orientation in (2, 4, 5, 7):
        array = array[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(exif_orientation, 0)
    return np.rot90(array, turns)
