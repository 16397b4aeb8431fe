"""The file formats of an exported graph: how each is written, and how it is run in its own runtime."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from noescape.anomaly.exported_graph import DetectorGraph
from noescape.anomaly.parity import Judgement
from noescape.features.runtime import convert_to_openvino, save_openvino
from noescape.records import UsageError

U8 = npt.NDArray[np.uint8]
Size = tuple[int, int]
INPUT, OUTPUTS = "rgb", ("anomaly_map", "pred_score")
# Intel CPUs with bfloat16 units would otherwise round to 8 bits of mantissa without being asked.
OPENVINO_CONFIG = {"INFERENCE_PRECISION_HINT": "f32"}
ONNX_OPSET = 18
ONNX_MAX_BYTES = 2**31 - 2**26  # a protobuf message ends at 2 GiB; some room for the graph around its numbers


@dataclass(frozen=True, kw_only=True)
class Format:
    """One row: the `files` that `write(graph, size, folder)` makes, `load(folder)` to run them, the `packages` whose
    versions matter, and the runtime's settings that the figures hold for."""

    files: tuple[str, ...]
    write: Callable[[DetectorGraph, Size, Path], None]
    load: Callable[[Path], Judgement]
    packages: tuple[str, ...]
    settings: dict[str, str]


def write_openvino(graph: DetectorGraph, size: Size, folder: Path) -> None:
    """model.xml and model.bin, weights in full precision."""
    model = convert_to_openvino(graph, size)
    model.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(model.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    save_openvino(model, folder / "model.xml")


def load_openvino(folder: Path) -> Judgement:
    """Run model.xml on the CPU in float32."""
    import openvino as ov

    compiled = ov.Core().compile_model(folder / "model.xml", "CPU", OPENVINO_CONFIG)

    def judge(rgb: U8) -> tuple[float, npt.NDArray[np.float32]]:
        out = compiled({INPUT: rgb[None]})
        return float(out["pred_score"]), np.asarray(out["anomaly_map"], np.float32)

    return judge


def write_onnx(graph: DetectorGraph, size: Size, folder: Path) -> None:
    """model.onnx, one file. UsageError where its numbers exceed what one file may hold."""
    held = sum(t.numel() * t.element_size() for t in graph.state_dict().values())
    if held > ONNX_MAX_BYTES:
        raise UsageError(f"--format onnx: {held >> 20} MiB of numbers do not fit into one file (2 GiB); use openvino")
    with _quiet():
        program = torch.onnx.export(
            graph,
            (torch.zeros(1, *size, 3, dtype=torch.uint8),),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=ONNX_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - only the older exporter returns nothing
    proto = program.model_proto
    # Each node comes with the call stack that made it: paths of this machine, and other bytes on the next one.
    for node in proto.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for part in (proto.graph, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        part.ClearField("metadata_props")
    del proto.metadata_props[:]
    proto.graph.name = type(graph).__name__
    (folder / "model.onnx").write_bytes(proto.SerializeToString(deterministic=True))


def load_onnx(folder: Path) -> Judgement:
    """Run model.onnx in onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
    )

    def judge(rgb: U8) -> tuple[float, npt.NDArray[np.float32]]:
        anomaly_map, score = session.run(list(OUTPUTS), {INPUT: rgb[None]})
        return float(score), np.asarray(anomaly_map, np.float32)

    return judge


GRAPH_FORMATS = {
    "openvino": Format(
        files=("model.xml", "model.bin"),
        write=write_openvino,
        load=load_openvino,
        packages=("openvino",),
        settings=OPENVINO_CONFIG,
    ),
    "onnx": Format(
        files=("model.onnx",),
        write=write_onnx,
        load=load_onnx,
        packages=("onnx", "onnxscript", "onnxruntime"),
        settings={},
    ),
}


def require_packages(name: str) -> None:
    """UsageError with the command that helps where the format needs what is not installed."""
    lacking = [package for package in GRAPH_FORMATS[name].packages if importlib.util.find_spec(package) is None]
    if lacking:
        raise UsageError(f"--format {name} needs {', '.join(lacking)}: pip install 'noescape[{name}]'")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on its own inside and on packages that a graph like ours does not need."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)
