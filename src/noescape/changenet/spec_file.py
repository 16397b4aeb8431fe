"""Read a spec: everything that is wrong with it in one error, unknown keys with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from noescape.changenet.spec import Spec
from noescape.files import dump_yaml, load_yaml, parse_yaml
from noescape.records import UsageError

DEFT_SPEC = """\
task: classify
train:
  classify: {loss: ce, cls_weight: [1.0, 10.0]}
  optim: {lr: 1.0e-5, optim: adamw, policy: linear, momentum: 0.9, weight_decay: 0.01, monitor: val_loss}
  num_epochs: 10
  checkpoint_interval: 5
  validation_interval: 10
model:
  backbone: {type: c_radio_v2_vit_base_patch16_224, freeze_backbone: false}
  decode_head: {feature_strides: [4, 8, 16, 32], use_summary_token: true, decoder_params: {embed_dim: 256}}
  classify:
    train_margin_euclid: 2.0
    eval_margin: 0.3
    embedding_vectors: 5
    embed_dec: 30
    difference_module: learnable
    learnable_difference_modules: 4
dataset:
  classify:
    batch_size: 16
    workers: 2
    fpratio_sampling: 0.2
    num_input: 1
    input_map: {SolderLight: 0}
    concat_type: linear
    grid_map: {x: 2, y: 2}
    image_ext: .jpg
    image_width: 224
    image_height: 224
    num_classes: 2
    augmentation_config: {augment: true}
noescape: {backbone: efficientnet_lite0}
"""


def load_spec(path: Path, overrides: Sequence[str] = ()) -> Spec:
    """The spec in `path`, with `overrides` (`train.num_epochs=3`) laid over it.

    UsageError lists every unknown key (with the nearest known one), every wrong value, and a loss that does not go with
    its difference module.
    """
    value = load_yaml(path)
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a mapping of keys, got {type(value).__name__}")
    return parse_spec(with_overrides(value, overrides), str(path))


def deft_spec() -> Spec:
    """The baseline of the improvement loop, with the offline backbone."""
    return parse_spec(parse_yaml(DEFT_SPEC), "the baseline spec")


def parse_spec(value: dict[str, Any], where: str) -> Spec:
    """Plain values as a spec; UsageError lists what is wrong."""
    problems = list(_unknown(value, Spec, ""))
    policy = value.get("automl_policy")
    if policy not in (None, False, "off", "on", True):
        problems.append(f"automl_policy: expected off, got {policy!r}")
    try:
        spec = Spec.model_validate(value)
    except ValidationError as error:
        problems += [_said(e) for e in error.errors() if e["type"] != "extra_forbidden"]
    if problems:
        raise UsageError(f"{where}: " + "; ".join(problems))
    return spec.model_copy(update={"automl_policy": "off"})


def spec_text(spec: Spec) -> str:
    """The spec as a file that reads back to the same, every default written out."""
    return dump_yaml(spec.model_dump(mode="json"))


def with_overrides(value: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`value` with each `dotted.key=value` set; values are YAML (`[1, 2]`, `null`, `true`). UsageError without `=`."""
    out: dict[str, Any] = _copied(value)
    for text in overrides:
        key, equals, given = text.partition("=")
        if not equals or not key:
            raise UsageError(f"override {text!r}: expected KEY=VALUE, like train.num_epochs=3")
        place = out
        *steps, last = key.split(".")
        for step in steps:
            if place.get(step) is None:
                place[step] = {}
            place = place[step]
            if not isinstance(place, dict):
                raise UsageError(f"override {text!r}: {step} is a value, not a section")
        place[last] = parse_yaml(given, name=f"override {key}")
    return out


def _copied(value: Any) -> Any:
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def _unknown(value: Any, part: type[BaseModel], where: str) -> Iterator[str]:
    """Every key that `part` does not have, at any depth, in the order of the file."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        field = part.model_fields.get(str(key))
        if field is None:
            near = difflib.get_close_matches(str(key), part.model_fields, 1)
            yield f"unknown key {where + str(key)!r}" + (f", did you mean {where + near[0]!r}?" if near else "")
            continue
        section = _section(field.annotation)
        if section is not None:
            yield from _unknown(inner, section, f"{where}{key}.")


def _section(kind: Any) -> type[BaseModel] | None:
    if get_origin(kind) is None:
        return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    found = [s for s in map(_section, get_args(kind)) if s is not None] if _is_union(kind) else []
    return found[0] if found else None


def _is_union(kind: Any) -> bool:
    import types

    return get_origin(kind) in (Union, types.UnionType)


def _said(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"] or problem["type"] == "value_error":
        return f"{where}: {text}" if where else text
    return f"{where}: {text}, got {problem['input']!r}"
