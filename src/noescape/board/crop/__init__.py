"""Rendered frames into crops per part, and into pairs of golden and defect."""
