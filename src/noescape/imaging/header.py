"""What an image file says of itself in its first bytes, read before any decoder may take memory for it."""

from __future__ import annotations

import struct

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
HEAD_BYTES = 64
MAX_SCANS = 500

# Pixels that one byte of a file can stand for at most. PNG: zlib's ratio, times 8 for one-bit pixels. JPEG: one bit
# per 8 x 8 block in the sparsest legal sampling. What needs arithmetic coding has no useful limit.
_DEFLATE_RATIO = 1032
_JPEG_PIXELS_PER_BYTE = 1024


def kind_of(head: bytes) -> str | None:
    """The format that the first bytes of a file announce: PNG, JPEG, BMP, TIFF, WEBP or None."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"BM") and len(head) > 18 and head[15:18] == b"\0\0\0":
        return "BMP"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return None


def in_words(head: bytes) -> str:
    """What a file that is no image seems to be."""
    if head and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return "it looks like text"
    return f"it starts with {head[:4].hex(' ')}"


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Width and height from a WebP header (None if it holds none): the decoder takes memory as soon as it opens."""
    tag = head[12:16]
    if tag == b"VP8X" and len(head) >= 30:
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    elif tag == b"VP8L" and len(head) >= 25:
        (word,) = struct.unpack_from("<I", head, 21)
        width, height = (word & 0x3FFF) + 1, (word >> 14 & 0x3FFF) + 1
    elif tag == b"VP8 " and len(head) >= 30:
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", head, 26))
    else:
        return None
    return width, height


def least_bytes(form: str, pixels: int, bits_per_pixel: int, *, raw: bool, data: bytes) -> int:
    """The fewest bytes in which a file of this form can hold that many pixels; 0 where its coding has no limit."""
    if raw:
        return pixels * bits_per_pixel // 8
    if form == "PNG":
        return pixels * bits_per_pixel // 8 // _DEFLATE_RATIO
    if form == "JPEG" and not _is_arithmetic(data):
        return pixels // _JPEG_PIXELS_PER_BYTE
    return 0


def too_many_scans(data: bytes) -> bool:
    """Whether a JPEG repeats its start-of-scan mark so often that decoding would take minutes for nothing."""
    return data.count(b"\xff\xda") > MAX_SCANS + len(data) // 65536  # chance hits in embedded profiles


def _is_arithmetic(data: bytes) -> bool:
    return any(bytes((0xFF, mark)) in data[:65536] for mark in (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
