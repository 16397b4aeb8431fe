"""Promise: threads that start to infer at the same moment never wait for each other for ever."""

from __future__ import annotations

import subprocess
import sys

# A switch of threads every microsecond makes the rare moment common: without the first inference in the constructor
# about half of these processes hang.
PROGRAM = """
import os, sys, threading
import numpy as np
from noescape.features.runtime import OpenVinoEmbedder
import openvino as ov
from openvino import opset13 as op
sys.setswitchinterval(1e-6)
image = op.parameter([1, 64, 64, 3], ov.Type.u8)
embedder = OpenVinoEmbedder(ov.Model([op.convert(image, ov.Type.f32)], [image]), streams=2)
start = threading.Barrier(2)
def infer():
    start.wait()
    embedder(np.zeros((64, 64, 3), np.uint8))
threads = [threading.Thread(target=infer, daemon=True) for _ in range(2)]
[t.start() for t in threads]
[t.join(20) for t in threads]
os._exit(3 if any(t.is_alive() for t in threads) else 0)
"""


def test_the_first_inferences_of_two_threads_both_finish() -> None:
    codes = [subprocess.run([sys.executable, "-c", PROGRAM], timeout=120).returncode for _ in range(4)]
    assert codes == [0, 0, 0, 0]
