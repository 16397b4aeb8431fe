"""Small files that announce far more than they hold: bombs over the limit of pixels, hollow ones just under it."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from hostile import Refused, encoded, picture
from rawformats import bmp, png_chunk, png_header, riff_webp, tiff, webp_canvas


def bombs() -> list[Refused]:
    """Small files that announce more than the default limit of pixels, or unpack to endless metadata."""
    line = png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 27)))
    huge = struct.pack(">HH", 65500, 65500)
    jpeg = encoded(picture(0), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    tiny = np.zeros((1, 1, 1), np.uint8)
    lossless = struct.pack("<BI", 0x2F, 16383 | (16383 << 14))
    wide = riff_webp((b"VP8X", webp_canvas(1 << 24, 200)), (b"ANIM", bytes(6)))
    edge = riff_webp((b"VP8X", webp_canvas(1 << 15, 1 << 16)), (b"VP8L", lossless))
    over, broken = ("too_large",), ("corrupt", "truncated")
    return [
        Refused(name="huge.png", data=png_header(50000, 50000, 8, 2) + line, codes=over),
        Refused(name="extreme.png", data=png_header(2**31 - 1, 2**31 - 1, 16, 6) + line, codes=over),
        Refused(name="text.png", data=png_header(8, 8, 8, 2) + text + line, codes=broken),
        Refused(name="huge.jpg", data=jpeg[:at] + huge + jpeg[at + 4 :], codes=over),
        Refused(name="huge.bmp", data=bmp(60000, 60000, 24, bytes(64)), codes=over),
        Refused(name="huge.tif", data=tiff(tiny, 1, announce=(70000, 70000)), codes=over),
        Refused(name="huge.webp", data=wide, codes=over),
        Refused(name="edge.webp", data=edge, codes=over),
    ]


def hollow() -> list[Refused]:
    """Small files that announce pixels just under the default limit but cannot hold them."""
    line = png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    size = struct.pack(">HH", 16000, 16000)
    jpeg = encoded(picture(0), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    tiny = np.zeros((1, 1, 1), np.uint8)
    cut = ("truncated",)
    return [
        Refused(name="hollow.png", data=png_header(16000, 16000, 8, 2) + line, codes=cut),
        Refused(name="hollow16.png", data=png_header(16000, 16000, 16, 6) + line, codes=cut),
        Refused(name="hollow.jpg", data=jpeg[:at] + size + jpeg[at + 4 :], codes=cut),
        Refused(name="hollow.bmp", data=bmp(16000, 16000, 24, bytes(64)), codes=cut),
        Refused(name="hollow.tif", data=tiff(tiny, 1, announce=(16000, 16000)), codes=cut),
        Refused(name="hollow16.tif", data=tiff(np.zeros((1, 1, 3), np.uint16), 2, announce=(16000, 16000)), codes=cut),
    ]
