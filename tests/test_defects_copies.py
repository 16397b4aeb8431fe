"""Near-copies: planted ones are found however they were moved, new defects are none; who asks does not matter."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from generator_maker import cases, metal_set
from noescape.cli.main import main
from noescape.defects import copies
from noescape.defects.copies import Gallery, poses_of, real_likeness, upright
from quality_maker import defect, moved_copy


def gallery(count: int) -> Gallery:
    return Gallery([poses_of(*defect("spot", seed)[:2]) for seed in range(count)])


@pytest.mark.parametrize("case", [(0, False, 1.0, 1.0), (1, False, 1.0, 0.8), (2, True, 1.3, 1.1), (3, True, 0.8, 0.7)])
def test_planted_copies_are_found_in_every_pose_size_and_light(case: tuple[int, bool, float, float]) -> None:
    found = gallery(5).likest(*moved_copy(3, *case))
    assert found is not None and found.example == 3 and found.near_copy


@pytest.mark.parametrize("degrees", [5, 17, 30, 52, 135, 200])
def test_a_copy_turned_by_any_angle_is_found(degrees: float) -> None:
    image, mask, _ = defect("spot", 1)
    middle = [float(v.mean()) for v in np.nonzero(mask)[::-1]]
    turn = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    turned = cv2.warpAffine(image, turn, (128, 128), borderMode=cv2.BORDER_REFLECT).astype(np.uint8)
    where = cv2.warpAffine(mask.astype(np.uint8), turn, (128, 128), flags=cv2.INTER_NEAREST) > 0
    found = gallery(4).likest(turned, where)
    assert found is not None and found.example == 1 and found.near_copy


def test_one_copied_part_among_several_is_enough() -> None:
    image, mask = moved_copy(2, 1, True, 1.0, 0.9)
    ys, xs = np.nonzero(mask)
    other, far, _ = defect("spot", 60)
    cut = np.ix_(np.unique(np.nonzero(far)[0]), np.unique(np.nonzero(far)[1]))
    height, width = far[cut].shape
    image[-height:, -width:], mask[-height:, -width:] = other[cut], far[cut]
    found = gallery(4).likest(image, mask)
    assert ys.max() < 128 - height or xs.max() < 128 - width
    assert found is not None and found.near_copy and found.example == 2


def test_new_defects_are_no_copies() -> None:
    examples = [poses_of(*defect("spot", seed)[:2]) for seed in range(4)]
    found = [Gallery(examples).likest(*defect("spot", seed)[:2]) for seed in range(50, 58)]
    assert not any(f.near_copy for f in found if f) and Gallery([]).likest(*defect("spot", 0)[:2]) is None
    flat = np.full((128, 128, 3), 90, np.uint8)
    nothing = Gallery(examples).likest(flat, defect("spot", 0)[1])
    assert nothing is not None and nothing.ncc == 0
    with pytest.raises(ValueError, match="marks nothing"):
        poses_of(flat, np.zeros((128, 128), np.bool_))


def test_the_floor_compares_with_other_parts_alone() -> None:
    examples = [poses_of(*defect("spot", seed)[:2]) for seed in range(4)]
    among = real_likeness(examples, ["a", "a", "b", "b"])
    assert len(among) == 4 and max(among) < 0.9
    twins = real_likeness([examples[0], examples[0]], ["a", "b"])
    assert min(twins) > 0.98 and real_likeness(examples[:2], ["a", "a"]) == []


def plain(crops: np.ndarray, examples: list[copies.Poses]) -> float:
    """The same by OpenCV's own correlation over every pose and shift."""
    best = -1.0
    for crop in crops:
        for pose in (np.rot90(flipped, k) for flipped in (crop, np.fliplr(crop)) for k in range(4)):
            for row in (row for e in examples for row in e.turned):
                view = row.reshape(copies.SIDE, copies.SIDE)
                found = cv2.matchTemplate(np.ascontiguousarray(pose), view, cv2.TM_CCOEFF_NORMED)
                best = max(best, float(found.max()))
    return best


def test_the_quick_search_finds_what_the_plain_one_finds_in_a_third_of_its_time() -> None:
    examples = [poses_of(*defect(kind, seed)[:2]) for kind in ("spot", "line") for seed in range(10)]
    quick, spent, slow = Gallery(examples), 0.0, 0.0
    for seed in range(30, 34):
        picture = defect("spot", seed)[:2]
        start = time.process_time()
        found = quick.likest(*picture)
        between = time.process_time()
        assert found is not None and found.ncc == pytest.approx(plain(upright(*picture), examples), abs=2e-4)
        spent, slow = spent + between - start, slow + time.process_time() - between
    assert spent < slow / 3, (spent, slow)


def test_an_example_and_the_piece_that_a_checkpoint_keeps_of_it_are_one() -> None:
    image, mask, _ = defect("spot", 2)
    ys, xs = np.nonzero(mask)
    wide = 12
    at = slice(max(0, ys.min() - wide), ys.max() + wide), slice(max(0, xs.min() - wide), xs.max() + wide)
    whole, piece = poses_of(image, mask), poses_of(image[at], mask[at])
    assert (whole.turned == piece.turned).all() and (whole.upright == piece.upright).all()


def test_generate_and_score_give_the_same_figures_for_the_same_pictures(tmp_path: Path) -> None:
    """Picture by picture, and in their summaries; with refining and jitter off or on."""
    raw, out = metal_set(tmp_path / "raw"), tmp_path / "out"
    (tmp_path / "jitter.yaml").write_text("exemplar: {jitter: true}\n")
    fit = ["defects", "finetune", "--dataset-dir", str(raw), "--config", str(tmp_path / "jitter.yaml")]
    assert main([*fit, "--output-dir", str(tmp_path / "ck"), "--no-validation"]) == 0
    jsonl = cases(raw, tmp_path, count=12)
    assert main(["defects", "generate", "--checkpoint-dir", str(tmp_path / "ck"), "--input-jsonl", str(jsonl),
                 "--output-dir", str(out)]) == 0  # fmt: skip
    assert main(["defects", "score", str(raw), str(out), "--out", str(tmp_path / "q")]) == 0
    rows = [json.loads(line) for line in (out / "provenance.jsonl").read_text().splitlines()]
    head, *scored = [line.split(",") for line in (tmp_path / "q" / "per_sample.csv").read_text().splitlines()]
    by_name = {row[head.index("path")]: row for row in scored}
    for row in rows:
        other = by_name[row["output_filename"]]
        assert float(other[head.index("ncc")]) == row["ncc"]
        assert other[head.index("nearest_example")] == row["most_like"]
    told = json.loads((out / "summary.json").read_text())["near_copies"]
    figure = json.loads((tmp_path / "q" / "quality.json").read_text())["figures"]["near_copies"]
    assert figure["more"]["count"] == told["count"] and figure["n"] == told["n"] == 12
    assert figure["more"]["median_ncc"] == pytest.approx(told["median_ncc"], abs=1e-4)
