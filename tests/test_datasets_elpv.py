"""Promises of the ELPV import: modules from row order, tested modules are new, uncertain cells stay apart."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from dataset_maker import put
from noescape.datasets import elpv, import_elpv, read_mvtec
from noescape.datasets.elpv_modules import module_of_cells, segment
from noescape.records import DataError, UsageError

RUNS = [("mono", 60), ("poly", 300), ("mono", 180), ("poly", 360), ("mono", 714), ("poly", 530)]
RUNS += [("mono", 72), ("poly", 180), ("mono", 48), ("poly", 180)]
MONO, POLY = [60] * 5 + [54] + [60] * 6, [60] * 2 + [50] + [60] * 6


def _lengths() -> list[int]:
    out: list[int] = []
    for _, n in RUNS:
        out += {714: MONO, 530: POLY, 72: [72], 48: [48]}.get(n, [60] * (n // 60))
    return out


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the package's data: same rows, tiny cells, each module with a look of its own."""
    data = tmp_path_factory.mktemp("elpv")
    types = [kind for kind, n in RUNS for _ in range(n)]
    modules = [m for m, n in enumerate(_lengths()) for _ in range(n)]
    rng = np.random.default_rng(0)
    looks = rng.integers(60, 200, (len(_lengths()), 6, 6))
    lines = []
    for i, (kind, module) in enumerate(zip(types, modules, strict=True)):
        name = f"images/cell{i + 1:04d}.png"
        pixels = np.clip(np.kron(looks[module], np.ones((4, 4))) + rng.normal(0, 20, (24, 24)), 0, 255)
        put(data / name, pixels.astype(np.uint8))
        probability = (0.0, 0.0, 0.0, 1.0, 0.3333333333333333, 0.0, 0.6666666666666666)[i % 7]
        lines.append(f"{name}  {probability}   {kind}")
    (data / "labels.csv").write_text("\n".join(lines) + "\n")
    return data


def test_the_cheapest_cut_is_found_as_by_trying_all() -> None:
    rng = np.random.default_rng(1)
    for trial in range(30):
        lengths = [int(v) for v in rng.choice([3, 4, 6], 4)]
        x = np.concatenate([rng.normal(rng.normal(0, 2, 3), 1, (n, 3)) for n in lengths])
        if trial % 2:
            x = rng.normal(size=x.shape)

        def cost(cut: tuple[int, ...], x: np.ndarray = x) -> float:
            ends = list(itertools.accumulate(cut, initial=0))
            return sum(float(((x[a:b] - x[a:b].mean(0)) ** 2).sum()) for a, b in itertools.pairwise(ends))

        cuts = [c for c in itertools.product((3, 4, 6), repeat=4) if sum(c) == len(x)]
        assert cost(tuple(segment(x, 4, (3, 4, 6)))) == pytest.approx(min(map(cost, cuts)))


def test_rows_that_cannot_be_modules_are_an_error() -> None:
    with pytest.raises(DataError, match="cannot be 2 modules"):
        segment(np.zeros((119, 2)), 2, (50, 54, 60))


def test_every_module_is_on_one_side_and_uncertain_cells_stay_apart(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elpv, "package_data", lambda: package)
    results = import_elpv(tmp_path, seed=5)
    assert [r.category for r in results] == ["mono", "poly"]
    for result, modules, trained in zip(results, (18, 26), (11, 16), strict=True):
        data = read_mvtec(tmp_path, result.category)
        train = {s.group for s in data.train}
        test = {s.group for s in (*data.test, *data.uncertain)}
        assert (len(train), len(train | test)) == (trained, modules)
        assert not train & test
        assert {s.defect_type for s in data.test} == {"good", "defect"}
        assert all(s.mask is None for s in data.test)
        assert len(data.uncertain) == result.counts["test/uncertain"] > 0
        assert "CC BY-NC-SA" in (data.terms or "")
    sizes = [m for m, _ in itertools.groupby(sorted(s.group or "" for s in data.train))]
    assert len(sizes) == 16


def test_modules_follow_the_looks_where_run_lengths_leave_a_choice(package: Path) -> None:
    cells = elpv._read_labels(package)
    modules = module_of_cells([c.type for c in cells], lambda i: elpv._grey(cells[i].path))
    assert [len(list(g)) for _, g in itertools.groupby(modules)] == _lengths()


def test_a_random_split_uses_all_cells_and_says_what_it_costs(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elpv, "package_data", lambda: package)
    (result,) = import_elpv(tmp_path, split="random", cell_type="mono")
    assert sum(result.counts.values()) == sum(n for kind, n in RUNS if kind == "mono")
    assert any(".67" in note for note in result.notes)


def test_without_the_package_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"noescape\[demo\]"):
        import_elpv(tmp_path)


@pytest.mark.parametrize("line", ["images/a.png 1.0", "images/a.png one mono", "images/a.png 0.5 thin"])
def test_rows_of_another_form_are_named_by_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "labels.csv").write_text(f"images/b.png 0.0 mono\n{line}\n")
    with pytest.raises(DataError, match="line 2"):
        elpv._read_labels(tmp_path)


if importlib.util.find_spec("elpv_dataset"):

    def test_the_real_set_gives_the_published_modules() -> None:
        cells = elpv._read_labels(elpv.package_data())
        modules = module_of_cells([c.type for c in cells], lambda i: elpv._grey(cells[i].path))
        assert [len(list(g)) for _, g in itertools.groupby(modules)] == _lengths()
