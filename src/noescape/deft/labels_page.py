"""The page of suspected wrong labels: pictures beside what is claimed about them. One file, nothing loaded, escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from noescape.report.words import visible

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline';\
 base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Suspected wrong labels</title>
<style>
  :root { --paper: #eaedf0; --card: #fff; --ink: #14181c; --muted: #545a62; --line: #d3d8dd; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #14181c; --card: #1e2328; --ink: #eaedf0; --muted: #a0a8b0; --line: #353c44; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; padding: 20px clamp(10px, 3vw, 40px) 48px; background: var(--paper); color: var(--ink);
         font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
  h1 { font-size: 22px; margin: 0 0 4px; }
  p { margin: 0 0 12px; color: var(--muted); max-width: 75ch; }
  ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 12px;
       grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
  li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; min-width: 0; }
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin-bottom: 8px; }
  figure { margin: 0; min-width: 0; } figcaption { font-size: 12px; color: var(--muted); }
  img { display: block; width: 100%; height: auto; image-rendering: pixelated; }
  .none { aspect-ratio: 1; display: grid; place-items: center; border: 1px dashed var(--line); color: var(--muted); }
  b { font-size: 16px; } small { color: var(--muted); }
</style>
</head>
<body>
<h1>Suspected wrong labels: {{ rows | length }}</h1>
<p>Write what each picture really shows into <code>decision</code> of {{ csv }} (keep, PASS, a type, or drop), with your
name and the date, then run <code>noescape deft labels import</code>. A score over the threshold says defect.</p>
<ol>
{% for row in rows %}
<li>
<div class="pair">
{% for uri, name in ((row.input_uri, "input"), (row.golden_uri, "golden")) %}
<figure>{% if uri %}<img src="{{ uri }}" alt="{{ name }} of {{ row.image }}">{% else %}\
<div class="none">no picture</div>{% endif %}<figcaption>{{ name }}</figcaption></figure>
{% endfor %}
</div>
<b>{{ row.label }}</b> · score {{ "%.4g" | format(row.siamese_score) }} · {{ row.verdict }}<br>
{{ row.reason }}<br><small>{{ row.image }}</small>
</li>
{% endfor %}
</ol>
</body>
</html>
"""


def labels_page(rows: Sequence[dict[str, Any]], *, csv: str) -> str:
    """The page for rows with image, label, siamese_score, verdict, reason, input_uri, golden_uri."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_plain
    )
    return environment.from_string(_PAGE).render(rows=rows, csv=csv)


def _plain(value: object) -> object:
    """Spell out disguising characters in every text."""
    return visible(value) if type(value) is str else value
