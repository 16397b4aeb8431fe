"""`noescape defects restyle`: the same tree with a new look; what was asked for or a failure, never something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from image_edit_server import CHAT, MODEL, Service, png_of, say, serving, status
from noescape.cli.main import main
from noescape.files import read_jsonl
from restyle_pictures import photo, scene

NAMES = ("crop/IC/x0_y1/normal_img/0000.png", "crop/a b/'ü'/0001.jpg", "top.bmp", "絵.webp", "x.tif")
ALONG = ("crop/IC/x0_y1/cad_mask/0000_cad_mask.png", "crop/labels.json", "top_mask.png")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """IN with a tree of all kinds of files, a folder of photos, and OUT, not there yet."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    source, photos = tmp_path / "in", tmp_path / "photos"
    for i, name in enumerate((*NAMES, *ALONG)):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".json"):
            path.write_text('{"(1, 2, 3, 255)": {"class": "pad"}}')
        else:
            Image.fromarray(scene(rng(i), 64, 80)).save(path, **({"lossless": True} if name.endswith("webp") else {}))
    black_and_white = (scene(rng(9), 64, 80)[..., 0] > 99).astype(np.uint8) * 255
    Image.fromarray(black_and_white).save(source / "top.png")  # beside top.bmp, as some data sets keep their masks
    photos.mkdir()
    for i in range(3):
        (photos / f"{i}.png").write_bytes(png_of(photo(scene(rng(50 + i), 64, 80), rng(i))))
    return source, photos, tmp_path / "out"


@pytest.fixture
def service() -> Iterator[tuple[str, Service]]:
    with serving() as found:
        yield found


def restyle(source: Path, out: Path, *more: object) -> int:
    return main(["defects", "restyle", str(source), str(out), *map(str, more)])


def rows(out: Path) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in read_jsonl(out / "provenance.jsonl")}


def digests(out: Path) -> dict[str, str]:
    files = [p for p in out.rglob("*") if p.is_file()]
    return {p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def config(tmp_path: Path, **settings: Any) -> Path:
    path = tmp_path / "augmentation_config.yaml"
    path.write_text(json.dumps({"backoff_s": 0, "retry": 1, "alignment": {"enabled": False}, **settings}))
    return path


def test_names_stay_masks_are_untouched_and_provenance_says_local(folders: tuple[Path, Path, Path]) -> None:
    source, photos, out = folders
    assert restyle(source, out, "--reference", photos) == 0
    told = rows(out)
    assert set(told) == {*NAMES, *ALONG, "top.png"} and list(told) == sorted(told)
    assert set(digests(out)) == {*told, "restyle.json", "provenance.jsonl"}
    for name in NAMES:
        with Image.open(source / name) as before, Image.open(out / name) as after:
            assert (after.size, after.format) == (before.size, before.format)
        row = told[name]
        assert (row["engine"], row["status"]) == ("local", "done") and row["geometry"]["shift_px"] < 0.5
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == row["output_sha256"]
        assert (out / name).read_bytes() != (source / name).read_bytes()
    for name in (*ALONG, "top.png"):
        assert (out / name).read_bytes() == (source / name).read_bytes() and told[name]["engine"] == "copied"


def test_the_same_input_gives_the_same_bytes_and_a_resume_ends_with_them(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Whatever a kill left: a torn log, a lost row, a lost or a damaged file."""
    source, photos, out = folders
    assert restyle(source, out, "--reference", photos) == restyle(source, tmp_path / "twin", "--reference", photos) == 0
    whole = digests(out)
    assert whole == digests(tmp_path / "twin")
    log = out / "provenance.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:5]) + lines[5][:20])
    (out / NAMES[0]).unlink()
    (out / NAMES[2]).write_bytes(b"damaged")
    (out / ".x.png.12345678.part").write_bytes(b"left over")
    assert restyle(source, out, "--reference", photos) == 0
    assert digests(out) == whole


def test_what_is_done_is_kept(folders: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    source, photos, out = folders
    restyle(source, out, "--reference", photos)
    before = {name: (out / name).stat().st_mtime_ns for name in NAMES}
    capsys.readouterr()
    assert restyle(source, out, "--reference", photos, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["kept"], told["copied"], told["failed"]) == (0, 5, 4, {})
    assert {name: (out / name).stat().st_mtime_ns for name in NAMES} == before


def test_other_settings_do_not_mix_into_the_same_folder(folders: tuple[Path, Path, Path]) -> None:
    source, photos, out = folders
    restyle(source, out, "--reference", photos)
    whole = digests(out)
    assert restyle(source, out, "--reference", photos, "--seed", 1) == 2 and digests(out) == whole
    assert restyle(source, out, "--reference", photos, "--seed", 1, "--overwrite") == 0 and digests(out) != whole
    (out.parent / "mine").mkdir()
    (out.parent / "mine" / "work.txt").write_text("of somebody else")
    assert restyle(source, out.parent / "mine", "--reference", photos, "--overwrite") == 2
    assert [p.name for p in (out.parent / "mine").iterdir()] == ["work.txt"]


def test_one_bad_image_costs_one_row(folders: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Also a link that leads out; what an earlier run made of the file before it broke does not stay."""
    source, photos, out = folders
    (source / "out.png").symlink_to(photos / "0.png")
    assert restyle(source, out) == 0 and (out / NAMES[0]).exists()
    (source / NAMES[0]).write_bytes((source / NAMES[0]).read_bytes()[:60])
    assert restyle(source, out) == 0
    told = rows(out)
    assert [name for name, row in told.items() if row["status"] == "failed"] == sorted([NAMES[0], "out.png"])
    assert not (out / NAMES[0]).exists() and not (out / "out.png").exists()
    assert NAMES[0] in capsys.readouterr().err


def test_without_endpoint_and_photos_it_is_a_plain_camera_and_says_so(
    folders: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source, _, out = folders
    assert restyle(source, out, "--dry-run") == 0 and not out.exists()
    assert restyle(source, out) == 0
    assert "plain camera" in capsys.readouterr().err
    assert {row["reference"] for row in rows(out).values() if row["engine"] == "local"} == {"none"}


def test_an_endpoint_is_asked_for_every_image_and_named_in_provenance(
    folders: tuple[Path, Path, Path], service: tuple[str, Service], tmp_path: Path
) -> None:
    source, _, out = folders
    address, behind = service
    assert restyle(source, out, "--endpoint", address, "--config", config(tmp_path)) == 0
    assert [path for path, _ in behind.seen] == [CHAT] * 5
    for name in NAMES:
        row = rows(out)[name]
        assert (row["engine"], row["api"], row["model"], row["model_checked"]) == ("endpoint", "chat", MODEL, True)
        assert row["endpoint"] == address.removesuffix("/v1")
    before = np.asarray(Image.open(source / NAMES[0]).convert("RGB"))
    assert (np.asarray(Image.open(out / NAMES[0]).convert("RGB")) == 255 - before).all()


def test_an_answer_of_another_size_comes_back_onto_the_frame(
    folders: tuple[Path, Path, Path], service: tuple[str, Service], tmp_path: Path
) -> None:
    source, _, out = folders
    address, behind = service
    behind.edit = lambda rgb: np.asarray(Image.fromarray(rgb).resize((224, 160)))
    settings = config(tmp_path, alignment={"shift_range": 4}, resize={"target_megapixels": 0.02, "grid": 16})
    assert restyle(source, out, "--endpoint", address, "--config", settings) == 0
    row = rows(out)[NAMES[0]]
    assert row["answer_size"] == [224, 160] and abs(row["alignment"]["tx"]) < 1 and row["alignment"]["scaleX"] > 2.5
    before, after = (np.asarray(Image.open(p / NAMES[0]).convert("RGB")).astype(int) for p in (source, out))
    assert after.shape == before.shape and np.abs(after - before).mean() < 12


def test_a_given_endpoint_that_fails_is_a_failure_and_never_local(
    folders: tuple[Path, Path, Path], service: tuple[str, Service], tmp_path: Path
) -> None:
    source, photos, out = folders
    address, behind = service
    settings = config(tmp_path)
    assert restyle(source, out, "--endpoint", "http://127.0.0.1:1/v1", "--config", settings) == 1 and not out.exists()
    behind.models = {"data": [{"id": "Qwen/Qwen-Image-Edit-2511"}]}
    assert restyle(source, out, "--endpoint", address, "--config", settings) == 1 and not out.exists()
    assert restyle(source, out, "--endpoint", address, "--reference", photos) == 2 and not out.exists()
    assert behind.seen == []


def test_one_image_that_the_service_refuses_fails_alone_and_the_next_run_mends_it(
    folders: tuple[Path, Path, Path], service: tuple[str, Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, _, out = folders
    address, behind = service
    behind.misbehave = [status(422, "too odd"), say({"choices": [{"message": {"content": []}}]})]
    settings = config(tmp_path, api="chat")
    assert restyle(source, out, "--endpoint", address, "--config", settings) == 1
    failed = {name: row for name, row in rows(out).items() if row["status"] == "failed"}
    assert [row["code"] for row in failed.values()] == ["http_422", "bad_answer"]
    assert not any((out / name).exists() for name in failed) and "too odd" in capsys.readouterr().err
    assert restyle(source, out, "--endpoint", address, "--config", settings) == 0
    assert len(behind.seen) == 5 and all(row["status"] == "done" for row in rows(out).values())


def test_answers_that_are_no_image_fail_their_row(
    folders: tuple[Path, Path, Path], service: tuple[str, Service], tmp_path: Path
) -> None:
    source, _, out = folders
    address, behind = service
    answers = iter([b"<html>", png_of(scene(rng()))[:200], b"GIF89a" + b"\0" * 30, b"\x89PNG\r\n\x1a\n", b"BM"])
    behind.answer = lambda _: next(answers)
    assert restyle(source, out, "--endpoint", address, "--config", config(tmp_path)) == 1
    assert {row["code"] for row in rows(out).values() if row["status"] == "failed"} == {"not_an_image"}
    assert not list(out.rglob("*.part"))


def test_a_service_that_is_gone_stops_the_run_early(
    folders: tuple[Path, Path, Path], service: tuple[str, Service], tmp_path: Path
) -> None:
    """A key that is refused will be refused for all: the rest is not tried, and told so."""
    source, _, out = folders
    address, behind = service
    behind.key = "right"
    assert restyle(source, out, "--endpoint", address, "--config", config(tmp_path)) == 1
    codes = [row["code"] for row in rows(out).values() if row["status"] == "failed"]
    assert sorted(codes) == ["http_401", *["not_tried"] * 4]


@pytest.mark.parametrize("where", ["in", "in/crop/new", "."])
def test_out_and_in_do_not_overlap(folders: tuple[Path, Path, Path], where: str) -> None:
    source, photos, _ = folders
    before = digests(source)
    assert restyle(source, source.parent / where, "--reference", photos) == 2 and digests(source) == before


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert restyle(tmp_path / "in", tmp_path / "out") == 1
    assert restyle(tmp_path / "nowhere", tmp_path / "out") == 1 and not (tmp_path / "out").exists()


def test_picked_images_alone_lie_where_their_folder_lay(folders: tuple[Path, Path, Path]) -> None:
    """<MATERIAL>/<cell>/normal_img/0000.png becomes <MATERIAL>/<cell>/0000.png; masks and other images stay behind."""
    source, _, out = folders
    assert restyle(source / "crop", out, "--pick", "normal_img") == 0
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.*") if p.suffix not in (".json", ".jsonl")} == {
        "IC/x0_y1/0000.png"
    }
    row = rows(out)["IC/x0_y1/0000.png"]
    assert row["input_sha256"] == hashlib.sha256((source / NAMES[0]).read_bytes()).hexdigest()
    assert restyle(source / "crop", out, "--pick", "normal_img") == 0, "the same command goes on"
    assert restyle(source / "crop", out.with_name("other"), "--pick", "nosuch") == 1
