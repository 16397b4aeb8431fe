"""`max_images`: that many crops are kept of all, evenly over their names, and nothing of the others is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.board.crop.thin import kept, remove_others, wanted_images
from noescape.records import UsageError

NAMES = st.lists(st.text("abc/0", min_size=1), unique=True, max_size=60)


@given(NAMES, st.integers(1, 70))
def test_as_many_as_asked_in_their_order_and_evenly(names: list[str], most: int) -> None:
    rows = [{"image": name} for name in names]
    keep = kept(rows, most)
    assert len(keep) == min(most, len(rows)) and [r for r in rows if r in keep] == keep
    places = [sorted(names).index(row["image"]) for row in keep]
    gaps = {b - a for a, b in zip(sorted(places), sorted(places)[1:], strict=False)}
    assert not gaps or max(gaps) - min(gaps) <= 1, "no corner of the board is thinned more than another"
    assert kept(rows, None) == rows and kept(rows[::-1], most) == keep[::-1], "the order does not matter"


def test_images_masks_and_empty_folders_of_the_others_go(tmp_path: Path) -> None:
    rows = [{"image": f"M/x{c}_y0/normal_img/{n}.png", "cad_mask": f"M/x{c}_y0/cad_mask/{n}_cad_mask.png"}
            for c in range(3) for n in range(2)]  # fmt: skip
    for row in rows:
        for path in row.values():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("x")
    keep = kept(rows, 2)
    remove_others(tmp_path, rows, keep)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {path for row in keep for path in row.values()} and len(left) == 4
    assert all(any(p.iterdir()) for p in tmp_path.rglob("*") if p.is_dir())


@pytest.mark.parametrize("text", ["0", "-1", "all", "1.5", "٣", "9999999999"])
def test_another_number_is_refused_by_the_knobs_name(text: str) -> None:
    with pytest.raises(UsageError, match="max_images"):
        wanted_images(text)
    assert wanted_images("") is None and wanted_images(None) is None and wanted_images("7") == 7
