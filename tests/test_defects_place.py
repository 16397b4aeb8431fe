"""`noescape defects place`: exactly what was allocated, or a stop that names what is short; the same each time."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from defects_maker import board, make_board_set, make_surface_set, surface, write_png, write_spec
from noescape.cli.main import main
from noescape.datasets.binary_mask import read_binary_mask
from noescape.defects.placement.testcase import read_testcases, write_testcases
from noescape.files import parse_yaml
from noescape.imaging import read_picture
from vision_server import MODEL, serving


def place(root: Path, out: Path, *more: str) -> int:
    return main(["defects", "place", "--dataset-dir", str(root), "--output-jsonl", str(out / "t.jsonl"), *more])


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def summary(out: Path) -> dict:
    return json.loads((out / "masks/summary.json").read_text("utf-8"))


def test_as_many_as_asked_for_each_in_its_file(tmp_path: Path) -> None:
    """Uniform; every mask of its image's size; submasks and clean images used evenly; a second run gives the bytes."""
    root = make_surface_set(tmp_path / "raw data")
    assert place(root, tmp_path / "a", "--num-sdg", "23", "--preview") == 0
    cases = read_testcases(tmp_path / "a/t.jsonl")
    assert Counter(c.anomaly_type for c in cases) == {"metal+notch": 12, "metal+spot": 11}
    assert [c.index for c in cases] == list(range(23)) and len({c.seed for c in cases}) == 23
    for case in cases:
        mask = read_binary_mask(case.mask)
        assert mask.shape == read_picture(case.image).rgb.shape[:2] and mask.any()
    assert len({c.mask for c in cases}) == 23 and len({(c.submask_filename, c.image) for c in cases}) == 23
    used = Counter(c.image for c in cases if c.defect == "spot")
    assert len(used) == 5 and max(used.values()) <= 3
    told = summary(tmp_path / "a")
    assert len({json.dumps([row["at"], row["pose"]]) for row in told["rows"]}) == 23
    assert told["allocated"] == told["placed"] == 23 and told["statuses"] == {"OK": 23}
    assert json.loads((tmp_path / "a/masks/allocation.json").read_text()) == {"metal+notch": 12, "metal+spot": 11}
    assert place(root, tmp_path / "b", "--num-sdg", "23", "--preview") == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert place(root, tmp_path / "c", "--num-sdg", "23", "--seed", "1") == 0
    assert tree(tmp_path / "a")["t.jsonl"] != tree(tmp_path / "c")["t.jsonl"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Bytes of no encoding, newlines, quotes, and names too long to be part of another name come through whole."""
    root = make_surface_set(tmp_path / "set", clean=4)
    names = [b"\xff\xfe", b"a\nb 'c\" $(d)", ("\u9577" * 80).encode(), b"-rf"]
    for n, name in enumerate(names):
        clean = os.fsencode(root / "metal/clean_image")
        (root / f"metal/clean_image/c{n}.png").rename(os.fsdecode(clean + b"/" + name + b".png"))
        for folder, tail in (("anomaly_image", b""), ("mask", b"_mask")):
            here = root / "metal" / folder / "spot"
            (here / f"e {n}{tail.decode()}.png").rename(here / os.fsdecode(name + tail + b".png"))
    assert place(root, tmp_path / "o", "--num-sdg", "16", "--preview") == 0
    cases = read_testcases(tmp_path / "o/t.jsonl")
    assert len({c.mask for c in cases}) == 16 and all(c.image.is_file() and c.mask.is_file() for c in cases)
    write_testcases(tmp_path / "o/again.jsonl", cases)
    assert (tmp_path / "o/again.jsonl").read_bytes() == (tmp_path / "o/t.jsonl").read_bytes()


def test_counts_by_hand_and_for_validation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_surface_set(tmp_path / "set", examples=3)
    for n in (1, 2):
        (root / f"metal/anomaly_image/spot/e {n}.png").unlink()
        (root / f"metal/mask/spot/e {n}_mask.png").unlink()
    for more, expected in (
        (("--num-sdg", "8", "--mode", "validation"), {"metal+notch": 6, "metal+spot": 2}),
        (("--per-defect-counts", '{"metal+spot": 3}'), {"metal+spot": 3}),
        (("--num_sdg", "2", "--anomaly-types", '[["metal", "notch"]]'), {"metal+notch": 2}),
    ):
        assert place(root, tmp_path / "o", *more, "--json") == 0
        assert json.loads(capsys.readouterr().out)["placed"] == sum(expected.values())
        assert Counter(c.anomaly_type for c in read_testcases(tmp_path / "o/t.jsonl")) == expected


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ((), 2, "say how many images"),
        (("--num-sdg", "0"), 2, "say how many images"),
        (("--num-sdg", "1", "--mode", "validation"), 2, "at least one image per type"),
        (("--num-sdg", "4", "--per-defect-counts", '{"metal+spot": 3}'), 2, "adds up to 3"),
        (("--per-defect-counts", '{"metal+sput": 3}'), 2, "did you mean 'metal+spot'"),
        (("--num-sdg", "4", "--anomaly-types", '[["metal"]]'), 2, "expected [["),
        (("--num-sdg", "4", "--anomaly-types", '[["metal", "rust"]]'), 2, "unknown type 'metal+rust'"),
        (("--num-sdg", "4", "--default-spatial-dependency", "text"), 2, "text needs words"),
        (("--num-sdg", "4", "--default-spatial-dependency", "cad"), 1, '"spatial_dependency": "free"'),
        (("--num-sdg", "4", "--vision-model", "m"), 2, "belong together"),
        (("--num-sdg", "4", "--roi-json", "nowhere.json"), 1, "nowhere.json"),
    ],
)
def test_wrong_use_is_told_before_anything_is_written(
    more: tuple[str, ...], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place(make_surface_set(tmp_path / "set"), tmp_path / "o", *more) == code
    assert said in capsys.readouterr().err and not (tmp_path / "o").exists()


def test_a_data_set_with_problems_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_surface_set(tmp_path / "set")
    (root / "metal/mask/spot/e 0_mask.png").unlink()
    write_png(root / "metal/mask/notch/e 1_mask.png", surface(4))
    assert place(root, tmp_path / "o", "--num-sdg", "4") == 1
    err = capsys.readouterr().err
    assert "2 problem(s) to mend" in err and "no mask; expected" in err and "no binary mask" in err
    assert not (tmp_path / "o").exists()


def test_a_shortfall_stops_and_names_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boards without a component cannot miss one: both of the others are used, and where none has one it stops."""
    root = make_board_set(tmp_path / "set", ("missing",))
    assert place(root, tmp_path / "a", "--num-sdg", "6") == 0
    told = summary(tmp_path / "a")
    assert told["statuses"] == {"NO_CANDIDATES": 1, "OK": 6}
    assert {Path(r["clean_image"]).stem for r in told["rows"] if r["mask"]} == {"b0", "b1"}
    for n in range(3):
        write_png(root / f"PCB/cad_mask/b{n}.png", np.zeros((120, 160, 3)))
    assert place(root, tmp_path / "b", "--num-sdg", "6") == 1
    err = capsys.readouterr().err
    assert "AMP allocation mismatch" in err and "PCB+missing: 0 of 6 placed, 6 short (3 NO_CANDIDATES)" in err
    assert not (tmp_path / "b/t.jsonl").exists() and summary(tmp_path / "b")["placed"] == 0


def test_all_cad_rules_through_the_door(tmp_path: Path) -> None:
    root = make_board_set(tmp_path / "set")
    assert place(root, tmp_path / "o", "--num-sdg", "16") == 0
    told = summary(tmp_path / "o")
    assert all(one["placed"] == 4 and one["spatial_dependency"] == "cad" for one in told["types"].values())
    component = (board() == (0, 0, 255)).all(axis=2)
    rows = [r for r in told["rows"] if r["anomaly_type"] == "PCB+missing" and r["clean_image"].endswith("b0.png")]
    for row in (r for r in rows if r["mask"]):
        assert row["submask"] is None and read_binary_mask(tmp_path / "o/masks" / row["mask"])[component].all()


def test_no_mask_leaves_the_legal_region(tmp_path: Path) -> None:
    root = make_surface_set(tmp_path / "set")
    legal = np.zeros((96, 128), np.uint8)
    legal[:, :70] = 255
    write_png(tmp_path / "legal.png", legal)
    (tmp_path / "b.json").write_text('{"rois": [{"x": 0, "y": 0, "width": 128, "height": 40, "is_legal": false}]}')
    args = ("--num-sdg", "12", "--legal-roi", str(tmp_path / "legal.png"), "--roi-json", str(tmp_path / "b.json"))
    assert place(root, tmp_path / "o", *args) == 0
    legal[:40] = 0
    for case in read_testcases(tmp_path / "o/t.jsonl"):
        assert not read_binary_mask(case.mask)[legal == 0].any()


def test_text_asks_the_endpoint_once_per_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks lie in the box that came back; a second run asks nothing again and gives the same bytes."""
    monkeypatch.setenv("no_proxy", "*")
    root = make_surface_set(tmp_path / "set", clean=2)
    write_spec(root, {"metal+spot": "text"}, prompt="the middle")
    with serving() as server:
        flags = ("--vision-endpoint", server.base, "--vision-model", MODEL, "--anomaly-types", '[["metal", "spot"]]')
        assert place(root, tmp_path / "o", "--num-sdg", "6", *flags) == 0
        assert [row["prompt"] for row in server.asked] == ["the middle"] * 2
        before = tree(tmp_path / "o")
        assert place(root, tmp_path / "o", "--num-sdg", "6", *flags) == 0
        assert len(server.asked) == 2 and tree(tmp_path / "o") == before
        box = np.zeros((96, 128), bool)
        box[24:72, 32:96] = True
        for case in read_testcases(tmp_path / "o/t.jsonl"):
            assert not (read_binary_mask(case.mask)[~box]).any()
        server.content = "[]"
        assert place(root, tmp_path / "p", "--num-sdg", "6", *flags) == 1
        assert summary(tmp_path / "p")["statuses"] == {"NO_DETECTION": 2}
        assert place(root, tmp_path / "q", "--num-sdg", "6", *flags[:3], "another", *flags[4:]) == 1
        assert not (tmp_path / "q").exists()


def test_text_without_an_endpoint_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_surface_set(tmp_path / "set")
    write_spec(root, {"metal+spot": "text"}, prompt="the middle")
    assert place(root, tmp_path / "o", "--num-sdg", "4") == 0
    assert "the words are not read" in capsys.readouterr().err
    told = summary(tmp_path / "o")
    assert all("whole image" in r["region"] or "not read" in r["region"] for r in told["rows"])
    assert "words are not read" in told["notices"][0]


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert place(make_surface_set(tmp_path / "set"), tmp_path / "o", "--num-sdg", "5", "--dry-run") == 0
    assert "metal+notch: 3 images, free, from 4 masks and 5 clean images" in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


def test_several_regions_take_several_masks(tmp_path: Path) -> None:
    root = make_surface_set(tmp_path / "set", clean=3)
    (tmp_path / "b.json").write_text(
        json.dumps({"rois": [{"x": x, "y": 10, "width": 36, "height": 70, "is_legal": True} for x in (4, 46, 88)]})
    )
    args = ("--num-sdg", "6", "--anomaly-types", '[["metal", "spot"]]', "--roi-json", str(tmp_path / "b.json"))
    assert place(root, tmp_path / "o", *args, "--instances", "3") == 0
    for row in summary(tmp_path / "o")["rows"]:
        assert row["instances"] == {"asked": 3, "placed": 3}


def test_cookbooks_ship_and_new_ones_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new cookbook has the keys of those that ship, the types of the data set, and is not overwritten unasked."""
    from importlib import resources

    root = make_surface_set(tmp_path / "set")
    out = tmp_path / "book"
    command = ["defects", "cookbook", "new", "my_part", "--from", str(root), "--output-dir", str(out)]
    assert main(command) == 0
    assert '[["metal", "notch"], ["metal", "spot"]]' in capsys.readouterr().err
    mine = parse_yaml((out / "ag_config.yaml").read_text(), name="mine")

    def keys(value: object, path: str = "") -> set[str]:
        return {p for k, v in value.items() for p in keys(v, f"{path}.{k}")} if isinstance(value, dict) else {path}

    for name in ("metal_surface", "glass"):
        folder = resources.files("noescape.assets") / "cookbooks" / name
        shipped = parse_yaml((folder / "ag_config.yaml").read_text("utf-8"), name=name)
        assert keys(shipped) == keys(mine)
        types = ["+".join(t) for t in shipped["dataloader_train"]["dataset"]["anomaly_types"]]
        rows = [json.loads(line) for line in (folder / "defect_spec.jsonl").read_text("utf-8").splitlines()]
        assert [r["defect_type"] for r in rows] == types and {r["spatial_dependency"] for r in rows} == {"free"}
        embedded = shipped["model"]["config"]["ag_config"]["anomaly_embedding"]["anomaly_types"]
        assert ["+".join(t) for t in embedded] == types
    before = tree(out)
    assert main(command) == 1 and tree(out) == before and main([*command, "--replace"]) == 0
    assert main(["defects", "cookbook", "new", "../x", "--from", str(root)]) == 2
