"""Image files written byte by byte from their specifications, so that tests do not trust the decoder's own library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_COLOUR = {"grey": 0, "rgb": 2, "palette": 3, "la": 4, "rgba": 6}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_chunk(tag: bytes, body: bytes) -> bytes:
    """Length, tag, body, checksum."""
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def png_header(width: int, height: int, depth: int, colour: int, interlace: int = 0) -> bytes:
    """Magic and IHDR."""
    return PNG_MAGIC + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    samples: Samples, kind: str, *, depth: int = 8, interlaced: bool = False, palette: bytes = b"", exif: int = 0
) -> bytes:
    """PNG of `samples` `[H, W, C]` (uint8; uint16 with depth 16; 0/1 with depth 1)."""
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    lines = b"".join(_png_lines(samples[y::dy, x::dx], depth) for x, y, dx, dy in passes)
    out = png_header(width, height, depth, PNG_COLOUR[kind], int(interlaced))
    if palette:
        out += png_chunk(b"PLTE", palette)
    if exif:
        out += png_chunk(b"eXIf", exif_block(exif))
    return out + png_chunk(b"IDAT", zlib.compress(lines, 6)) + png_chunk(b"IEND", b"")


def _png_lines(part: Samples, depth: int) -> bytes:
    if part.size == 0:
        return b""
    if depth == 1:
        return b"".join(b"\0" + np.packbits(row[:, 0]).tobytes() for row in part)
    return b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in part)


def exif_block(orientation: int) -> bytes:
    """A little-endian TIFF structure that holds only the orientation."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with_exif(jpeg: bytes, orientation: int) -> bytes:
    """`jpeg` with an APP1 segment behind its start marker."""
    body = b"Exif\0\0" + exif_block(orientation)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def tiff(
    samples: Samples,
    photometric: int,
    *,
    order: str = "<",
    orientation: int = 0,
    palette: npt.NDArray[np.uint16] | None = None,
    bits: int = 0,
    announce: tuple[int, int] | None = None,
) -> bytes:
    """Uncompressed one-strip TIFF of `samples` `[H, W, C]`; `announce` lies about (width, height)."""
    height, width, channels = samples.shape
    bits = bits or samples.dtype.itemsize * 8
    if bits == 1:
        body = b"".join(np.packbits(row[:, 0]).tobytes() for row in samples)
    else:
        body = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    said_width, said_height = announce or (width, height)
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [said_width]),
        (257, 4, [said_height]),
        (258, 3, [bits] * channels),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [8]),
        (277, 3, [channels]),
        (278, 4, [said_height]),
        (279, 4, [len(body)]),
    ]
    if orientation:
        tags.append((274, 3, [orientation]))
    if palette is not None:
        tags.append((320, 3, palette.ravel().tolist()))
    if channels in (2, 4) and photometric < 3:
        tags.append((338, 3, [2]))
    return _tiff_file(order, body + b"\0" * (len(body) % 2), sorted(tags))


def _tiff_file(order: str, body: bytes, tags: list[tuple[int, int, list[int]]]) -> bytes:
    start = 8 + len(body)
    extra_at = start + 2 + 12 * len(tags) + 4
    entries = extra = b""
    for tag, kind, values in tags:
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            value, extra = struct.pack(order + "I", extra_at + len(extra)), extra + packed + b"\0" * (len(packed) % 2)
        else:
            value = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + value
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return head + body + struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0) + extra


def bmp(width: int, height: int, bits: int, rows: bytes, *, palette: bytes = b"", compression: int = 0) -> bytes:
    """BMP with a 40-byte header; a negative height means top-down rows."""
    offset = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 2835, 2835, 0, 0)
    return head + info + palette + rows


def bmp_rows(samples: Samples, *, bottom_up: bool = True) -> bytes:
    """Rows `[H, W, C]` padded to four bytes; colour must be BGR already."""
    rows = samples[::-1] if bottom_up else samples
    return b"".join(row.tobytes() + b"\0" * (-row.nbytes % 4) for row in rows)


def riff_webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP container of raw chunks."""
    body = b"WEBP" + b"".join(t + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for t, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(width: int, height: int) -> bytes:
    """The body of a VP8X chunk for an extended file of this size, with the animation flag."""
    return b"\x02\0\0\0" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
