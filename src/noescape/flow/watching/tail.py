"""The end of a file, however long the file is."""

from __future__ import annotations

from pathlib import Path

_PIECE = 1 << 16


def last_lines(path: Path, count: int, *, limit: int = 8 << 20) -> tuple[list[str], bool]:
    """The last `count` lines of a text file, and whether more lies before them; [] if there is no file.

    Reads backwards, `limit` bytes at most: a single line longer than that comes without its beginning. Bytes that are
    no text become replacement marks. A torn last line (still being written) counts as a line.
    """
    if count <= 0:
        return [], False
    try:
        with path.open("rb") as f:
            end = start = f.seek(0, 2)
            pieces: list[bytes] = []
            newlines = 0
            while start > 0 and newlines <= count and end - start < limit:
                step = min(_PIECE, start, limit - (end - start))
                start -= step
                f.seek(start)
                piece = f.read(step)
                newlines += piece.count(b"\n")
                pieces.append(piece)
    except (FileNotFoundError, NotADirectoryError):
        return [], False
    lines = b"".join(reversed(pieces)).split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    more = start > 0 or len(lines) > count
    return [line.decode("utf-8", "replace") for line in lines[-count:]], more
