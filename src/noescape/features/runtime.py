"""Run an embedding: OpenVINO on a CPU, torch on a GPU. Same bytes in, the same vectors out (to rounding)."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from noescape.records import BundleError, UsageError

if TYPE_CHECKING:
    from noescape.features.embedding import PatchEmbedding

Float = npt.NDArray[np.float32]
PRECISIONS = ("f32", "bf16", "auto")


class Embedder(Protocol):
    """Anything that turns RGB uint8 `[H, W, 3]` of the right size into `[P, D]` float32; safe to call from threads."""

    precision: str

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Float:
        """Embed one image."""
        ...


class OpenVinoEmbedder:
    """A compiled OpenVINO graph; each calling thread gets an infer request of its own."""

    def __init__(self, model: Path | Any, *, precision: str = "f32", streams: int = 1, threads: int = 1) -> None:
        """`model`: path of an IR (.xml) or a model from `convert_to_openvino`; `threads` in all, over `streams`."""
        import openvino as ov

        core = ov.Core()
        self.precision = cpu_precision(precision, core)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": max(threads, streams),
        }
        try:
            graph = _read_graph(core, model) if isinstance(model, Path) else model
            self._compiled = core.compile_model(graph, "CPU", settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()[:200]
            raise BundleError(f"{model if isinstance(model, Path) else 'the graph'} cannot be run: {reason}") from None
        self._local = threading.local()
        # The first inference of a process sets up state inside OpenVINO's Python binding; two threads that do so at
        # once wait for each other for ever. So one image goes through here, before there are threads.
        self(np.zeros(self._compiled.input(0).shape[1:], np.uint8))

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Float:
        """Embed one image; the result is the caller's own copy."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        request.infer([rgb[None]], share_inputs=True, share_outputs=True)
        return np.array(request.get_output_tensor(0).data, dtype=np.float32)


def _read_graph(core: Any, path: Path) -> Any:
    """OpenVINO's own format only: to anything else it would offer the readers of half a dozen other formats."""
    with path.open("rb") as f:
        if not f.read(64).lstrip().startswith((b"<?xml", b"<net")):
            raise BundleError(f"{path} is no OpenVINO graph (.xml)")
    return core.read_model(path)


class TorchEmbedder:
    """The same graph in torch, for GPUs (and as the plain oracle of the OpenVINO one)."""

    def __init__(self, module: PatchEmbedding, device: str) -> None:
        self.precision = "f32"
        self._module, self._device = module.to(device).eval(), device
        self._lock = threading.Lock()

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Float:
        """Embed one image."""
        import torch

        with self._lock, torch.inference_mode():
            out = self._module(torch.from_numpy(rgb[None]).to(self._device))
            result: Float = out.float().cpu().numpy()
            return result


def cpu_precision(wanted: str, core: Any = None) -> str:
    """`f32` or `bf16`; `auto` takes bf16 where the CPU has it natively. UsageError for bf16 without it."""
    if wanted not in PRECISIONS:
        raise UsageError(f"precision {wanted!r}: expected one of {', '.join(PRECISIONS)}")
    if wanted == "f32":
        return "f32"
    import openvino as ov

    native = "BF16" in (core or ov.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if wanted == "bf16" and not native:
        raise UsageError("precision bf16: this CPU has no native bf16; use f32")
    return "bf16" if native else "f32"


def resolve_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU if torch sees one. UsageError for cuda without one."""
    if wanted in ("cpu", ""):
        return "cpu"
    if wanted not in ("auto", "cuda", "gpu") and not wanted.startswith("cuda:"):
        raise UsageError(f"device {wanted!r}: expected auto, cpu or cuda")
    import torch

    if torch.cuda.is_available():
        return "cuda" if wanted in ("auto", "gpu") else wanted
    if wanted == "auto":
        return "cpu"
    raise UsageError(f"device {wanted!r}: torch sees no GPU here; use --device cpu")


def convert_to_openvino(module: Any, image_size: tuple[int, int]) -> Any:
    """The OpenVINO model of an embedding (or of any module with the same input), with stable operation names.

    Names are numbered in topological order, because the converter's own come from a counter of the process: so the
    saved file has the same bytes each time; the model has the name of the module's class.
    """
    import openvino as ov
    import torch

    example = torch.zeros(1, *image_size, 3, dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        # Sizes become constants of the graph: they are meant to be.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # The converter still traces; that torch would like it to export instead is no news for our users.
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        # Traced here, because the converter would trace with a check that imports seconds' worth of torch.
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=example, input=[([1, *image_size, 3], ov.Type.u8)])
    model.set_friendly_name(type(module).__name__)
    for number, op in enumerate(model.get_ordered_ops()):
        op.set_friendly_name(f"{op.get_type_name()}_{number}")
    return model


def save_openvino(model: Any, path: Path) -> None:
    """Write `path` (.xml) and its .bin with full-precision weights."""
    import openvino as ov

    path.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, path, compress_to_fp16=False)
