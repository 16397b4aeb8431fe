"""One HTML file out of templates: everything inline, every name escaped, no script but ours may run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from noescape.report.words import visible

_HERE = Path(__file__).parent
# In order of use; all share one function scope, so that nothing of ours is global on the page.
_SCRIPTS = ("exact", "judge", "draw", "histogram", "curves", "gallery", "viewer", "main")


def render_page(template: str, context: Mapping[str, Any], data: object) -> str:
    """Render `template` with `context`; `data` becomes the page's JSON block, and `script`, `style` are inlined."""
    script = _script()
    text: str = (
        _environment()
        .get_template(template)
        .render(
            **context,
            data_json=embed_json(data),
            script=Markup(script),  # noqa: S704  our own file; names from outside only ever reach the JSON block
            style=Markup((_HERE / "inspection.css").read_text("utf-8")),  # noqa: S704  our own file
            csp=content_policy(script),
        )
    )
    return text


def render_still(template: str, context: Mapping[str, Any]) -> str:
    """Render a page without any script; only data: images and its own styles may load."""
    csp = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return _environment().get_template(template).render(**context, csp=csp)


def embed_json(value: object) -> Markup:
    """`value` as JSON that is safe inside a script element: pure ASCII without `<`, `>` or `&`."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # These characters occur only inside JSON strings, where \u escapes mean the same. U+2028/9 are non-ASCII.
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704  no character is left that HTML could read as markup


def content_policy(script: str) -> str:
    """The policy that lets exactly `script`, inline styles and data: images in, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def _script() -> str:
    parts = [(_HERE / f"{name}.js").read_text("utf-8") for name in _SCRIPTS]
    return "\n(() => {\n'use strict';\n" + "\n".join(parts) + "\n})();\n"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )


def _plain(value: object) -> object:
    """Spell out disguising characters in every text that a template prints (Markup is ours and stays)."""
    return visible(value) if type(value) is str else value
