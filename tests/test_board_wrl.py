"""Models of parts: VRML read by our own reader, hostile files refused in one clear line, meshes cached by digest."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.board.parts.models import load_model
from noescape.board.parts.step import read_glb
from noescape.board.parts.vrml import parse_vrml
from noescape.records import DataError, NoescapeError, UsageError
from solid_checks import sound

HEAD = "#VRML V2.0 utf8\n"
BOX = """geometry IndexedFaceSet { coord Coordinate { point [0 0 0, 1 0 0, 1 1 0, 0 1 0, 0 0 1, 1 0 1, 1 1 1, 0 1 1] }
 coordIndex [3,2,1,0,-1, 4,5,6,7,-1, 0,1,5,4,-1, 1,2,6,5,-1, 2,3,7,6,-1, 3,0,4,7] creaseAngle %s }"""
SHAPE = "Shape { %s appearance Appearance { material DEF PIN-01 Material { diffuseColor 0.8 0.8 0.8 shininess 0.4 } } }"


def _file(folder: Path, text: str, name: str = "part.wrl") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_a_box_comes_in_mm_with_its_material(tmp_path: Path) -> None:
    """Tenths of an inch to mm, quads to triangles, outward faces, metal by KiCad's names, sRGB made linear."""
    (piece,) = load_model(_file(tmp_path, HEAD + SHAPE % (BOX % "0")))
    sound(piece)
    assert len(piece.faces) == 12
    assert np.allclose(piece.points.max(0), 2.54) and np.allclose(piece.points.min(0), 0)
    assert piece.name == "Model_PIN_01" and piece.material.metallic == 1
    assert piece.material.base_color[0] == pytest.approx(0.604, abs=0.005)
    middle = piece.points[piece.faces].mean(1) - 1.27
    assert piece.normals is not None
    assert ((middle * piece.normals[piece.faces].mean(1)).sum(1) > 0).all()


def test_def_and_use_share_materials_and_shapes(tmp_path: Path) -> None:
    """Two shapes of one material are one piece; a used node is there twice."""
    text = HEAD + SHAPE % (BOX % "0") + "Shape { " + BOX % "0" + " appearance Appearance { material USE PIN-01 } }"
    (piece,) = load_model(_file(tmp_path, text))
    assert len(piece.faces) == 24
    twice = HEAD + "DEF B " + SHAPE % (BOX % "0") + " Transform { translation 5 0 0 children [ USE B ] }"
    (piece,) = load_model(_file(tmp_path, twice))
    assert len(piece.faces) == 24 and piece.points[:, 0].max() == pytest.approx(6 * 2.54)


def test_transforms_nest_and_mirrors_keep_faces_outward(tmp_path: Path) -> None:
    text = (
        HEAD
        + "Transform { rotation 0 0 1 1.5707963 scale 2 1 1 children Group { children "
        + "Transform { scale -1 1 1 children ["
        + SHAPE % (BOX % "0")
        + "] } } }"
    )
    (piece,) = load_model(_file(tmp_path, text))
    assert np.allclose(piece.points.min(0), [-2.54, -5.08, 0], atol=1e-4)
    a, b, c = (piece.points[piece.faces[:, k]] for k in range(3))
    assert float(np.einsum("ij,ij->", a, np.cross(b, c))) > 0


def test_crease_angle_smooths_what_is_flatter(tmp_path: Path) -> None:
    (sharp,) = load_model(_file(tmp_path, HEAD + SHAPE % (BOX % "0.5"), "a.wrl"))
    (smooth,) = load_model(_file(tmp_path, HEAD + SHAPE % (BOX % "3.1"), "b.wrl"))
    assert sharp.normals is not None and smooth.normals is not None
    assert np.isclose(np.abs(sharp.normals).max(1), 1).all()
    assert np.abs(smooth.normals).max() < 0.9


FACE = HEAD + "Shape { geometry IndexedFaceSet { coord Coordinate { point [0 0 0 1 0 0 %s] } coordIndex [0 1 %s -1] } }"
DOUBLED = "".join(f"DEF A{k + 1} Group {{ children [ USE A{k} USE A{k} ] }}\n" for k in range(40))
BAD = {
    "empty": "", "not vrml": "solid cube\nfacet", "vrml 1": "#VRML V1.0 ascii\nSeparator {}", "nothing in it": HEAD,
    "cut off": HEAD + (SHAPE % (BOX % "0"))[:120], "no brace": HEAD + "Shape geometry",
    "proto": HEAD + "PROTO Foo [] { Shape {} }",
    "point out of range": FACE % ("0 1 0", "7"),
    "minus two": FACE % ("0 1 0", "-2"),
    "half a point": FACE % ("0 1 0 4", "2"),
    "not finite": FACE % ("0 1e999 0", "2"),
    "words in numbers": HEAD + "Shape { geometry IndexedFaceSet { coordIndex [0 1 two -1] } }",
    "use before def": HEAD + "Shape { geometry USE nobody }", "itself": HEAD + "DEF A Group { children [ USE A ] }",
    "too deep": HEAD + "Group { children [" * 200, "open list": HEAD + "Group { children [ Shape { }",
    "doubling": HEAD + "DEF A0 Group { }" + DOUBLED + "USE A40",
    "binary": HEAD + "\x00\x01\x02\x7f{{{]]]",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_one_clear_error(name: str, tmp_path: Path) -> None:
    """Named by its path, whatever is wrong; never a traceback, never a hang."""
    path = _file(tmp_path, BAD[name], "a part's 模型.wrl")
    with pytest.raises(DataError) as caught:
        load_model(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


WORDS = """Shape { } [ ] DEF USE a 1 -1 geometry IndexedFaceSet point coord
Coordinate coordIndex TRUE "x" Transform children #"""


@settings(max_examples=150)
@given(st.lists(st.sampled_from([*WORDS.split(), "0 0 0, 1 0 0, 0 1 0"]), max_size=30))
def test_no_row_of_words_breaks_the_reader(words: list[str]) -> None:
    try:
        parse_vrml((HEAD + " ".join(words)).encode(), "x.wrl")
    except DataError as error:
        assert str(error).startswith("x.wrl")


def test_the_cache_gives_back_what_the_reader_gave(tmp_path: Path) -> None:
    """Same arrays from the cache; a changed file is read again; a torn or alien cache file is made anew."""
    path, cache = _file(tmp_path, HEAD + SHAPE % (BOX % "0.5")), tmp_path / "cache"
    first, second = load_model(path, cache), load_model(path, cache)
    (kept,) = cache.iterdir()
    for a, b in zip(first, second, strict=True):
        assert a.points.tobytes() == b.points.tobytes() and a.faces.tobytes() == b.faces.tobytes()
        assert a.material == b.material and a.name == b.name and a.normals is not None and b.normals is not None
    before = kept.read_bytes()
    for bad in (b"", before[: len(before) // 2], b"PK\x03\x04garbage", json.dumps({}).encode()):
        kept.write_bytes(bad)
        assert len(load_model(path, cache)[0].faces) == 12
        assert kept.read_bytes() == before
    _file(tmp_path, HEAD + SHAPE % (BOX % "0") + SHAPE % (BOX % "0"))
    assert len(load_model(path, cache)[0].faces) == 24


def test_wrong_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such model"):
        load_model(tmp_path / "none.wrl")
    with pytest.raises(UsageError, match=r"\.wrl, \.step"):
        load_model(_file(tmp_path, "", "part.obj"))


def test_step_without_its_reader_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="cascadio"):
        load_model(_file(tmp_path, "ISO-10303-21;", "part.step"))


def _glb(**changes: object) -> bytes:
    points = np.array([[0, 0, 0], [0.001, 0, 0], [0, 0.002, 0]], np.float32)
    head: dict[str, object] = {
        "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "translation": [0, 0, 0.001]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.5, 0.52, 1]}}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
                      {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 6}],
    }  # fmt: skip
    head.update(changes)
    text = json.dumps(head).encode()
    body = points.tobytes() + np.array([0, 1, 2], np.uint16).tobytes()
    return (
        b"glTF"
        + struct.pack("<II", 2, 0)
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(body), b"BIN\0")
        + body
    )


def test_what_the_step_reader_makes_is_read_in_mm() -> None:
    (piece,) = read_glb(_glb(), "part.step")
    sound(piece)
    assert np.allclose(piece.points, [[0, 0, 1], [1, 0, 1], [0, 2, 1]], atol=1e-5) and piece.material.metallic == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _glb()[:40],
        _glb()[:-20],
        _glb(nodes=[{"children": [0]}]),
        _glb(scenes=[]),
        _glb(accessors=[]),
        _glb(bufferViews=[{"byteOffset": 9999}] * 2),
    ],
)
def test_a_torn_mesh_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(NoescapeError, match=r"part\.step"):
        read_glb(data, "part.step")
