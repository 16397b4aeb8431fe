"""Checkpoints as torch modules that exporters understand, and the two file formats."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from noescape.changenet.cached.scorer import CachedScorer
from noescape.changenet.scorer import Scorer
from noescape.changenet.siamese.scorer import SiameseScorer
from noescape.features.runtime import convert_to_openvino, save_openvino
from noescape.records import UsageError

U8 = npt.NDArray[np.uint8]
Size = tuple[int, int]
INPUT, OUTPUT, OPSET = "pair", "siamese_score", 18


class CachedGraph(nn.Module):
    """Descriptor and head."""

    weight: Tensor

    def __init__(self, scorer: CachedScorer) -> None:
        super().__init__()
        self.descriptor = scorer.describer.module
        self.register_buffer("weight", torch.from_numpy(scorer.head.weights.astype(np.float32)))
        self.bias = float(scorer.head.bias)

    def forward(self, pair: Tensor) -> Tensor:
        """The score, a scalar."""
        return torch.sigmoid((self.descriptor(pair) * self.weight).sum() + self.bias)


class SiameseGraph(nn.Module):
    """The siamese network on one pair."""

    def __init__(self, scorer: SiameseScorer) -> None:
        super().__init__()
        self.model = scorer.model.cpu()

    def forward(self, pair: Tensor) -> Tensor:
        """The score, a scalar."""
        height = pair.shape[1] // 2
        image = pair[:, :height].permute(0, 3, 1, 2).float()
        golden = pair[:, height:].permute(0, 3, 1, 2).float()
        out = self.model(image, golden[:, None])
        return torch.sigmoid(out[0, 1] - out[0, 0]) if self.model.learnable else out[0]


def graph_of(scorer: Scorer) -> tuple[nn.Module, Size]:
    """The module of a scorer and the (height, width) of one image. UsageError for what one graph cannot carry."""
    if isinstance(scorer, CachedScorer):
        _one_golden(int(scorer.card["num_golden"]))
        return CachedGraph(scorer).eval().requires_grad_(False), scorer.size
    if isinstance(scorer, SiameseScorer):
        _one_golden(int(scorer.card["num_golden"]))
        return SiameseGraph(scorer).eval().requires_grad_(False), scorer.shape.size
    raise UsageError("a map network registers and compares outside of its graph: copy the checkpoint instead")


def write_graph(graph: nn.Module, size: Size, form: str, folder: Path) -> None:
    """model.xml with model.bin, or model.onnx."""
    if form == "onnx":
        (folder / "model.onnx").write_bytes(_onnx(graph, size))
        return
    model = convert_to_openvino(graph, (2 * size[0], size[1]))
    model.inputs[0].get_tensor().set_names({INPUT})
    model.outputs[0].get_tensor().set_names({OUTPUT})
    save_openvino(model, folder / "model.xml")


def load_graph(form: str, folder: Path) -> Callable[[U8], float]:
    """Run it in its own runtime, in float32."""
    if form == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
        )
        return lambda pair: float(np.asarray(session.run([OUTPUT], {INPUT: pair[None]})[0]).reshape(()))
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = ov.Core().compile_model(folder / "model.xml", "CPU", settings)
    return lambda pair: float(np.asarray(compiled({INPUT: pair[None]})[OUTPUT]).reshape(()))


def _onnx(graph: nn.Module, size: Size) -> bytes:
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            program = torch.onnx.export(
                graph,
                (torch.zeros(1, 2 * size[0], size[1], 3, dtype=torch.uint8),),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        log.setLevel(level)
    assert program is not None  # noqa: S101 - only the older exporter returns nothing
    proto = program.model_proto
    # Nodes come with the call stack that made them: paths of this machine.
    for node in proto.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for part in (proto.graph, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        part.ClearField("metadata_props")
    del proto.metadata_props[:]
    proto.graph.name = type(graph).__name__
    return bytes(proto.SerializeToString(deterministic=True))


def _one_golden(count: int) -> None:
    if count != 1:
        raise UsageError(f"one graph takes one golden; this checkpoint compares with {count}")
