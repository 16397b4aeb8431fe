"""What the board flows start from: assets that open again, examples whose masks hold exactly what was spoilt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noescape.board.render.engine import renderer
from noescape.board.setup.assets import SCENE, open_site, shipped, write_assets
from noescape.board.setup.examples import Site, make_examples
from noescape.board.setup.spoil import chances, spoil
from noescape.cli.main import main
from noescape.datasets.anomalygen import read_anomalygen
from noescape.records import DataError, UsageError

SIZE = 96


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    out = tmp_path_factory.mktemp("setup") / "assets"
    write_assets(["0603_H100"], out, renderer("toy"), photos=False)
    return open_site(out / "0603_H100")


@pytest.fixture(scope="module")
def made(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "raw"
    make_examples([site], out, renderer("toy"), per_type=2, clean=2, size=SIZE, seed=3)
    return out


def test_assets_hold_a_scene_that_opens_with_its_own_cookbook(site: Site) -> None:
    assert site.scene.path.name == SCENE
    assert len(site.scene.parts) > 50
    assert {"bridge", "excess_solder", "missing"} <= {kind for kind in ("bridge", "excess_solder", "missing")
                                                     if chances(site.scene, kind)}  # fmt: skip


def test_examples_are_a_data_set_that_learning_and_placement_read(made: Path) -> None:
    dataset = read_anomalygen(made)
    assert {kind.key: len(kind.pairs) for kind in dataset.types} == {
        "IC+bridge": 2, "passive_component+excess_solder": 2, "passive_component+missing": 2,
    }  # fmt: skip
    assert {texture: len(paths) for texture, paths in dataset.clean.items()} == {"IC": 2, "passive_component": 2}
    assert {"capacitor", "ic", "solder", "pad"} & set(dataset.labels.values())
    assert set(dataset.cad) == {path for paths in dataset.clean.values() for path in paths}


def test_each_example_says_that_it_is_rendered_and_from_which_part(made: Path) -> None:
    rows = [json.loads(line) for line in (made / "origin.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 6 and {row["origin"] for row in rows} == {"rendered"}
    assert all((made / row["image"]).is_file() and row["refdes"] for row in rows)
    assert json.loads((made / "source.json").read_text("utf-8"))["origin"] == "rendered"


@pytest.mark.parametrize("kind", ["bridge", "excess_solder", "missing"])
def test_a_spoilt_board_differs_in_the_named_meshes_alone(site: Site, kind: str) -> None:
    """All other meshes are the same objects, in the same order: the renderer keeps what it has built."""
    chance = chances(site.scene, kind)[0]
    done = spoil(site.scene, chance, np.random.default_rng(0))
    old = {mesh.path: mesh for mesh in site.scene.meshes}
    new = {mesh.path: mesh for mesh in done.meshes}
    differ = {path for path in old.keys() | new.keys() if old.get(path) is not new.get(path)}
    assert differ == done.touched and differ


def test_masks_cover_every_pixel_that_changed_but_shadows(made: Path, site: Site, tmp_path: Path) -> None:
    """The toy engine throws no shadows: a good twin differs from its example inside the mask only."""
    from noescape.board.setup import examples

    engine = renderer("toy")
    maker = examples._Maker(sites=[site], out=tmp_path, engine=engine, size=SIZE, seed=3)
    pictures: list[np.ndarray] = []
    shoot = maker._shoot
    maker._shoot = lambda *args: pictures.append((p := shoot(*args)).color) or p  # type: ignore[method-assign]
    for kind in examples.TYPES:
        maker.example([chances(site.scene, kind)], kind, 0)
        good, bad = pictures[-2:]
        (path,) = (tmp_path / examples.TEXTURES[kind] / "mask" / kind).glob("*.png")
        mask = np.asarray(Image.open(path)) > 0
        differ = np.abs(good - bad).max(axis=2) > 1e-3
        assert differ.any() and not (differ & ~mask).any()
        assert (differ & mask).sum() > 0.5 * mask.sum()


def test_same_seed_same_bytes_another_seed_others(site: Site, made: Path, tmp_path: Path) -> None:
    def all_bytes(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    make_examples([site], tmp_path / "again", renderer("toy"), per_type=2, clean=2, size=SIZE, seed=3)
    assert all_bytes(tmp_path / "again") == all_bytes(made)
    make_examples([site], tmp_path / "other", renderer("toy"), per_type=1, clean=1, size=SIZE, seed=4)
    assert not set(all_bytes(tmp_path / "other").values()) >= set(all_bytes(made).values())


def test_what_cannot_be_made_is_said_before_anything_is_written(site: Site, made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'nosuch'; there are .*0603_H100"):
        write_assets(["nosuch"], tmp_path / "a", renderer("toy"))
    with pytest.raises(DataError, match="holds files already"):
        make_examples([site], made, renderer("toy"), per_type=1, clean=1, size=SIZE)
    bare = Site(name="bare", scene=_without_ics(site), target=site.target, config=site.config)
    with pytest.raises(DataError, match="no place for bridge on bare"):
        make_examples([bare], tmp_path / "b", renderer("toy"), per_type=1, clean=1, size=SIZE)
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    assert main(["board", "setup", "examples", str(tmp_path), "--output-dir", str(tmp_path / "c")]) == 1


def _without_ics(site: Site):
    from dataclasses import replace

    return replace(site.scene, parts=tuple(part for part in site.scene.parts if part.klass != "ic"))


def test_the_shipped_boards_are_those_of_the_cookbooks() -> None:
    assert {"0603_H100", "1152819000"} <= set(shipped())
