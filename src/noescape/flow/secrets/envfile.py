"""A strict reader of `.env` files: what could mean two things is refused, with its line.

    # a comment
    export NAME=value          # `export` may stand or not; no blanks around `=`
    OTHER='taken as it is, $ and \\ too, over several lines if need be'
    THIRD="with \\n \\t \\" \\\\ for what cannot be written plainly, over several lines if need be"

Nothing is looked up or run: `$NAME` stays text. Messages hold line numbers and names, never what may be a value.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from noescape.records import UsageError

MAX_BYTES = 256 << 10
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)([ \t]*)=")
_PLAIN = re.compile(r"((?!#)[^\s'\"\\`]*)(?:[ \t]+#.*|[ \t]*)")
_QUOTED = {"'": re.compile(r"'([^']*)'"), '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)}
_REST = re.compile(r"[ \t]*(?:#.*)?")
_ESCAPE = re.compile(r"\\([nrt\\\"$`])")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def read_env_file(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables of `path`, and warnings about the file itself (others may read it).

    UsageError with all faulty lines at once. What cannot be read, is no plain file or is over 256 KiB is one, too.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path}: expected a plain file of NAME=value lines")
        if found.st_size > MAX_BYTES:
            raise UsageError(f"{path}: expected at most {MAX_BYTES} bytes of NAME=value lines, got {found.st_size}")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    values, problems = parse_env(data)
    if problems:
        raise UsageError("\n".join(f"{path}:{problem}" for problem in problems))
    mode = stat.S_IMODE(found.st_mode)
    open_to_others = bool(values) and bool(mode & 0o077)
    warning = f"{path}: others may read or change it (mode {mode:o}): chmod 600 {path}"
    return values, (warning,) if open_to_others else ()


def parse_env(data: bytes) -> tuple[dict[str, str], list[str]]:
    """Variables, and problems as `LINE: words`, of the bytes of a `.env` file. Linear in its length."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return {}, [f"{data.count(10, 0, error.start) + 1}: expected UTF-8 text"]
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    at, number = 0, 1
    while at < len(text):
        end = _line_end(text, at)
        name, value, problem = "", "", ""
        if not _REST.fullmatch(text, at, end):
            name, value, end, problem = _assignment(text, at, end)
        if not problem and name in lines:
            problem = f"{name} is set a second time (first in line {lines[name]}): keep one of the two"
        if not problem and "\0" in value:
            problem = f"{name} holds a NUL character, which no variable can"
        if problem:
            problems.append(f"{number}: {problem}")
        elif name:
            values[name], lines[name] = value, number
        number += text.count("\n", at, end + 1)
        at = end + 1
    return values, problems


def _assignment(text: str, at: int, end: int) -> tuple[str, str, int, str]:
    """Name, value, where the assignment's last line ends, and what is wrong with it."""
    match = _NAME.match(text, at, end)
    if not match:
        return "", "", end, "expected NAME=value (or the rest of a value that should stand in quotes)"
    name, start = match[1], match.end()
    blank_behind = text[start : start + 1] in (" ", "\t") and not _REST.fullmatch(text, start, end)
    if match[2] or blank_behind:
        return name, "", end, f"{name}: no blanks around '='"
    pattern = _QUOTED.get(text[start : start + 1])
    if pattern is None:
        plain = _PLAIN.fullmatch(text, start, end)
        if not plain:
            return (
                name,
                "",
                end,
                f"{name}: a value with blanks, quotes, '\\', '`' or a first '#' stands in single quotes",
            )
        return name, plain[1], end, ""
    found = pattern.match(text, start)
    if not found:
        return name, "", len(text), f"{name}: the quote that opens its value is never closed"
    end = _line_end(text, found.end())
    if not _REST.fullmatch(text, found.end(), end):
        return name, "", end, f"{name}: something stands behind the closing quote"
    value = found[1]
    if text[start] == '"':
        value = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), value)
    return name, value, end, ""


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
