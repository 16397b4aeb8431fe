"""What comes after an iteration and at the end of a loop: summaries, the report."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from noescape.deft.log import read_log
from noescape.deft.state import BASELINE
from noescape.deft.summary import iteration_summary
from noescape.files import write_text

if TYPE_CHECKING:
    from noescape.deft.loop_stages import Setting

RENDERER = "noescape.deft.report"  # render(workspace, run) -> Path


def write_summaries(at: Setting) -> None:
    """iterN_summary.md of every iteration that is whole; those that are there and right are left alone."""
    lines = read_log(at.run.log)
    for name, one in at.state.iterations.items():
        if name == BASELINE or one.status != "complete":
            continue
        path = at.run.folder / f"{name}_summary.md"
        text = iteration_summary(at.state, name, at.target, lines)
        if not path.is_file() or path.read_text("utf-8") != text:
            write_text(path, text)


def render_report(at: Setting) -> None:
    """DEFT_Loop_Report.html. A report that cannot be drawn costs itself, never the loop."""
    if importlib.util.find_spec(RENDERER) is None:
        at.on_line("no report: this installation has no renderer")
        return
    try:
        importlib.import_module(RENDERER).render(at.workspace.root, at.run.folder)
    except Exception as error:  # drawn again after the next iteration, and by `deft report`
        at.on_line(f"no report: {type(error).__name__}: {error}")
