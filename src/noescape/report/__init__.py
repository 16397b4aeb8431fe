"""Self-contained HTML that draws a run folder; computes no figure that the run does not hold."""

from noescape.report.inspection import write_inspection_report

__all__ = ["write_inspection_report"]
