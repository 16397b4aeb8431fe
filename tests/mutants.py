"""Seeded mutants of image files, and a worker process that reads them under a memory limit.

    python tests/mutants.py FORM SEED COUNT FOLDER

prints one JSON object: how often each outcome came, the slowest file, the memory that reading added, and what broke
the promise. Mutant number i of a form and seed is always the same bytes.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

import hostile
import liars
from noescape.imaging import read_picture
from noescape.records import ImageError

FORMS = {"png": (".png",), "jpeg": (".jpg", ".jpeg"), "bmp": (".bmp",), "tiff": (".tif", ".tiff"), "webp": (".webp",)}
MAX_PIXELS = 1 << 22  # a mutant may announce any size; reading takes memory for at most this many pixels
ADDRESS_SPACE = 512 << 20  # on top of what the libraries have mapped
RESIDENT = 160 << 20
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def parents(form: str, seed: int) -> list[bytes]:
    """The well-formed files (and the animated and multi-page ones) that mutants of this form come from."""
    cases = [*hostile.well_formed(seed), *(c for c in hostile.refused(seed) if c.codes == ("animated",))]
    found = [c.data for c in cases if Path(c.name).suffix.lower() in FORMS[form] and len(c.data) > 64]
    rgb = hostile.picture(seed)
    if form == "tiff":
        ways = ("jpeg", "group4", "tiff_lzw", "zstd", "lzma", "tiff_ccitt")
        found += [hostile.encoded(rgb, "TIFF", "1" if "4" in w or "cc" in w else "RGB", compression=w) for w in ways]
        deep = hostile.picture(seed).astype(np.uint16) * 257
        found += [cv2.imencode(".tif", deep, [cv2.IMWRITE_TIFF_COMPRESSION, way])[1].tobytes() for way in (5, 8, 32773)]
    if form == "webp":
        found.append(hostile.encoded(rgb, "WEBP", "RGBA", quality=80))
        found.append(hostile.encoded(rgb, "WEBP", exif=b"Exif\0\0" + b"A" * 40))
    return found


def mutant(parent: bytes, rng: np.random.Generator) -> bytes:
    """`parent` with one to four random wounds; most PNGs get their checksums mended."""
    data = bytearray(parent)
    for _ in range(int(rng.integers(1, 5))):
        _WOUNDS[int(rng.integers(len(_WOUNDS)))](data, rng)
        if len(data) < 4:
            break
    if data[:4] == b"\x89PNG" and rng.random() < 0.8:
        _mend_png(data)
    return bytes(data)


def _place(data: bytearray, rng: np.random.Generator, room: int = 1) -> int:
    """A position; half of them in the first 128 bytes, where headers are."""
    end = max(1, len(data) - room)
    start = 8 if end > 8 and rng.random() < 0.9 else 0  # behind the magic, which is checked first
    return int(rng.integers(start, min(end, 128) if rng.random() < 0.5 else end))


def _flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _overwrite_run(data: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(data, rng), int(rng.integers(1, 65))
    run = rng.bytes(size) if rng.random() < 0.5 else bytes([int(rng.choice([0, 255, 65]))]) * size
    data[at : at + size] = run[: len(data) - at]


def _splice(data: bytearray, rng: np.random.Generator) -> None:
    a, b = sorted((_place(data, rng), _place(data, rng)))
    piece = data[a : min(b, a + 4096)]
    at = _place(data, rng)
    if rng.random() < 0.5:
        data[at:at] = piece
    else:
        data[at : at + len(piece)] = piece


def _delete(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 200))]


def _truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(1, len(data) + 1)) :]


def _extreme_field(data: bytearray, rng: np.random.Generator) -> None:
    size = int(rng.choice([1, 2, 4]))
    value = int(rng.choice(EXTREMES)) & (256**size - 1)
    at = _place(data, rng, size)
    packed = struct.pack(("<" if rng.random() < 0.5 else ">") + {1: "B", 2: "H", 4: "I"}[size], value)
    data[at : at + size] = packed[: len(data) - at]


_WOUNDS = (_flip_bits, _overwrite_run, _splice, _delete, _truncate, _extreme_field, _extreme_field)


def _mend_png(data: bytearray) -> None:
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            return
        body = bytes(data[at + 4 : at + 8 + size])
        data[at + 8 + size : at + 12 + size] = struct.pack(">I", zlib.crc32(body))
        at += 12 + size


def mutants(form: str, seed: int, count: int) -> Iterator[bytes]:
    """`count` mutants, each from its own generator, so that number i can be made alone."""
    base = parents(form, seed)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield mutant(base[number % len(base)], rng)


def resident_bytes() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cap_memory(extra: int) -> None:
    """Let this process map at most `extra` bytes more than now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def read_all(files: Iterator[tuple[str, bytes]], folder: Path, max_pixels: int) -> dict[str, object]:
    """Read each file; what is neither a sane picture nor an ImageError goes to `broken`."""
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    slowest, before = (0.0, ""), resident_bytes()
    for name, data in files:
        path = folder / name
        path.write_bytes(data)
        print(name, file=sys.__stdout__, flush=True)  # the last one named is the one that hung or crashed
        start = time.monotonic()
        try:
            got = read_picture(path, max_pixels=max_pixels)
            outcomes["read"] += 1
            if got.rgb.dtype != np.uint8 or got.rgb.ndim != 3 or got.rgb.shape[2] != 3 or got.rgb.size > 3 * max_pixels:
                broken.append(f"{name}: {got.rgb.dtype} {got.rgb.shape}")
        except ImageError as error:
            outcomes[error.code] += 1
        except BaseException as error:
            broken.append(f"{name}: {type(error).__name__}: {error}")
        slowest = max(slowest, (time.monotonic() - start, name))
        path.unlink()
    grown = resident_bytes() - before
    return {"outcomes": outcomes, "broken": broken, "slowest": slowest, "grown_bytes": grown}


def main(form: str, seed: int, count: int, folder: Path) -> None:
    """Read the mutants of one form, or the `bombs` and `hollow` files with the default limit of pixels."""
    cv2.setNumThreads(1)
    read_all(iter([(c.name, c.data) for c in hostile.well_formed(seed)[:20]]), folder, MAX_PIXELS)  # load all libraries
    cap_memory(ADDRESS_SPACE)
    if form == "bombs":
        files = [(c.name, c.data) for c in [*liars.bombs(), *liars.hollow()]]
        result = read_all(iter(files), folder, 1 << 28)
    else:
        suffix = FORMS[form][0]
        result = read_all(((f"{i}{suffix}", m) for i, m in enumerate(mutants(form, seed, count))), folder, MAX_PIXELS)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
