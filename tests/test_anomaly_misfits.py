"""Parts of different runs under one true signature: refused before the first image, with what was expected and came."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import room_maker
from dataset_maker import put
from noescape.anomaly.bundle import Bundle, sign
from noescape.cli.main import main
from noescape.records import BundleError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return room_maker.parts(tmp_path_factory.mktemp("data") / "part", train=4, good=0, blot=0)


@pytest.fixture(scope="module")
def own(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return room_maker.fitted(root, tmp_path_factory.mktemp("own"))


def mixed(own: Path, other: Path, into: Path, *names: str) -> Path:
    """`own` with some files of `other`, signed anew: every digest is right."""
    run = Path(shutil.copytree(own, into))
    for name in names:
        shutil.copyfile(other / name, run / name)
    sign(run)
    return run


GRAPH = ("weights/embedding.xml", "weights/embedding.bin")
MISFITS: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "taller input": ({"image_size": [96, 64]}, GRAPH, r"expected a graph from 64 x 64 RGB pixels.*1,96,64,3"),
    "finer grid": ({"grid": 16}, GRAPH, r"to 64 patches, as meta\.json says; the graph gives 256 patches"),
    "other layer": ({"layers": ["blocks.2"]}, GRAPH, r"gives 64 patches of 40 features, the model is of 24"),
    "other model": ({"layers": ["blocks.2"]}, ("weights/model.safetensors",), r"of 24 features, the model is of 40"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_a_signed_mixture_of_two_runs_is_a_clear_error(
    kind: str, root: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, names, told = MISFITS[kind]
    run = mixed(own, room_maker.fitted(root, tmp_path / "other", **changes), tmp_path / "mixed", *names)
    with pytest.raises(BundleError, match=told) as caught:
        Bundle(run).detector()
    assert str(run) in str(caught.value) and "Copy the whole run folder again" in str(caught.value)
    put(tmp_path / "in" / "a.png", room_maker.part(1))
    places = ["--input-dir", str(tmp_path / "in"), "--model-dir", str(run), "--output-dir", str(tmp_path / "out")]
    assert main(["inspect", *places]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


def test_padim_of_other_positions_is_a_clear_error(root: Path, tmp_path: Path) -> None:
    own = room_maker.fitted(root, tmp_path / "own", "padim")
    other = room_maker.fitted(root, tmp_path / "other", "padim", grid=4)
    run = mixed(own, other, tmp_path / "mixed", "weights/model.safetensors")
    with pytest.raises(BundleError, match=r"gives 64 patches of 24 features, the model is of .* at 16 positions"):
        Bundle(run).detector()


def test_a_graph_without_a_fixed_size_is_a_clear_error(own: Path, tmp_path: Path) -> None:
    import openvino as ov

    run = Path(shutil.copytree(own, tmp_path / "run"))
    graph = ov.Core().read_model(run / "weights" / "embedding.xml")
    graph.reshape([1, -1, -1, 3])
    ov.save_model(graph, tmp_path / "embedding.xml", compress_to_fp16=False)
    for name in GRAPH:
        shutil.copyfile(tmp_path / Path(name).name, run / name)
    sign(run)
    with pytest.raises(BundleError, match=r"embedding\.xml"):
        Bundle(run).detector()


@pytest.mark.parametrize("changes", [{"tile": 32, "overlap": 0}, {"grid": None}, {"image_size": [96, 64]}])
@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_whole_runs_are_no_misfits(name: str, changes: dict[str, Any], root: Path, tmp_path: Path) -> None:
    Bundle(room_maker.fitted(root, tmp_path, name, **changes)).detector()
