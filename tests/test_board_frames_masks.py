"""The files of a frame: masks without mixed colours, boxes of what is seen, the share hidden, depth in 16 bits."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from PIL import Image

from board_meshes import RINGS, board, box, camera
from noescape.board.crop.instances import make_instances
from noescape.board.crop.palette import read_palette
from noescape.board.model import Mesh, Picture
from noescape.board.render import renderer
from noescape.board.render.colours import KNOWN, colours, key_of, shown_labels
from noescape.board.render.masks import (
    Names,
    depth_file,
    depth_scale,
    instance_files,
    number_instances,
    semantic_files,
)
from noescape.records import DataError

TYPES = ("class", "defect")
LID = box("/Lid", (-1.5, -0.2, 2), (2, 0.2, 2.2), **{"class": "connector", "refdes": "J1"})
BARE = box("/Bare", (4, 2, 0), (5, 3, 0.5))


def _names(meshes: tuple[Mesh, ...]) -> Names:
    wanted = (shown_labels(mesh.labels, TYPES) for mesh in meshes)
    return Names(numbers=number_instances(meshes), colours=colours(w for w in wanted if w), types=TYPES)


def _picture(meshes: tuple[Mesh, ...]) -> Picture:
    return renderer("toy").render(meshes, camera((160, 110), wide=11.0), RINGS, spp=1, bounces=1, seed=0)


def _decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_every_pixel_of_the_semantic_mask_has_a_colour_of_the_table() -> None:
    """The mask holds no other colour, each is that of its mesh, and unlabelled things are black."""
    meshes = (*board(LID), BARE)
    picture = _picture(meshes)
    mask, table = semantic_files(picture, meshes, _names(meshes))
    found, rgb = json.loads(table), _decoded(mask)
    assert found["(0, 0, 0, 0)"] == {"class": "BACKGROUND"} and found["(0, 0, 0, 255)"] == {"class": "UNLABELLED"}
    said = {key: value for key, value in found.items() if value["class"].islower()}
    assert {value["class"] for value in said.values()} == {"pcb", "capacitor", "ic", "solder", "connector"}
    for at, mesh in enumerate(meshes, 1):
        colour = {tuple(c) for c in rgb[picture.mesh == at].tolist()}
        expected = {(0, 0, 0)} if mesh is BARE else {KNOWN[mesh.labels["class"]]}
        assert colour == expected, mesh.path
    assert not rgb[picture.mesh == 0].any()
    palette = read_palette(found, "here")
    assert {m.classes[0] for m in palette.values() if m.classes} == {value["class"] for value in said.values()}


def test_a_defect_has_a_colour_of_its_own_only_where_it_is_asked_for() -> None:
    meshes = board()
    spoilt = (meshes[0], *(replace(m, labels={**m.labels, "defect": "shift"}) for m in meshes[1:3]), *meshes[3:])
    _, table = semantic_files(_picture(spoilt), spoilt, _names(spoilt))
    assert {"class": "capacitor", "defect": "shift"} in json.loads(table).values()
    plain = replace(_names(spoilt), types=("class",), colours=colours([(("class", k),) for k in KNOWN]))
    _, table = semantic_files(_picture(spoilt), spoilt, plain)
    assert all("defect" not in value for value in json.loads(table).values())


def test_colours_hang_on_the_labels_alone_and_never_meet() -> None:
    sets = [(("class", c),) for c in KNOWN] + [
        (("class", c), ("defect", d)) for c, d in product(KNOWN, ("shift", "tombstone", "sideflip", "missing", "ё"))
    ]
    sets += [(("class", f"own {n}"),) for n in range(3000)]
    every = colours(sets)
    assert len(set(every.values())) == len(sets) and (0, 0, 0) not in every.values()
    assert colours(sets[3:5]) == {one: every[one] for one in sets[3:5]}
    assert colours(reversed(sets)) == every
    assert key_of((1, 2, 3)) == "(1, 2, 3, 255)"


def test_boxes_are_tight_round_what_is_seen_and_hidden_is_the_share_covered() -> None:
    meshes = board(LID)
    picture = _picture(meshes)
    mask, table, boxes = instance_files(picture, meshes, _names(meshes))
    ids, rows = _decoded(mask), json.loads(boxes)
    assert ids.dtype == np.uint16 or ids.dtype == np.int32
    assert {row["path"] for row in rows} == {mesh.instance for mesh in meshes}
    for row in rows:
        y, x = np.nonzero(ids == row["id"])
        assert row["box"] == [x.min(), y.min(), x.max() + 1, y.max() + 1] and row["pixels"] == len(y)
        alone = tuple(mesh for mesh in meshes if mesh.instance == row["path"])
        whole = int((_picture(alone).mesh > 0).sum())
        assert row["hidden"] == round(1 - len(y) / whole, 6), row["path"]
    assert {row["path"]: row["hidden"] > 0 for row in rows}["/U1"] is True
    known = make_instances(ids.astype(np.uint16), json.loads(table), rows)
    assert known.by_path["/C1"].labels["refdes"] == "C1" and not known.unknown


def test_a_part_whose_leads_count_as_solder_is_what_its_body_is() -> None:
    """Rules for mask placement call leads solder; the component must not go by that name, in whatever order."""
    meshes = tuple(
        replace(mesh, labels={**mesh.labels, "class": ("solder", "ic")[n % 2]}) if mesh.instance == "/C1" else mesh
        for n, mesh in enumerate(board(LID))
    )
    assert [m.labels["class"] for m in meshes if m.instance == "/C1"] in (["solder", "ic"], ["ic", "solder"])
    for order in (meshes, meshes[::-1]):
        _, table, _ = instance_files(_picture(order), order, _names(order))
        assert [row["class"] for row in json.loads(table).values() if row["path"] == "/C1"] == ["ic"]


def test_a_part_of_two_meshes_is_one_instance_and_numbers_stay_from_frame_to_frame() -> None:
    numbers = number_instances(board(LID))
    assert list(numbers.values()) == [1, 2, 3, 4, 5] and numbers["/C1"] == 2
    moved = tuple(replace(m, points=m.points + np.float32(0.3)) for m in board(LID))
    assert number_instances(moved) == numbers


def test_more_things_than_16_bits_tell_apart_are_refused() -> None:
    one = board()[1]
    many = [replace(one, instance=f"/I{at}") for at in range(65536)]
    with pytest.raises(DataError, match="65536"):
        number_instances(many)
    assert number_instances(many[:-1])["/I65534"] == 65535


@pytest.mark.parametrize("height", [0.5, 30.0, 100.0, 900.0])
def test_depth_comes_back_from_16_bits(height: float) -> None:
    """In micrometres, or coarser where a scene is too high for them; 0 is nothing."""
    meshes = board(box("/Tower", (4, -1, 0), (5, 1, height)))
    view = camera((64, 48), z=height + 5, wide=14.0)
    picture = renderer("toy").render(meshes, view, RINGS, spp=1, bounces=1, seed=0)
    scale = depth_scale(meshes)
    values = _decoded(depth_file(picture, view.z, scale)).astype(float)
    assert ((values == 0) == (picture.mesh == 0)).all()
    seen = values > 0
    z = scale.near_z - values[seen] * scale.unit
    assert np.abs(z - (view.z - picture.depth[seen])).max() <= scale.unit * 0.51 + 1e-4
    assert scale.unit == (0.001 if height < 60 else scale.unit) and values.max() < 65536


def test_the_same_picture_gives_the_same_bytes() -> None:
    meshes = board(LID)
    one, two = ((semantic_files(p, meshes, _names(meshes)), instance_files(p, meshes, _names(meshes)))
                for p in (_picture(meshes), _picture(meshes)))  # fmt: skip
    assert one == two
