"""`noescape defects score` as a whole: three layouts, planted faults, few pictures, the same bytes again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from noescape.cli.main import main
from noescape.defects.quality.figures import in_mix
from noescape.defects.quality.pictures import read_shelf, same_types
from noescape.defects.quality.score import Scored, ScoreOptions, score, write_report
from noescape.defects.quality.table import table_text
from noescape.records import DataError
from quality_maker import anomalygen, defect, output_tree, plain_reader, put, surface

Rows = list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]
KINDS = ("spot", "line")


def _rows(seeds: range) -> Rows:
    return [(kind, *defect(kind, 100 * k + seed)) for seed in seeds for k, kind in enumerate(KINDS, 1)]


def _real(root: Path, count: int = 12) -> Path:
    return anomalygen(root, {kind: range(1000 * k, 1000 * k + count) for k, kind in enumerate(KINDS, 1)})


def _score(real: Path, made: Path, **options: object) -> Scored:
    return score(real, made, ScoreOptions(workers=1, **options), reader=plain_reader())  # type: ignore[arg-type]


def _value(scored: Scored, key: str) -> float:
    value = scored.report["figures"][key]["value"]
    assert isinstance(value, float)
    return value


def test_good_pictures_score_as_the_real_ones_do(tmp_path: Path) -> None:
    """Drawn from the same source as the real ones: no figure but says so."""
    scored = _score(_real(tmp_path / "real"), output_tree(tmp_path / "out", _rows(range(12))))
    figures = scored.report["figures"]
    assert abs(_value(scored, "nn_score") - figures["nn_score"]["floor"]) < 0.05
    assert (
        _value(scored, "kid") < figures["kid"]["more"]["floor_q95"] and "no difference shown" in figures["kid"]["words"]
    )
    assert abs(_value(scored, "c2st") - 0.5) < 0.2
    assert (
        _value(scored, "completeness") > 0.99 and _value(scored, "outside") == 0 and _value(scored, "near_copies") == 0
    )
    assert figures["leaks"]["value"] is None and "--test" in figures["leaks"]["words"]
    assert _value(scored, "exemplars_used") == 2 and "100%" in figures["exemplars_used"]["words"]
    assert [t["n"] for t in scored.report["types"]] == [12, 12] and scored.report["left_out"] == []


def test_pictures_of_another_kind_are_told_apart(tmp_path: Path) -> None:
    """Lines sold as spots and spots as lines, in the same numbers."""
    swapped = [("line" if kind == "spot" else "spot", *rest) for kind, *rest in _rows(range(12))]
    made = output_tree(tmp_path / "out", swapped)  # type: ignore[arg-type]
    flat = [(k, np.where(m[..., None], np.uint8(5), c), m, c) for k, _, m, c in _rows(range(12))]
    swapped_score = _score(_real(tmp_path / "real"), made)
    near = swapped_score.report["figures"]["nn_score"]
    assert near["value"] < near["floor"] - 0.05 and "less like the real ones" in near["words"]
    scored = _score(tmp_path / "real", output_tree(tmp_path / "flat", flat))
    assert _value(scored, "c2st") > 0.95 and "can tell" in scored.report["figures"]["c2st"]["words"]
    assert _value(scored, "kid") > scored.report["figures"]["kid"]["more"]["floor_q95"]


def test_planted_faults_are_named(tmp_path: Path) -> None:
    """A change outside a label, copies of examples, a file of the test split, a test surface: each by its name."""
    rows = _rows(range(6))
    rows[2][1][0, 0] += 1
    rows += [("spot", *defect("spot", 1003)), ("line", *defect("line", 2001))]
    image, mask, _ = defect("spot", 77)
    rows += [("spot", image, mask, surface(1077))]
    taken = surface(5)
    taken[40:70, 40:70] //= 2
    square = np.zeros((128, 128), np.bool_)
    square[40:70, 40:70] = True
    rows += [("spot", np.ascontiguousarray(taken[:, ::-1]), square[:, ::-1], np.ascontiguousarray(surface(5)[:, ::-1]))]
    put(tmp_path / "test/test/spot/a.png", image)
    put(tmp_path / "test/ground_truth/spot/a.png", mask)
    put(tmp_path / "test/test/good/b.png", surface(5))
    put(tmp_path / "test/train/good/c.png", surface(2))  # what the split trains on may be shown
    put(tmp_path / "test/test/good/d.png", surface(1))  # a clean surface of the real data set
    scored = _score(_real(tmp_path / "real", 6), output_tree(tmp_path / "out", rows), test=tmp_path / "test")
    assert scored.report["figures"]["outside"]["more"] == {"pictures": 1, "pixels": 1}
    assert scored.report["near_copies"] == ["tile+line_00013.png", "tile+spot_00012.png"]
    found = {(leak["of"], leak["name"], leak["how"]) for leak in scored.report["leaks"]}
    assert found == {
        ("generated", "tile+spot_00014.png", "file"),
        ("generated", "tile+spot_00015.png", "surface"),
        ("real", "1.png", "file"),
    }
    assert _value(scored, "leaks") == 2
    text = table_text(scored)
    assert "must be 0: 1 of 16 pictures" in text and "leaks: 3" in text


def test_few_real_pictures_are_said_to_be_few(tmp_path: Path) -> None:
    made = output_tree(tmp_path / "out", _rows(range(3)))
    scored = _score(_real(tmp_path / "real", 1), made)
    words = {key: f["words"] for key, f in scored.report["figures"].items()}
    assert "no floor" in words["nn_score"] and "no type with 3" in words["kid"] and "needs 10 pictures" in words["c2st"]
    five = _score(_real(tmp_path / "five", 5), output_tree(tmp_path / "more", _rows(range(8))))
    words = {key: f["words"] for key, f in five.report["figures"].items()}
    assert "the floor rests on 10 pictures" in words["nn_score"] and "a hint and no more" in words["kid"]
    assert "no floor" in words["c2st"] and "–" in table_text(five)
    json.dumps(five.report, allow_nan=False)


def test_a_bad_picture_costs_its_row_and_types_match_by_name(tmp_path: Path) -> None:
    """MVTec as the real side: `Spot` is the tile's spot. A broken picture, a blank mask, a lost mask, a new type."""
    for k in range(4):
        image, mask, _ = defect("spot", k)
        put(tmp_path / f"real/test/Spot/{k}.png", image)
        put(tmp_path / f"real/ground_truth/Spot/{k}_mask.png", mask)
    put(tmp_path / "real/test/Spot/unmarked.png", surface(3))
    made = output_tree(tmp_path / "out", [*_rows(range(4))])
    (made / "reconstructed_image/tile+spot_00000.png").write_bytes(b"\x89PNG torn")
    put(made / "original_mask/tile+spot_00002.png", np.zeros((128, 128), np.bool_))
    (made / "original_mask/tile+spot_00004.png").unlink()
    with (made / "provenance.jsonl").open("a") as f:
        f.write('{"torn')
    scored = _score(tmp_path / "real", made)
    assert [(t["type"], t["n"], t["n_real"]) for t in scored.report["types"]] == [("Spot", 1, 4), ("tile+line", 4, 0)]
    lost = "\n".join(scored.report["left_out"])
    assert len(scored.report["left_out"]) == 4
    assert all(w in lost for w in ("unmarked", "spot_00000", "marks nothing", "spot_00004.png: no mask"))
    assert "no real picture of: tile+line" in table_text(scored)


def test_what_is_no_data_set_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected reconstructed_image/"):
        read_shelf(tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        read_shelf(tmp_path / "none")
    nested = output_tree(tmp_path / "run/anomaly/inference", _rows(range(1)))
    assert len(read_shelf(tmp_path / "run").defects) == 2 and nested.is_dir()
    shelf = read_shelf(tmp_path / "run")
    assert {p.kind for p in same_types(shelf.defects, ["a+SPOT", "b+spot", "LINE"])} == {"tile+spot", "LINE"}
    assert shelf.defects[0].reach == 1 and shelf.defects[0].source == "original"


def test_the_mix_of_types_is_that_of_the_real_ones(tmp_path: Path) -> None:
    class P:
        def __init__(self, kind: str) -> None:
            self.picture = self
            self.kind = kind

    real = [P("a")] * 4 + [P("b")] * 2
    made = [P("a")] * 30 + [P("b")] * 5
    kept = in_mix(real, made, np.random.default_rng(0), 99)  # type: ignore[arg-type]
    assert sum(i < 30 for i in kept) == 10 and sum(i >= 30 for i in kept) == 5 and kept == sorted(set(kept))
    assert len(in_mix(real, made, np.random.default_rng(0), 6)) == 6  # type: ignore[arg-type]
    assert in_mix(real, made[:30], np.random.default_rng(0), 99) == []  # type: ignore[arg-type]


def test_same_folders_and_seed_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    real, made = _real(tmp_path / "real", 6), output_tree(tmp_path / "out", _rows(range(6)))
    for workers in (1, 3):
        scored = score(real, made, ScoreOptions(workers=workers), reader=plain_reader())
        write_report(scored, tmp_path / f"q{workers}", table_text(scored))
    for name in ("quality.json", "quality.txt", "per_sample.csv"):
        assert (tmp_path / "q1" / name).read_bytes() == (tmp_path / "q3" / name).read_bytes()
    with (tmp_path / "q1/per_sample.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0])[:5] == ["anomaly_type", "path", "nn_score", "mnn_score", "source"]
    assert len(rows) == 12 and {r["path"]: r["source"] for r in rows}["tile+spot_00000.png"] == "round_2"
    assert np.mean([float(r["nn_score"]) for r in rows]) == pytest.approx(_value(scored, "nn_score"), abs=1e-5)


def test_the_command_with_the_default_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, made = _real(tmp_path / "real", 5), output_tree(tmp_path / "out", _rows(range(4)))
    assert (
        main(["defects", "score", str(real), str(made), "--workers", "1", "--out", str(tmp_path / "q"), "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((tmp_path / "q/quality.json").read_text()) and said["backbone"] == "efficientnet_lite0"
    near = said["figures"]["nn_score"]
    assert abs(near["value"] - near["floor"]) < 0.15
    assert main(["defects", "score", str(real), str(made), "--backbone", "resnet18"]) == 2
    assert "--weights" in capsys.readouterr().err
    assert main(["defects", "score", str(real), str(made), "--seed", "-1"]) == 2
    assert main(["defects", "score", str(tmp_path / "q"), str(made)]) == 1
