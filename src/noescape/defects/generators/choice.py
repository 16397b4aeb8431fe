"""The arms that `noescape defects choose` found, put into a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noescape.defects.generators.recipe import Recipe, checked_recipe
from noescape.files import read_json_object
from noescape.records import UsageError


def with_choice(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with the `arms` of a choice.json, an empty object meaning the default mix.

    DataError where the file is no object, UsageError where it is no choice, or where the recipe names other arms:
    two answers to one question.
    """
    choice: dict[str, Any] = read_json_object(path, "a choice of `noescape defects choose`")
    if not isinstance(choice.get("arms"), dict):
        raise UsageError(f"{path}: expected the key `arms` with an object, as `noescape defects choose` writes it")
    if recipe.exemplar.arms and choice["arms"] != recipe.exemplar.arms:
        raise UsageError(f"{path} and the recipe's exemplar.arms both say which arms: leave one out")
    arms = checked_recipe({"exemplar": {"arms": choice["arms"]}}, str(path)).exemplar.arms
    return recipe.model_copy(update={"exemplar": recipe.exemplar.model_copy(update={"arms": arms})})
