"""New workspaces: every row finds its pictures by the path rules, groups stay whole, held-out pictures are nobody's."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from deft_loop_maker import boards, picture, save, tree
from noescape.changenet.cells import cell_truth
from noescape.changenet.rows import Files, read_rows
from noescape.cli.main import main
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.init_deeppcb import from_deeppcb
from noescape.deft.init_folders import from_folders
from noescape.deft.init_pairs import from_pairs
from noescape.deft.init_write import write_workspace
from noescape.deft.places import POOL
from noescape.deft.pool import build_pool
from noescape.deft.workspace import BLIND_CSV, KPI_CSV, TRAIN_CSV, VALIDATION_CSV, Workspace
from noescape.files import write_csv
from noescape.records import DataError, UsageError

CSVS = {TRAIN_CSV: "kpi/images", VALIDATION_CSV: "kpi/images", KPI_CSV: "kpi/images", BLIND_CSV: "kpi/images",
        f"{POOL}/mining_pool.csv": POOL}  # fmt: skip


def check(root: Path) -> dict[str, int]:
    """Every row has its pictures, no board is on two sides; rows per CSV."""
    spec = Workspace.open(root).spec()
    sides = defaultdict(set)
    out = {}
    for csv, images in CSVS.items():
        rows = read_rows(root / csv)
        files = Files.of(spec.dataset.classify, root / images)
        for row in rows:
            files.inputs(row), files.goldens(row)
            assert tuple(row.fields) == COLUMNS
            sides[row.fields["boardname"]].add(csv)
        out[csv] = len(rows)
    assert all(len(names) == 1 for names in sides.values())
    return out


def test_from_folders(tmp_path: Path) -> None:
    """Board, PASS and types from the names of folders, with spaces; the pool can be staged as it is."""
    source = boards(tmp_path / "in")
    made = write_workspace(from_folders(source), tmp_path / "w")
    assert sum(check(tmp_path / "w").values()) == 36
    assert set(made.labels["kpi"]) == {"PASS", "bridge", "missing"}
    workspace = Workspace.open(tmp_path / "w")
    manifest = build_pool(workspace.root, workspace.root / "results/run_1/synth_pool", workspace.spec(), inline=True)
    assert manifest.counts["real_rows"] == sum(made.labels["pool"].values())


def test_a_picture_without_a_golden_costs_itself(tmp_path: Path) -> None:
    source = boards(tmp_path / "in")
    (source / "board 1/golden/C0.png").unlink()
    (source / "board 2/PASS/C1.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    made = write_workspace(from_folders(source), tmp_path / "w")
    assert sum(check(tmp_path / "w").values()) == 34
    assert any("2 pictures left out" in note for note in made.notes)


def pairs(folder: Path, *, lights: tuple[str, ...] = ("SolderLight",)) -> Path:
    """As `board pairs` writes them: golden/, defect/, pass/, pairs.csv."""
    rows = []
    for b in range(5):
        for n in range(4):
            label, side = ("shift", "defect") if n % 2 else ("PASS", "pass")
            name = f"f{b}_C{n}"
            for light in lights:
                save(folder / "golden" / f"{name}_{light}.png", picture(100 * b + n))
                save(folder / side / f"{name}_{light}.png", picture(100 * b + n + 50))
            rows.append(
                (side, "golden", label, name, "noescape", f"stick_f{b}", "res", "", 1, name, "0603", 2, "", "res")
            )
    write_csv(folder / "pairs.csv", COLUMNS, rows)
    return folder


def test_from_pairs_of_a_board(tmp_path: Path) -> None:
    """The light of the file names becomes that of the spec; metadata columns stay."""
    write_workspace(from_pairs(pairs(tmp_path / "in")), tmp_path / "w")
    assert sum(check(tmp_path / "w").values()) == 20
    workspace = Workspace.open(tmp_path / "w")
    assert workspace.spec().dataset.classify.lights == ("SolderLight",)
    assert read_rows(workspace.root / KPI_CSV)[0].fields["part_type"] == "0603"


def test_one_of_several_lights_must_be_chosen(tmp_path: Path) -> None:
    source = pairs(tmp_path / "in", lights=("SolderLight", "WhiteLight"))
    with pytest.raises(UsageError, match="--light"):
        from_pairs(source)
    with pytest.raises(UsageError, match="SolderLight, WhiteLight"):
        from_pairs(source, light="Dark")
    write_workspace(from_pairs(source, light="WhiteLight"), tmp_path / "w")
    assert sum(check(tmp_path / "w").values()) == 20


def deeppcb(folder: Path, *, groups: int = 5) -> Path:
    """A tiny DeepPCB: 128 px pairs with one or two boxes, of two tones."""
    for g in range(groups):
        for n in range(2):
            rng = np.random.default_rng(10 * g + n)
            small = rng.integers(0, 2, (16, 16), np.uint8) * 255
            golden = cv2.resize(small, (128, 128), interpolation=cv2.INTER_NEAREST)
            test, lines = golden.copy(), []
            for k, (x, y) in enumerate([(10, 10), (56, 80)][: n + 1]):
                test[y : y + 20, x : x + 20] = 255 - golden[y : y + 20, x : x + 20]
                lines.append(f"{x} {y} {x + 20} {y + 20} {k + 1}")
            home = folder / f"PCBData/group{g:05d}/{g:05d}"
            save(home / f"{g:05d}{n:03d}_temp.jpg", np.repeat(golden[:, :, None], 3, axis=2))
            save(home / f"{g:05d}{n:03d}_test.jpg", np.repeat(test[:, :, None], 3, axis=2))
            labels = home.with_name(f"{g:05d}_not") / f"{g:05d}{n:03d}.txt"
            labels.parent.mkdir(exist_ok=True)
            labels.write_text("\n".join(lines) + "\n", "ascii")
    return folder


def test_from_deeppcb_in_cells(tmp_path: Path) -> None:
    """Cells as changenet/cells.py judges them; PASS rows are thinned evenly by choice; panels are groups."""
    source = deeppcb(tmp_path / "in")
    write_workspace(from_deeppcb(source), tmp_path / "w")
    counts = check(tmp_path / "w")
    truths = [cell_truth([(10, 10, 30, 30)], (128, 128)), cell_truth([(10, 10, 30, 30), (56, 80, 76, 100)], (128, 128))]
    assert sum(counts.values()) == 5 * sum(int((t.label >= 0).sum()) for t in truths)
    row = read_rows(tmp_path / "w" / KPI_CSV)[0]
    assert row.object_name.endswith("_r00c00") and row.label == "open"
    write_workspace(from_deeppcb(source, pass_per_pair=1), tmp_path / "thin")
    assert sum(check(tmp_path / "thin").values()) == 5 * (1 + 1 + 1 + 2)


def test_same_source_same_bytes_and_a_kill_leaves_no_half(tmp_path: Path) -> None:
    """Twice the same tree; a folder that holds something is refused; a broken start is wiped by the next."""
    source = from_folders(boards(tmp_path / "in"))
    write_workspace(source, tmp_path / "a")
    write_workspace(source, tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    with pytest.raises(DataError, match="holds files already"):
        write_workspace(source, tmp_path / "b")
    (tmp_path / "c/.unfinished").mkdir(parents=True)
    (tmp_path / "c/kpi").mkdir()
    write_workspace(source, tmp_path / "c")
    assert tree(tmp_path / "c") == tree(tmp_path / "a")


def test_what_a_held_out_set_shows_is_not_learned_from(tmp_path: Path) -> None:
    """The same picture on two boards: the row of the pool goes, with its files; the one that judges stays."""
    source = boards(tmp_path / "in")
    first = write_workspace(from_folders(source), tmp_path / "first")
    kpi, pool = first.groups["kpi"][0], first.groups["pool"][0]
    shutil.copy(source / kpi / "PASS/C0.png", source / pool / "PASS/C0.png")
    made = write_workspace(from_folders(source), tmp_path / "w")
    assert sum(made.labels["pool"].values()) == sum(first.labels["pool"].values()) - 1
    assert made.labels["kpi"] == first.labels["kpi"]
    assert any("1 rows left out of the pool" in note for note in made.notes)
    inputs = [name for name in tree(tmp_path / "w") if name.startswith(POOL) and "/input/" in name]
    assert len(inputs) == sum(made.labels["pool"].values())


def test_the_command_says_what_is_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Overrides land in the spec; the data are not touched; wrong use is 2."""
    source = boards(tmp_path / "in")
    arguments = ["deft", "init", "--from", "folders", str(source), str(tmp_path / "w"), "--kpi", "board 3"]
    assert main([*arguments, "--set", "noescape.trainer=mapnet"]) == 0
    out = capsys.readouterr().out
    assert "board 3" in next(line for line in out.splitlines() if line.startswith("kpi"))
    assert Workspace.open(tmp_path / "w").spec().trainer == "mapnet"
    assert main(["deft", "init", "--from", "folders", str(source), str(source / "w")]) == 2
    assert main([*arguments[:5], str(tmp_path / "v"), "--light", "x"]) == 2
    assert main([*arguments[:5], str(tmp_path / "v"), "--set", "train.epochs=3"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert not (tmp_path / "v").exists()
