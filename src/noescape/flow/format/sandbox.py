"""Renders one template in a process of its own, so that a hostile loop can neither hang nor fill the caller.

Run as `python -P -m noescape.flow.format.sandbox`: one JSON request on stdin, one JSON answer on stdout; only Jinja is
loaded.
"""

from __future__ import annotations

import datetime
import json
import math
import resource
import sys
from typing import Any

CPU_SECONDS = 2
MEMORY = 512 << 20


def encode(value: Any) -> Any:
    """A YAML value as JSON that keeps its type: maps with any keys, dates, sets, bytes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {"map": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [encode(v) for v in value]}
    if isinstance(value, set):
        return {"set": [encode(v) for v in value]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, datetime.datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"date": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be a variable")


def decode(value: Any) -> Any:
    """The inverse of `encode`."""
    if not isinstance(value, dict):
        return value
    (kind, held), *_ = value.items()
    if kind == "map":
        return {decode(k): decode(v) for k, v in held}
    if kind == "bytes":
        return bytes.fromhex(held)
    if kind == "datetime":
        return datetime.datetime.fromisoformat(held)
    if kind == "date":
        return datetime.date.fromisoformat(held)
    return {"list": list, "tuple": tuple, "set": set}[kind](decode(v) for v in held)


def render(text: str, data: dict[str, Any], marked: str | None, most: int) -> dict[str, Any]:
    """Render `text` strictly, to at most `most` characters.

    The answer has either `text` (and `marked`, the marked twin, when it renders too) or
    `error`; with undefined variables also `undefined` and the `text` with `<name>` in their places.
    """
    import jinja2
    import jinja2.sandbox

    answer: dict[str, Any] = {}
    strict = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        answer["text"] = _bounded(strict.from_string(text).render(dict(data)), most)
        if marked is not None:
            answer["marked"] = _twin(strict, marked, data)
    except jinja2.UndefinedError as error:
        answer["error"] = {"kind": "undefined", "message": str(error), "line": _line(error)}
        _collect(answer, text, data, marked, most)
    except jinja2.TemplateError as error:
        answer["error"] = {"kind": "syntax", "message": str(error), "line": getattr(error, "lineno", 0) or _line(error)}
    except MemoryError:
        answer = {"error": {"kind": "memory", "message": "", "line": None}}
    except Exception as error:
        message = f"{type(error).__name__}: {error}"[:500]
        answer["error"] = {"kind": "other", "message": message, "line": _line(error)}
    return answer


def _twin(environment: Any, marked: str, data: dict[str, Any]) -> str | None:
    try:
        return str(environment.from_string(marked).render(dict(data)))
    except Exception:
        return None


def _bounded(text: str, most: int) -> str:
    if len(text) > most:
        raise MemoryError
    return text


def _line(error: BaseException) -> int | None:
    found, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == "<template>":
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def _collect(answer: dict[str, Any], text: str, data: dict[str, Any], marked: str | None, most: int) -> None:
    """Render again with variables that note their names instead of stopping, so that all are told at once."""
    import jinja2.nodes
    import jinja2.sandbox

    met: dict[str, str] = {}
    environment = jinja2.sandbox.SandboxedEnvironment(undefined=_noting(met))
    try:
        answer["text"] = _bounded(environment.from_string(text).render(dict(data)), most)
    except Exception:
        answer["text"] = None
    if answer["text"] is not None and marked is not None:
        answer["marked"] = _twin(environment, marked, data)
    lines: dict[str, list[int]] = {}
    for node in environment.parse(text).find_all((jinja2.nodes.Name, jinja2.nodes.Getattr, jinja2.nodes.Getitem)):
        name = getattr(node, "name", None) or getattr(node, "attr", None)
        name = name if name is not None else getattr(getattr(node, "arg", None), "value", None)
        lines.setdefault(str(name), []).append(node.lineno)
    answer["undefined"] = [[name, message, sorted(set(lines.get(name, [])))] for name, message in met.items()]


def _noting(met: dict[str, str]) -> Any:
    import jinja2

    class Noted(jinja2.Undefined):
        """Notes its first use, then behaves like a text that says its own name."""

        __slots__ = ()

        def _use(self, *_: Any, **__: Any) -> Any:
            met.setdefault(str(self._undefined_name), self._undefined_message)
            return self

        def __getattr__(self, name: str) -> Any:
            if name[:2] == "__":
                raise AttributeError(name)
            return self._use()

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _use
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __pos__ = __neg__ = _use
        __call__ = __getitem__ = _use

        def __str__(self) -> str:
            self._use()
            return f"<{self._undefined_name}>"

        def __iter__(self) -> Any:
            self._use()
            return iter(())

        def __bool__(self) -> bool:
            self._use()
            return False

        def __len__(self) -> int:
            self._use()
            return 0

        def __eq__(self, other: object) -> bool:
            self._use()
            return False

        def __ne__(self, other: object) -> bool:
            self._use()
            return True

        def _no(self, *_: Any, **__: Any) -> Any:
            self._use()
            return False

        def _nought(self, *_: Any, **__: Any) -> Any:
            self._use()
            return 0

        __lt__ = __gt__ = __le__ = __ge__ = __contains__ = _no
        __int__ = _nought

        def __float__(self, *_: Any, **__: Any) -> Any:
            return float(self._nought())

        def __hash__(self) -> int:
            return id(type(self))

    return Noted


def main() -> int:
    """Answer the one request under limits of memory and CPU time that the parent cannot be made to forget."""
    import jinja2.sandbox  # noqa: F401 - before the limits, which are for the template

    request = json.load(sys.stdin.buffer)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + request["seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = render(request["text"], decode(request["data"]), request["marked"], request["most"])
    try:
        written = json.dumps(answer)
    except MemoryError:
        written = json.dumps({"error": {"kind": "memory", "message": "", "line": None}})
    sys.stdout.write(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
