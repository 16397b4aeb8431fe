"""The promise of tests/test_imaging_mutants.py, over thousands of files and several seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

import mutants
from test_imaging_mutants import check_mutants

pytestmark = pytest.mark.torture

PER_FORM = 2000


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("form", mutants.FORMS)
def test_thousands_of_mutants_cost_one_row_each(form: str, seed: int, tmp_path: Path) -> None:
    """2,000 mutants of each format and seed."""
    check_mutants(form, seed, PER_FORM, tmp_path)
