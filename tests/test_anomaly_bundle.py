"""A bundle is read whole and unaltered or not at all, and nothing in it is ever executed."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import room_maker
from noescape.anomaly.bundle import BUNDLE_FILES, Bundle, sign
from noescape.anomaly.fit import fit
from noescape.cli.main import main
from noescape.records import BundleError, NoescapeError, PathEscapeError, UsageError, WorkError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each model."""
    work = tmp_path_factory.mktemp("runs")
    root = room_maker.parts(work / "part", train=4, good=1, blot=1)
    return {name: room_maker.fitted(root, work, name) for name in ("patchcore", "padim")}


@pytest.fixture
def run(made: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a PatchCore run, to be spoilt."""
    return Path(shutil.copytree(made["patchcore"], tmp_path / "run"))


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_text("utf-8"))
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed), "utf-8")


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_a_bundle_opens_and_judges(name: str, made: dict[str, Path]) -> None:
    bundle = Bundle(made[name])
    good, bad = (np.repeat(p[:, :, None], 3, 2) for p in (room_maker.part(7), room_maker.defective(7)[0]))
    detector = bundle.detector()
    assert detector.score(good)[0] < detector.score(bad)[0] > bundle.thresholds["image_threshold"]


@pytest.mark.parametrize("name", BUNDLE_FILES)
@pytest.mark.parametrize("how", ["altered", "cut", "empty", "missing"])
def test_every_file_is_checked(name: str, how: str, run: Path) -> None:
    path = run / name
    data = path.read_bytes()
    middle = len(data) // 2
    spoilt = {
        "altered": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "cut": data[:-1],
        "empty": b"",
    }
    path.unlink() if how == "missing" else path.write_bytes(spoilt[how])
    with pytest.raises(BundleError, match=Path(name).name.replace(".", r"\.")) as caught:
        Bundle(run)
    assert ("missing" if how == "missing" else "was altered") in str(caught.value)


def test_thresholds_edited_by_hand_are_refused_with_the_way_to_change_them(run: Path) -> None:
    edit(run / "thresholds.json", lambda t: t.update(image_threshold=99.0))
    with pytest.raises(BundleError, match=r"thresholds\.json was altered.*noescape tune"):
        Bundle(run)


def test_no_manifest_means_no_finished_run(run: Path) -> None:
    (run / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"no finished run: manifest\.json is missing"):
        Bundle(run)


@pytest.mark.parametrize("listed", ["../outside", "/etc/hostname", "weights/../../x", "C:\\x", "~/x", "extra.txt"])
def test_a_manifest_that_lists_anything_else_is_refused(listed: str, run: Path) -> None:
    """Even where that file is there and its digest is right."""
    edit(run / "manifest.json", lambda m: m["files"].update({listed: "0" * 64}))
    with pytest.raises(BundleError, match=r"must list exactly config\.yaml"):
        Bundle(run)


@pytest.mark.parametrize("name", BUNDLE_FILES)
def test_a_manifest_that_leaves_a_file_out_is_refused(name: str, run: Path) -> None:
    edit(run / "manifest.json", lambda m: m["files"].pop(name) and None)
    with pytest.raises(BundleError, match="must list exactly"):
        Bundle(run)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\x00", '{"files": []}', '{"format": 1}', "[" * 100000])
def test_a_manifest_of_garbage_is_refused(text: str, run: Path) -> None:
    (run / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle(run)


@pytest.mark.parametrize("format_", [0, 2, "1", None, 1e9])
def test_a_format_of_the_future_is_refused(format_: Any, run: Path) -> None:
    edit(run / "manifest.json", lambda m: m.update(format=format_))
    with pytest.raises(BundleError, match="this version of noescape reads 1"):
        Bundle(run)


@pytest.mark.parametrize("name", ["weights/model.safetensors", "thresholds.json", "weights"])
def test_a_link_that_leads_out_is_refused(name: str, run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (run / name).rename(outside)
    (run / name).symlink_to(outside)
    with pytest.raises(PathEscapeError, match="leads out of"):
        Bundle(run)


def test_a_link_that_leads_nowhere_is_refused(run: Path) -> None:
    (run / "meta.json").unlink()
    (run / "meta.json").symlink_to("meta.json")
    with pytest.raises((BundleError, PathEscapeError)):
        Bundle(run)


@pytest.mark.parametrize("key", ["model", "view", "precision", "white_level", "training_appearance", "train_digest"])
@pytest.mark.parametrize("value", [..., None, "x", [], {}, -1])
def test_a_signed_meta_that_is_not_complete_is_refused(key: str, value: Any, run: Path) -> None:
    """The digest is right, the content is not: no KeyError out of the depths."""
    if (key, value) in (("model", "x"), ("precision", "x"), ("train_digest", "x")):
        return  # text, as expected; an unknown model is refused later, see below
    edit(run / "meta.json", lambda m: m.pop(key) and None if value is ... else m.update({key: value}))
    sign(run)
    with pytest.raises(BundleError, match=r"meta\.json or thresholds\.json is not complete"):
        Bundle(run)


@pytest.mark.parametrize("key", ["image_threshold", "pixel_threshold", "map_scale"])
def test_signed_thresholds_that_are_not_complete_are_refused(key: str, run: Path) -> None:
    edit(run / "thresholds.json", lambda t: t.update({key: "high"}))
    sign(run)
    with pytest.raises(BundleError, match="not complete"):
        Bundle(run)


def test_an_unknown_model_is_refused(run: Path) -> None:
    edit(run / "meta.json", lambda m: m.update(model="oracle"))
    sign(run)
    with pytest.raises(BundleError, match="this version knows padim and patchcore"):
        Bundle(run).detector()


def test_a_signed_config_with_an_unknown_key_is_refused(run: Path) -> None:
    (run / "config.yaml").write_text("modell: {}\n")
    sign(run)
    with pytest.raises(UsageError, match="unknown key 'modell', did you mean 'model'"):
        Bundle(run)


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_weights_of_the_other_model_are_refused(name: str, made: dict[str, Path], tmp_path: Path) -> None:
    other = {"patchcore": "padim", "padim": "patchcore"}[name]
    run = Path(shutil.copytree(made[name], tmp_path / "run"))
    shutil.copyfile(made[other] / "weights" / "model.safetensors", run / "weights" / "model.safetensors")
    sign(run)
    with pytest.raises(BundleError, match=f"the weights of a {name} model must hold"):
        _ = Bundle(run).model


class Bomb:
    """Touches its canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


def bombs(canary: Path) -> list[bytes]:
    out = [pickle.dumps(Bomb(canary))]
    for wrapped in ({"bank": Bomb(canary)}, Bomb(canary)):
        saved = io.BytesIO()
        torch.save(wrapped, saved)
        out.append(saved.getvalue())
    array = io.BytesIO()
    np.save(array, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    arrays = io.BytesIO()
    np.savez(arrays, index=np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    return [*out, array.getvalue(), arrays.getvalue()]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("slot", BUNDLE_FILES)
def test_a_pickle_bomb_in_a_bundle_does_not_run(
    slot: str, number: int, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused by the manifest; and where an attacker has signed it too, still not run."""
    canary = tmp_path / "canary"
    (run / slot).write_bytes(bombs(canary)[number])
    with pytest.raises(BundleError, match="was altered"):
        Bundle(run)
    sign(run)
    images = tmp_path / "images"
    shutil.copytree(run.parent.parent / "part", images) if (run.parent.parent / "part").is_dir() else images.mkdir()
    room_maker.put(images / "a.png", room_maker.part(1))
    arguments = ["--input-dir", str(images), "--model-dir", str(run), "--output-dir", str(tmp_path / "out")]
    code = main(["inspect", *arguments])
    said = capsys.readouterr().err
    assert code in (1, 2) and said.startswith("error: ") and "Traceback" not in said
    assert not canary.exists()


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("slot", ["00000.npy", "00000.json", "heldout-0.npz", "identity.json"])
def test_a_pickle_bomb_among_cached_features_does_not_run(
    slot: str, number: int, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit that goes on reads what an earlier one left; the error names the folder to remove."""
    canary = tmp_path / "canary"
    config = room_maker.configured(made["patchcore"].parents[2] / "part", tmp_path / "runs")
    monkeypatch.setattr("noescape.anomaly.fit.learn", stopped)
    with pytest.raises(StoppedError):
        fit(config)
    monkeypatch.undo()
    cache = tmp_path / "runs" / "patchcore" / "part" / "run" / "cache" / "features"
    assert (cache / slot).is_file()
    (cache / slot).write_bytes(bombs(canary)[number])
    with pytest.raises(WorkError, match=r"is damaged .*remove the folder .*features and run the same command again"):
        fit(config)
    assert not canary.exists()
    shutil.rmtree(cache)
    assert (fit(config) / "manifest.json").is_file()


class StoppedError(Exception):
    """Stands for a kill."""


def stopped(*_: object) -> None:
    raise StoppedError


def test_errors_of_bundles_are_errors_that_the_command_line_knows() -> None:
    assert issubclass(BundleError, NoescapeError) and issubclass(PathEscapeError, NoescapeError)
