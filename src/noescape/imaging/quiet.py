"""While an image is read: no warnings, no words from native libraries, and not Pillow's own size limit."""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import PIL
from PIL import Image

_lock = threading.Lock()
_readers = 0
_before: tuple[ExitStack, int | None] | None = None


@contextmanager
def quiet_reading() -> Iterator[None]:
    """Hold back warnings on odd metadata, OpenCV's log, and Pillow's limit, which is another than ours.

    All are global to the process: the first reader sets them, the last one to leave puts them back, so that
    readers on several threads do not undo each other.
    """
    global _readers, _before
    with _lock:
        if _readers == 0:
            caught = ExitStack()
            caught.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            caught.callback(cv2.utils.logging.setLogLevel, cv2.utils.logging.setLogLevel(0))
            _before = (caught, Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = None
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0 and _before is not None:
                caught, Image.MAX_IMAGE_PIXELS = _before
                _before = None
                caught.close()


def silence_native_libraries() -> None:
    """Keep libtiff and Pillow's log off the terminal, where a damaged file prints a line per row of pixels.

    The failures still arrive as exceptions. Works where Pillow carries its own libtiff beside it (Linux and macOS
    wheels); elsewhere libtiff keeps talking.
    """
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    home = Path(PIL.__file__).parent
    for folder in (home.parent / "pillow.libs", home / ".dylibs"):
        for library in folder.glob("libtiff*"):
            try:
                handler = ctypes.CDLL(str(library)).TIFFSetErrorHandler
            except (OSError, AttributeError):
                continue
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
