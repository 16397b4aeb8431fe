"""A data set of examples is read whole, or every one of its problems is told at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from defects_maker import LABELS, make_board_set, make_surface_set, spot_mask, surface, write_png, write_spec
from noescape.cli.main import main
from noescape.datasets.anomalygen import read_anomalygen
from noescape.datasets.binary_mask import read_binary_mask
from noescape.records import DataError, ImageError


def codes(root: Path, **more: object) -> list[str]:
    return sorted(p.code for p in read_anomalygen(root, **more).problems)  # type: ignore[arg-type]


def test_a_sound_set_has_no_problems(tmp_path: Path) -> None:
    data = read_anomalygen(make_surface_set(tmp_path / "a b")).require_usable()
    assert [(kind.key, len(kind.pairs)) for kind in data.types] == [("metal+notch", 4), ("metal+spot", 4)]
    assert len(data.clean["metal"]) == 5 and data.problems == () and not data.spec
    assert all(mask.name == f"{image.stem}_mask.png" for kind in data.types for image, mask in kind.pairs)
    board = read_anomalygen(make_board_set(tmp_path / "b"))
    assert board.problems == () and len(board.cad) == 3 and board.labels[255, 0, 0] == "pad"


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Many kinds of damage, one reading; each sound pair is still there."""
    root = make_surface_set(tmp_path / "set", examples=8)
    spot, masks = root / "metal/anomaly_image/spot", root / "metal/mask/spot"
    (masks / "e 0_mask.png").unlink()
    (spot / "e 1.png").unlink()
    write_png(masks / "e 2_mask.png", np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1)))
    write_png(masks / "e 3_mask.png", np.zeros((96, 128)))
    write_png(masks / "e 4_mask.png", spot_mask(4, 60, 100))
    (spot / "e 5.png").write_bytes(b"no image at all")
    shutil.copy(spot / "e 6.png", root / "metal/clean_image/looks good.png")
    shutil.copy(spot / "e 6.png", spot / "e 6.PNG")
    (root / "empty/anomaly_image/kind").mkdir(parents=True)
    (root / "empty/clean_image").mkdir()
    write_spec(root, {"metal+spott": "free", "metal+spot": "text", "metal+notch": "freee"})
    with (root / "defect_spec.jsonl").open("a") as f:
        f.write("{torn\n")
    data = read_anomalygen(root)
    found = {p.code: p for p in data.problems}
    assert set(found) == {
        "unpaired_image", "unpaired_mask", "mask_not_binary", "mask_blank", "mask_size", "not_an_image",
        "good_and_bad", "same_stem", "type_empty", "clean_empty", "spec_prompt", "spec_dependency", "spec_line",
        "spec_unknown",
    }  # fmt: skip
    assert "e 0_mask.png" in found["unpaired_image"].what and "100x60" in found["mask_size"].what
    assert "did you mean 'metal+spot'" in found["spec_unknown"].what and "line 4" in found["spec_line"].what
    assert {len(k.pairs) for k in data.types if k.key == "metal+spot"} == {2}
    with pytest.raises(DataError, match=r"cannot be used yet, \d+ problem") as told:
        data.require_usable()
    assert all(p.what in str(told.value) for p in data.problems if p.fatal)


def test_cad_without_masks_or_labels_offers_free(tmp_path: Path) -> None:
    root = make_board_set(tmp_path / "set", ("missing", "scratch"))
    (root / "PCB/cad_mask/b1.png").unlink()
    (root / "semantic_segmentation_labels.json").unlink()
    found = read_anomalygen(root).problems
    assert {p.code for p in found} == {"cad_type", "cad_labels", "cad_mask"}
    assert all('"spatial_dependency": "free"' in p.what for p in found)
    (root / "semantic_segmentation_labels.json").write_text('{"red": {"class": "pad"}, "(0, 300, 0)": {"class": "a"}}')
    assert codes(root).count("labels") == 2


def test_cad_mask_of_another_size_and_orphan(tmp_path: Path) -> None:
    root = make_board_set(tmp_path / "set")
    write_png(root / "PCB/cad_mask/b0.png", np.zeros((10, 10, 3)))
    write_png(root / "PCB/cad_mask/stray.png", np.zeros((10, 10, 3)))
    data = read_anomalygen(root)
    assert {p.code for p in data.problems} == {"cad_size", "cad_orphan", "cad_mask"}
    assert not next(p for p in data.problems if p.code == "cad_orphan").fatal


@pytest.mark.parametrize("level", ["metal", ".."])
def test_the_wrong_folder_gets_a_hint(level: str, tmp_path: Path) -> None:
    root = make_surface_set(tmp_path / "set")
    (problem,) = (p for p in read_anomalygen(root / level).problems if p.code == "no_types")
    assert ("the one above" if level == "metal" else "subfolder 'set'") in problem.what


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_anomalygen(tmp_path / "none")


def test_links_out_of_the_set_are_told(tmp_path: Path) -> None:
    root = make_surface_set(tmp_path / "set")
    outside = write_png(tmp_path / "outside.png", surface(9))
    (root / "metal/clean_image/link.png").symlink_to(outside)
    data = read_anomalygen(root)
    assert not data.usable and len(data.clean["metal"]) == 5


def test_clean_images_from_elsewhere(tmp_path: Path) -> None:
    """In the layout, by texture, or all of one texture."""
    root = make_surface_set(tmp_path / "set", clean=1)
    for name in ("metal/clean_image", "metal", ""):
        place = tmp_path / f"clean {len(name)}"
        write_png(place / name / "x.png", surface(50))
        data = read_anomalygen(root, clean_root=place)
        assert [p.name for p in data.clean["metal"]] == ["x.png"] and data.usable, name


def test_masks_as_programs_write_them(tmp_path: Path) -> None:
    """0/1, one colour on black and soft edges are masks; a ramp and several classes are not."""
    spot = spot_mask(1)
    rows, columns = np.nonzero(spot)
    soft = spot.copy()
    soft[rows.min() - 1, columns.min() : columns.max()] = 90
    for pixels in (spot // 255, spot // 2, soft, np.stack([spot, spot * 0, spot * 0], axis=2)):
        assert (read_binary_mask(write_png(tmp_path / "m.png", pixels)) == spot).all()
    classes = spot // 3
    classes[:30, :30] = 190
    for pixels in (classes, surface(3)):
        with pytest.raises(ImageError, match="no binary mask"):
            read_binary_mask(write_png(tmp_path / "m.png", pixels))


def test_names_in_any_script(tmp_path: Path) -> None:
    root = make_surface_set(tmp_path / "déjà \n vu")
    for path in sorted(root.rglob("e 0*")):
        path.rename(path.with_name(path.name.replace("e 0", "例 'ü\"")))
    assert read_anomalygen(root).usable


def test_validate_says_all_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_surface_set(tmp_path / "set")
    assert main(["defects", "validate", str(root)]) == 0
    assert "metal+spot: 4 examples" in capsys.readouterr().out
    (root / "metal/mask/spot/e 0_mask.png").unlink()
    (root / "metal/anomaly_image/notch/e 1.png").unlink()
    assert main(["defects", "validate", str(root)]) == 1
    out = capsys.readouterr().out
    assert "no mask; expected" in out and "no image; expected" in out and "2 problems to mend" in out
    assert main(["defects", "validate", str(root), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [p["code"] for p in report["problems"]] == ["unpaired_image", "unpaired_mask"] and not report["usable"]


def test_labels_of_several_classes(tmp_path: Path) -> None:
    root = make_board_set(tmp_path / "set")
    labels = {**LABELS, "(9, 9, 9, 255)": {"class": "PAD, Solder"}}
    (root / "semantic_segmentation_labels.json").write_text(json.dumps(labels))
    assert read_anomalygen(root).labels[9, 9, 9] == "pad,solder"
