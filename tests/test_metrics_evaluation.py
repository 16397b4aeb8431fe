"""Promises of the evaluation as a whole: complete, JSON without NaN, and recognisable as this very ruler."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noescape.metrics as metrics
from noescape.imaging import label_regions
from noescape.metrics import (
    EVALUATOR_VERSION,
    PixelScores,
    auroc,
    evaluate_images,
    evaluator_digest,
    operating_point,
    pixel_summary,
    rate,
)

RATE_KEYS = {"value", "events", "n", "lower", "upper", "formula"}

cases = st.lists(
    st.tuples(
        st.sampled_from(["good", "crack", "blowhole", "孔 <b>"]), st.one_of(st.integers(-3, 3), st.floats(-9, 9))
    ),
    max_size=30,
)


def unpack(rows):
    return [int(t != "good") for t, _ in rows], [float(s) for _, s in rows], [t for t, _ in rows]


@given(cases, st.floats(-4, 4))
def test_whatever_the_cases_the_result_is_complete_json_without_nan(rows, threshold):
    labels, scores, types = unpack(rows)
    got = evaluate_images(labels, scores, types, threshold, (1.0, 0.9))
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert list(got) == [
        "image_auroc",
        "image_auroc_bounds",
        "image_ap",
        "image_best_f1",
        "n",
        "at_threshold",
        "false_alarm_rate_at_recall",
        "per_type",
    ]
    assert set(got["image_best_f1"]) == {"f1", "threshold", "precision", "recall"}
    at = got["at_threshold"]
    assert at["tp"] + at["fn"] == got["n"]["defect"] == sum(labels)
    assert at["fp"] + at["tn"] == got["n"]["good"] == len(labels) - sum(labels)
    for name in ("false_alarm_rate", "miss_rate", "escape_rate"):
        assert set(at[name]) == RATE_KEYS
    assert [p["recall"] for p in got["false_alarm_rate_at_recall"]] == ([1.0, 0.9] if sum(labels) else [])
    assert list(got["per_type"]) == sorted({t for t in types if t != "good"})
    assert sum(t["n"] for t in got["per_type"].values()) == sum(labels)
    assert sum(t["miss_rate"]["events"] for t in got["per_type"].values()) == at["fn"]


def test_each_type_is_compared_with_all_good_images():
    labels, scores, types = unpack([("good", 1), ("good", 3), ("crack", 2), ("crack", 4), ("blowhole", 0)])
    got = evaluate_images(labels, scores, types, 3)
    crack, blowhole = got["per_type"]["crack"], got["per_type"]["blowhole"]
    assert (crack["n"], crack["image_auroc"]) == (2, 0.75)
    assert (blowhole["n"], blowhole["image_auroc"]) == (1, 0.0)
    assert crack["miss_rate"]["value"] == 0.5
    assert blowhole["detected"] == {**_fields(rate(0, 1)), "formula": "TP/(TP+FN)"}
    assert got["image_auroc"] == auroc(labels, scores)


def _fields(measured):
    return {
        "value": measured.value,
        "events": measured.events,
        "n": measured.n,
        "lower": measured.lower,
        "upper": measured.upper,
    }


def test_rates_carry_the_formula_that_they_were_computed_by():
    labels, scores, types = unpack([("good", 1)] * 3 + [("good", 5)] + [("crack", 5)] * 4 + [("crack", 0)])
    at = evaluate_images(labels, scores, types, 2)["at_threshold"]
    counts = {name.upper(): at[name] for name in ("tp", "fp", "tn", "fn")}
    for name in ("false_alarm_rate", "miss_rate", "escape_rate"):
        above, below = at[name]["formula"].split("/")
        total = sum(counts[term] for term in below.strip("()").split("+"))
        assert at[name]["value"] == counts[above] / total
    assert (at["false_alarm_rate"]["value"], at["miss_rate"]["value"], at["escape_rate"]["value"]) == (0.25, 0.2, 0.25)


def test_the_rates_at_each_recall_are_those_of_its_threshold():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 60)
    scores = np.round(rng.normal(size=60) + labels, 1)
    types = ["crack" if x else "good" for x in labels]
    for point in evaluate_images(labels, scores, types, 0)["false_alarm_rate_at_recall"]:
        at = operating_point(labels, scores, point["threshold"])
        assert point["false_alarm_rate"]["events"] == at.fp
        assert point["miss_rate"]["events"] == at.fn


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="a type for each"):
        evaluate_images([0, 1], [1.0, 2.0], ["good"], 1.0)
    with pytest.raises(ValueError, match="score 1"):
        evaluate_images([0, 1], [1.0, math.nan], ["good", "crack"], 1.0)


def test_without_masks_pixel_figures_are_null():
    pixels = PixelScores()
    pixels.add(np.ones((3, 3), np.float32))
    got = pixel_summary(pixels)
    assert got["pixel_auroc"] is got["pixel_ap"] is got["pixel_aupro"] is None
    assert set(got["pixel_best_f1"].values()) == {None}
    assert got["n"] == {"images": 1, "pixels": 9, "defect_pixels": 0, "regions": 0}


def test_with_masks_the_pixel_figures_are_those_of_the_accumulator():
    pixels, mask = PixelScores(), np.zeros((8, 8), np.uint8)
    mask[2:4, 2:4] = 255
    pixels.add(np.random.default_rng(0).random((8, 8), dtype=np.float32), mask, label_regions(mask))
    got = pixel_summary(pixels)
    assert got["pixel_auroc"] == pixels.pixel_auroc()
    assert got["pixel_ap"] == pixels.average_precision()
    assert got["pixel_aupro"] == pixels.aupro()
    assert got["pixel_best_f1"]["threshold"] == pixels.best_f1().threshold
    json.dumps(got, allow_nan=False)


def test_the_digest_is_that_of_every_source_file_of_this_room():
    """Computed here a second time; the same from a fresh process."""
    digest = hashlib.sha256(f"noescape.metrics {EVALUATOR_VERSION}\n".encode())
    for source in sorted(Path(metrics.__file__).parent.glob("*.py")):
        text = source.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{source.name} {len(text)}\n".encode() + text)
    assert evaluator_digest() == digest.hexdigest()
    told = "from noescape.metrics import evaluator_digest as d; print(d())"
    again = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == evaluator_digest()


def test_a_changed_ruler_has_another_digest(tmp_path):
    """Any change of any file of the room shows; line ends and compiled files do not."""
    room = tmp_path / "noescape"
    source = Path(metrics.__file__).parent.parent
    for path in [source / "__init__.py", *source.glob("metrics/*.py"), *source.glob("records/*.py")]:
        copy = room / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())

    def told():
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        code += "import noescape.metrics as m; print(m.__file__); print(m.evaluator_digest())"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )
        assert Path(out[0]).is_relative_to(tmp_path)
        return out[1]

    assert told() == evaluator_digest()
    counts = room / "metrics" / "counts.py"
    counts.write_bytes(counts.read_bytes().replace(b"\n", b"\r\n"))
    assert told() == evaluator_digest()
    counts.write_bytes(counts.read_bytes() + b"# changed\n")
    assert told() != evaluator_digest()


def test_this_room_needs_numpy_and_the_standard_library_only():
    code = "import sys; import noescape.metrics; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("scipy", "sklearn", "numba", "cv2", "torch"):
        assert f"'{name}'" not in loaded


def test_everything_exported_exists():
    assert all(hasattr(metrics, name) for name in metrics.__all__)
