"""Flows are found by name, alias or path; values of knobs are checked; and only cards know what flows make."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

import noescape.flow
from noescape.files import load_yaml
from noescape.flow.cards.card import Card
from noescape.flow.cards.catalog import Flow, cards_of, configs, find, flows, planned
from noescape.flow.cards.knobs import Type, keeps_its_text, problem_with
from noescape.records import UsageError

GOOD = configs() / "structural_defect_generation.card.yaml"


def test_an_unknown_name_gets_the_nearest_and_an_alias_the_flow() -> None:
    with pytest.raises(UsageError, match="did you mean structural_defect_generation"):
        find("structural_defect_generatoin")
    with pytest.raises(UsageError, match="no such workflow file"):
        find("./nowhere.yaml")
    assert find("setup_metal_surface").stem == "setup_metal"
    assert "inspect_folder" in planned(find("finetune")) or find("finetune").ready


def test_a_workflow_of_ones_own_is_found_by_path_with_its_card(tmp_path: Path) -> None:
    path = tmp_path / "my flow.yaml"
    path.write_text("workflow: {name: x, tasks: []}\n", "utf-8")
    assert find(str(path)) == Flow(stem="my flow", path=path, card=None, place=str(path))
    shutil.copy(GOOD, tmp_path / "my flow.card.yaml")
    card = find(str(path)).card
    assert isinstance(card, Card) and card.order == 30
    with pytest.raises(UsageError, match="is a card; give the workflow"):
        find(str(tmp_path / "my flow.card.yaml"))


def test_two_flows_of_one_stem_are_refused(tmp_path: Path) -> None:
    (tmp_path / "setup").mkdir()
    for folder in (tmp_path, tmp_path / "setup"):
        (folder / "a.yaml").write_text("workflow: {}\n", "utf-8")
    with pytest.raises(UsageError, match="two flows are called a"):
        flows(tmp_path)


KNOB_CASES: list[tuple[Type, dict[str, object], list[str], list[str]]] = [
    ("int", {"min": 1, "max": 9}, ["1", "9"], ["0", "10", "x", "1.5", "", "nan"]),
    ("int", {"min": 1, "words": {"-1": "all", "null": "no"}}, ["-1", "null", "3"], ["-2", "0"]),
    ("float", {"min": 0, "max": 1}, ["0.5", "1"], ["2", "nan", "inf", "x"]),
    ("bool", {}, ["true", "false"], ["True", "yes", "1", ""]),
    ("choice", {"choices": ("a", "b")}, ["a"], ["c", "", "A"]),
    ("list", {"choices": ("a", "b")}, ["a", "b,a"], ["a,a", "a,", "c", ""]),
    ("json", {}, ['[["a","b"]]'], ["[", ""]),
    ("url", {}, ["http://h:8000/v1", "https://h"], ["h", "ftp://h", "http://", "http://u:p@h/"]),
    ("size", {}, ["8Gi"], ["8GB", "8g"]),
    ("place", {}, ["a b", "s3://b"], ["", "  "]),
]


@pytest.mark.parametrize(("kind", "more", "good", "bad"), KNOB_CASES)
def test_values_of_knobs_are_checked(kind: Type, more: dict[str, object], good: list[str], bad: list[str]) -> None:
    from noescape.flow.cards.card_parts import Knob

    knob = Knob.model_validate({"type": kind, "stage": "s", "help": "h", **more})
    assert [problem_with(knob, text) for text in good] == [""] * len(good)
    assert all(repr(text) in problem_with(knob, text) for text in bad)


def test_text_that_a_number_would_change_is_known() -> None:
    """`--set` reads numbers as Python does: 115_2819_000 and 007 would come out otherwise, 1152819000 would not."""
    assert [keeps_its_text(t) for t in ("0603_H100", "1152819000", "115_2819_000", "007", "1e5", "nan")] == [
        True, True, False, False, False, True,
    ]  # fmt: skip


# Words of cards that are also words of every day, of shells, of containers and of masking secrets.
EVERYDAY = {
    "missing",
    "break",
    "broken",
    "short",
    "good",
    "normal",
    "ok",
    "clean",
    "shift",
    "shifted",
    "offset",
    "image",
}
EVERYDAY |= {"name", "dig_url_root", "profile", "cpu", "memory", "gpu", "storage", "data", "new", "seed", "evaluate"}
EVERYDAY |= {"absent", "exec_timeout", "queue_timeout", "usecase", "flipped", "engine", "clean", "resolution"}
PICTURE_WORDS = {
    "images",
    "pixel",
    "pixels",
    "defect",
    "defects",
    "crop",
    "crops",
    "photo",
    "photos",
    "anomaly",
    "pcba",
}


def _words_of_cards() -> set[str]:
    words = set(PICTURE_WORDS)
    for _, card in cards_of(flows()):
        words |= card.usecases.keys() | card.classes.keys() | card.knobs.keys() | card.absent.keys()
        words |= {word for made in card.classes.values() for word in made.also}
    return {word.lower() for word in words} - EVERYDAY


def test_no_code_of_flow_knows_what_flows_make() -> None:
    """No class, use case or knob of a card, and no word of pictures, in any name or text of `flow/`, comments aside."""
    words = _words_of_cards()
    assert {"bridge", "tombstone", "oil", "pcb", "num_sdg", "render_patches", "crop_max_emit"} <= words
    folder = Path(noescape.flow.__file__).parent
    found = []
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
        for node in ast.walk(tree):
            for text in _texts(node, prose):
                hits = words & set(re.findall(r"[a-z0-9_]+", text.lower()))
                found += [f"{path.name}: {hit} in {text[:60]!r}" for hit in sorted(hits)]
    assert found == []


def _texts(node: ast.AST, prose: set[int]) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [] if id(node) in prose else [node.value]
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    return []


def test_cards_are_read_by_the_strict_reader() -> None:
    """No card holds anything but plain YAML."""
    for path in configs().rglob("*.card.yaml"):
        assert isinstance(load_yaml(path), dict)
