"""Tiny jobs with known answers, one kind for each native library: `python -m noescape.features.probes NAME`.

Runs in a process of its own (see `doctor`) and prints its rows as one line of JSON, the last line. A second word is
the amount that is demanded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, str]


def main(name: str, *amount: str) -> None:
    """Run one probe. An exception leaves as a traceback, which the doctor reads."""
    print(json.dumps(PROBES[name](*map(int, amount))))


def probe_gpu(least: int | None = None) -> list[Row]:
    """The GPUs that the driver gives this process, asked of the driver itself: needs no torch."""
    import ctypes

    name, need = "gpu", f"at least {least} required" if least else "for tasks on GPUs"
    fault, fix = "missing" if least else "optional", "a GPU, its driver, and in a container the leave to use it"
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return [_row(name, fault, f"{need}; no NVIDIA driver is here (libcuda.so.1)", f"{fix} (docker run --gpus all)")]
    count = ctypes.c_int(0)
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if code not in (0, 100):  # 100: a driver, and no GPU for this process
        return [_row(name, "broken", f"the driver answers with error {code}", "see `nvidia-smi`; restart or update it")]
    found: dict[str, int] = {}
    for at in range(count.value):
        device, text, size = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
        if not cuda.cuDeviceGet(ctypes.byref(device), at) and not cuda.cuDeviceGetName(text, 256, device):
            cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)
            label = f"{text.value.decode('utf-8', 'replace')} ({size.value / 2**30:.0f} GB)"
            found[label] = found.get(label, 0) + 1
    said = ", ".join(f"{number} x {label}" for label, number in found.items()) or "the driver gives this process none"
    if sum(found.values()) >= (least or 1):
        return [_row(name, "ok", said)]
    return [_row(name, fault, f"{need}; {said}", f"{fix}; see CUDA_VISIBLE_DEVICES")]


def probe_torch() -> list[Row]:
    """Version as pinned, a product on the CPU, and on the GPU where there is one."""
    import torch

    from noescape.features.doctor import requirement

    pinned = requirement("torch").partition("==")[2]
    version = str(torch.__version__)
    x = torch.arange(6, dtype=torch.float32).view(2, 3)
    right = (x @ x.T).tolist() == [[5.0, 14.0], [14.0, 50.0]]
    if not right:
        first = _row("torch", "broken", f"{version}: a product of two small matrices is wrong", _reinstall("torch"))
    elif pinned and version.partition("+")[0] != pinned:
        first = _row("torch", "broken", f"{version} works, but {pinned} is pinned", f"pip install torch=={pinned}")
    else:
        first = _row("torch", "ok", f"{version}" + (", as pinned" if pinned else ""))
    return [first, _cuda(torch)]


def _cuda(torch: Any) -> Row:
    if not torch.cuda.is_available():
        build = "built for CUDA" if torch.version.cuda else "a CPU build"
        detail = f"for --device cuda; torch sees no GPU and is {build}"
        return _row("cuda", "optional", detail, "a GPU with its driver, and a CUDA build of torch")
    try:
        x = torch.ones(64, 64, device="cuda")
        right = float((x @ x).sum()) == 64.0**3
        detail = f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}"
    except Exception as error:
        return _row("cuda", "broken", _one_line(error), "update the GPU's driver, or use --device cpu")
    return _row("cuda", "ok" if right else "broken", detail, "" if right else "use --device cpu")


def probe_openvino() -> list[Row]:
    """A graph of one product and one sum, compiled in f32 and, where the CPU has it, in bf16."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as ops

    core = ov.Core()
    can = [str(c) for c in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")]
    weights = np.arange(12, dtype=np.float32).reshape(4, 3)
    x = np.array([[1, 2, 3, 4]], np.float32)
    wanted = x @ weights + 1

    def answer(precision: str) -> Any:
        given = ops.parameter([1, 4], ov.Type.f32)
        graph = ov.Model([ops.add(ops.matmul(given, ops.constant(weights), False, False), np.float32(1))], [given])
        compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision})
        return compiled([x])[0]

    version = str(ov.__version__).partition("-")[0]
    right = bool(np.array_equal(answer("f32"), wanted))
    first = _row("openvino", "ok", f"{version}, a small graph gives the right answer; CPU can {' '.join(can)}")
    if not right:
        first = _row("openvino", "broken", f"{version}: a small graph gives a wrong answer", _reinstall("openvino"))
    if "BF16" not in can:
        detail = "for --precision bf16; this CPU has none of its own, f32 is used"
        return [first, _row("bf16", "optional", detail, "a CPU with AVX512-BF16 or AMX")]
    close = bool(np.abs(answer("bf16") - wanted).max() <= 0.02 * float(wanted.max()))
    second = _row("bf16", "ok", "native, a small graph gives the right answer within 2%")
    return [first, second if close else _row("bf16", "broken", "a small graph is off by over 2%", "use f32")]


def probe_onnxruntime() -> list[Row]:
    """A graph of one sum."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "sum", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": np.array([1, 2, 3], np.float32)})
    if list(answer) == [2, 4, 6]:
        return [_row("onnxruntime", "ok", f"{onnxruntime.__version__}, a small graph gives the right answer")]
    return [_row("onnxruntime", "broken", "a small graph gives a wrong answer", _reinstall("onnxruntime"))]


FORMATS = (
    ("png", ".png", (8, 16)),
    ("jpeg", ".jpg", (8,)),
    ("bmp", ".bmp", (8,)),
    ("tiff", ".tif", (8, 16)),
    ("webp", ".webp", (8,)),
)


def probe_images() -> list[Row]:
    """Each format written by Pillow and read back by our reader: the same pixels (nearly, for JPEG)."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, suffix, depths in FORMATS:
            try:
                for bits in depths:
                    _round_trip(Path(folder) / f"{bits}{suffix}", name, bits)
            except Exception as error:
                rows.append(_row(name, "broken", _one_line(error), _reinstall("pillow")))
                continue
            said, near = " and ".join(f"{bits}-bit" for bits in depths), "nearly " if name == "jpeg" else ""
            rows.append(_row(name, "ok", f"{said} pixels come back {near}as written"))
    return rows


def _round_trip(path: Path, form: str, bits: int) -> None:
    """Write and read one small picture; ValueError where it comes back as another."""
    import numpy as np
    from PIL import Image

    from noescape.imaging import read_picture

    grey = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))
    stored = np.stack([grey, np.full_like(grey, 90), grey[:, ::-1]], axis=2) if bits == 8 else grey * np.uint16(257)
    wanted = stored if bits == 8 else np.repeat(grey[:, :, None], 3, axis=2)
    Image.fromarray(stored).save(path, form.upper(), lossless=True, quality=95)
    got = read_picture(path).rgb.astype(np.int64)
    if got.shape != wanted.shape or np.abs(got - wanted).max() > (24 if form == "jpeg" else 0):
        raise ValueError(f"{bits}-bit pixels come back changed")


PROBES: dict[str, Callable[..., list[Row]]] = {
    "gpu": probe_gpu,
    "torch": probe_torch,
    "openvino": probe_openvino,
    "onnxruntime": probe_onnxruntime,
    "images": probe_images,
}


def _row(name: str, status: str, detail: str, fix: str = "") -> Row:
    return {"name": name, "status": status, "detail": detail, "fix": fix}


def _reinstall(distribution: str) -> str:
    return f"pip install --force-reinstall --no-deps {distribution}"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


if __name__ == "__main__":
    main(*sys.argv[1:])
