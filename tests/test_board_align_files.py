"""`noescape board align` and `standin`: what is written, what is refused, and what comes in from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawn_boards import Rgb, draw, flat
from noescape.board.align.config import AlignConfig, parse_config, read_config
from noescape.board.align.files import read_photo, read_render
from noescape.board.align.place import read_placed
from noescape.board.align.standin import make_standin
from noescape.cli.main import main
from noescape.imaging import png_bytes, read_picture
from noescape.records import DataError, ImageError, UsageError

NARROW = "registration: {rot_range_deg: [-2, 2, 0.1], quarter_turns: false, min_mi: %s}\n"


@pytest.fixture(scope="module")
def render() -> Rgb:
    return flat(draw(21, wide=4 / 3), 288)


@pytest.fixture
def frames(tmp_path: Path, render: Rgb) -> Path:
    """A tree with one frame, its masks and tables; a name with a space and an umlaut."""
    folder = tmp_path / "främe s" / "trigger_0000"
    folder.mkdir(parents=True)
    ids = np.arange(288 * 384, dtype=np.uint16).reshape(288, 384)
    Image.fromarray(render).save(folder / "rgb_x0_y0.png")
    Image.fromarray(render // 128 * 128).save(folder / "semantic_segmentation_x0_y0.png")
    Image.fromarray(ids).save(folder / "instance_segmentation_x0_y0.png")
    label = {"(0, 0, 0, 255)": {"class": "BACKGROUND"}}
    (folder / "semantic_segmentation_labels_x0_y0.json").write_text(json.dumps(label))
    (folder / "instance_segmentation_mapping_x0_y0.json").write_text("{}")
    return folder.parent


def config(tmp_path: Path, least: object = "0") -> str:
    path = tmp_path / "usd2roi_day1.yaml"
    path.write_text("camera: {translate: [1, 2]}\n" + NARROW % least)
    return str(path)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_stand_in_is_laid_on_its_render_and_everything_is_written(frames: Path, render: Rgb, tmp_path: Path) -> None:
    """From the commands alone: pixel error against the truth, lens included; all files, of one size; same bytes."""
    photo, out = tmp_path / "first photo.png", tmp_path / "day 1"
    assert main(["board", "standin", str(frames), "--out", str(photo), "--seed", "3", "--scale", "1.3"]) == 0
    told = json.loads(photo.with_suffix(".json").read_text())
    assert "not a photo" in told["origin"] and told["photo_size"] == [499, 374]
    assert main(["board", "align", str(frames), str(photo), "--config", config(tmp_path), "--out", str(out)]) == 0
    written = files(out / "aligned")
    assert sorted(written) == [
        "aligned_crop.png", "alignment.json", "blink.gif", "instance_segmentation_0000.png",
        "instance_segmentation_mapping_0000.json", "params.json", "ref_crop.png",
        "semantic_segmentation_0000.png", "semantic_segmentation_labels_0000.json",
    ]  # fmt: skip
    params = json.loads(written["params.json"])
    assert list(params) == ["scaleX", "scaleY", "rotation_deg", "tx", "ty", "mi_before", "mi_after"]
    _, truth = make_standin(render, seed=3, scale=1.3)
    y, x = np.mgrid[0:287:9j, 0:383:9j]
    at = np.stack([x, y], axis=-1)
    placed = read_placed(out / "aligned" / "alignment.json")
    assert np.linalg.norm(placed.to_photo(at) - truth.to_photo(at), axis=-1).mean() < 0.5

    more = json.loads(written["alignment.json"])
    x0, y0, x1, y1 = more["box_xyxy"]
    assert more["forced"] is False and more["refused"] == [] and {**more, **params} == more
    for name in ("aligned_crop.png", "ref_crop.png", "semantic_segmentation_0000.png"):
        assert read_picture(out / "aligned" / name).rgb.shape == (y1 - y0, x1 - x0, 3)
    assert (read_picture(out / "aligned" / "ref_crop.png").rgb == render[y0:y1, x0:x1]).all()
    with Image.open(out / "aligned" / "instance_segmentation_0000.png") as ids:
        whole = np.arange(288 * 384, dtype=np.uint16).reshape(288, 384)
        assert (np.asarray(ids) == whole[y0:y1, x0:x1]).all()
    with Image.open(out / "aligned" / "blink.gif") as blink:
        assert blink.n_frames == 2

    again = tmp_path / "again"
    assert main(["board", "align", str(frames), str(photo), "--config", config(tmp_path), "--out", str(again)]) == 0
    assert files(again / "aligned") == written


def test_too_little_information_is_refused_and_force_is_recorded(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = tmp_path / "p.png", tmp_path / "out"
    main(["board", "standin", str(frames), "--out", str(photo)])
    order = ["board", "align", str(frames), str(photo), "--config", config(tmp_path, "3.5"), "--out", str(out)]
    assert main(order) == 1
    said = capsys.readouterr().err
    capsys.readouterr()
    assert "under min_mi 3.5" in said and "nothing was written" in said and not out.exists()
    assert main([*order, "--force", "--json"]) == 0
    row = json.loads((out / "aligned" / "alignment.json").read_text())
    assert json.loads(capsys.readouterr().out) == {**row, "folder": str(out / "aligned")}
    assert row["forced"] is True and "under min_mi 3.5" in row["refused"][0]


def test_a_second_alignment_does_not_mix_with_the_first(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "aligned").mkdir(parents=True)
    (tmp_path / "out" / "aligned" / "params.json").write_text("{}")
    order = ["board", "align", str(frames), "missing.png", "--config", config(tmp_path), "--out", str(tmp_path / "out")]
    assert main(order) == 1
    assert "holds an alignment already" in capsys.readouterr().err


def test_photos_of_any_depth_and_orientation_are_read_alike(tmp_path: Path, render: Rgb) -> None:
    """12 bits in a 16-bit file, grey, and a picture that its EXIF turns."""
    twelve = (render[..., 1].astype(np.uint16) << 4) + 3
    twelve[0, 0] = 4095
    Image.fromarray(twelve).save(tmp_path / "twelve.tiff")
    deep = read_photo(tmp_path / "twelve.tiff")
    assert np.abs(deep[1:, :, 0].astype(int) - render[1:, :, 1]).max() <= 1
    Image.fromarray(render[..., 1]).save(tmp_path / "grey.png")
    assert (read_photo(tmp_path / "grey.png") == render[..., 1:2]).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(render)).save(tmp_path / "turned.png", exif=exif)
    assert (read_photo(tmp_path / "turned.png") == render).all()


def test_what_is_wrong_with_a_render_or_photo_is_said(frames: Path, tmp_path: Path, render: Rgb) -> None:
    folder = frames / "trigger_0000"
    for kind in ("rgb", "semantic_segmentation"):
        (folder / f"{kind}_x1_y0.png").write_bytes(png_bytes(render))
    with pytest.raises(DataError, match=r"holds 2 frames \(x0_y0, x1_y0.*name one picture"):
        read_render(frames)
    (folder / "semantic_segmentation_x0_y0.png").write_bytes(png_bytes(render[:50]))
    with pytest.raises(DataError, match=r"its mask semantic_segmentation_0000\.png is"):
        read_render(folder / "rgb_x0_y0.png")
    (tmp_path / "p.png").write_bytes(png_bytes(render)[:400])
    with pytest.raises(ImageError):
        read_photo(tmp_path / "p.png")
    with pytest.raises(ImageError):
        read_photo(tmp_path)


def test_a_picture_without_masks_is_taken_and_said(
    tmp_path: Path, render: Rgb, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "drawing.png").write_bytes(png_bytes(render))
    photo, out = tmp_path / "p.png", tmp_path / "out"
    main(["board", "standin", str(tmp_path / "drawing.png"), "--out", str(photo)])
    order = ["board", "align", str(tmp_path / "drawing.png"), str(photo), "--config", config(tmp_path)]
    assert main([*order, "--out", str(out), "--json"]) == 0
    told = capsys.readouterr()
    assert "has no masks beside it" in told.err
    assert not (out / "aligned" / "semantic_segmentation_0000.png").exists()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"rot_range": [-1, 1, 0.1]}, "unknown key 'rot_range', did you mean 'rot_range_deg'"),
        ({"sx_range": [1.2, 1.1, 0.1]}, "least <= most"),
        ({"sx_range": [0, 1.1, 0.1]}, "scales of 0.02 to 50"),
        ({"rot_range_deg": [-400, 1, 1]}, "within -180 to 180"),
        ({"min_mi": float("nan")}, "min_mi"),
        ([1], "expected a map of settings, got list"),
    ],
)
def test_wrong_settings_are_named(section: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(section, name="usd2roi_day1.yaml: registration")
    assert words in str(caught.value) and "usd2roi_day1.yaml" in str(caught.value)


def test_the_original_keys_are_read(tmp_path: Path) -> None:
    text = """registration: {sx_range: [1.1, 1.3, 0.05], sy_range: [1.1, 1.5, 0.05], rot_range_deg: [-0.1, 0.1, 0.05],
      shift_range: 100, shift_step: 2, pyr_levels: 3, bins: 64, no_resize: true, gpu: true, min_mi: 0}"""
    (tmp_path / "c.yaml").write_text(text)
    assert read_config(tmp_path / "c.yaml").sy_range == (1.1, 1.5, 0.05)
    (tmp_path / "c.yaml").write_text("camera: {}")
    with pytest.raises(UsageError, match="expected a section 'registration'"):
        read_config(tmp_path / "c.yaml")
    assert parse_config(None, name="x") == AlignConfig()


def test_a_stand_in_is_the_same_for_the_same_seed_and_tells_where_everything_is(render: Rgb) -> None:
    """A mark in the render appears where the truth says, the lens included."""
    marked = np.full_like(render, 30)
    marked[40:45, 300:305] = 255
    photo, truth = make_standin(marked, seed=5)
    assert (make_standin(marked, seed=5)[0] == photo).all() and not (make_standin(marked, seed=6)[0] == photo).all()
    x, y = truth.to_photo([302, 42])
    part = photo[round(y) - 8 : round(y) + 9, round(x) - 8 : round(x) + 9].astype(float).mean(axis=2)
    part = np.clip(part - np.median(part) - 30, 0, None)
    v, u = np.mgrid[-8:9, -8:9]
    assert (part * u).sum() / part.sum() == pytest.approx(x - round(x), abs=0.25)
    assert (part * v).sum() / part.sum() == pytest.approx(y - round(y), abs=0.25)
