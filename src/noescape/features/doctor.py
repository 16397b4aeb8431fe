"""What works on this machine, what is missing, and how to get it. Nothing here can take the process down.

What may abort a process (native libraries on the wrong CPU) is tried in a process of its own, all of them at once.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

from noescape.features.demands import Demand, parse_demands
from noescape.features.machine import machine_checks
from noescape.features.weights import WHEELS
from noescape.files import sha256_file

PROBE_TIMEOUT_S = 30.0
DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line of the result. `status`: ok; missing (needed, not there); broken (there, does not work); optional (not
    there, needed only for what `detail` says). `fix`: what to do, empty where there is nothing to do."""

    group: str
    name: str
    status: str
    detail: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A set of `checks` tried in one process of its own; not tried unless all of `modules` are installed."""

    name: str
    group: str
    checks: tuple[str, ...]
    modules: tuple[str, ...]
    install: str
    optional_for: str = ""


def probes() -> tuple[Probe, ...]:
    """What is tried in processes of their own."""
    formats = ("png", "jpeg", "bmp", "tiff", "webp")
    driver = "a GPU, its driver, and in a container the leave to use it (docker run --gpus all)"
    return (
        Probe(name="gpu", group="machine", checks=("gpu",), modules=(), install=driver),
        Probe(name="torch", group="runtimes", checks=("torch", "cuda"), modules=("torch",), install=_pip("torch")),
        Probe(
            name="openvino",
            group="runtimes",
            checks=("openvino", "bf16"),
            modules=("openvino", "numpy"),
            install=_pip("openvino"),
        ),
        Probe(
            name="onnxruntime",
            group="runtimes",
            checks=("onnxruntime",),
            modules=("onnxruntime", "onnx", "numpy"),
            install="pip install 'noescape[onnx]'",
            optional_for="running exported ONNX files",
        ),
        Probe(
            name="images",
            group="images",
            checks=formats,
            modules=("PIL", "cv2", "numpy"),
            install="pip install pillow opencv-python-headless",
        ),
    )


EXTRAS = (
    ("onnx", ("onnx", "onnxscript"), "noescape export --format onnx", "pip install 'noescape[onnx]'"),
    ("tensorboard", ("tensorboard",), "curves of a fit in TensorBoard", "pip install 'noescape[tensorboard]'"),
    ("elpv_dataset", ("elpv_dataset",), "noescape demo and data import elpv", "pip install 'noescape[demo]'"),
)


# Of the machine: what tasks demand before they start. All of them take well under a second.
QUICK = ("python", "cpu", "memory", "disk", "shm", "nvoptix", "gpu")


def check_names() -> list[str]:
    """Every name that a check can have, in the order of the result."""
    tried = {check: probe.group for probe in probes() for check in probe.checks}
    runtimes = [name for name, group in tried.items() if group == "runtimes"]
    images = [name for name, group in tried.items() if group == "images"]
    folders = ["temp", "config"]
    return [*QUICK, *runtimes, *WHEELS, *images, *(e[0] for e in EXTRAS), *folders]


def required(wanted: Sequence[str], more: Sequence[str] = ()) -> list[Demand]:
    """What `wanted` (`NAME` or `NAME=AMOUNT` each) demands; UsageError with the nearest names otherwise.

    `more` are names of checks that are made elsewhere.
    """
    return parse_demands(wanted, [*check_names(), *more])


def examine(timeout_s: float = PROBE_TIMEOUT_S, *, demands: Sequence[Demand] = ()) -> list[Check]:
    """Run every check, against the amounts of `demands`; about 2 s.

    If all that is demanded is quick, only the quick ones run. A probe that takes over `timeout_s` counts as broken.
    """
    least: dict[str, int] = {}
    for demand in demands:
        if demand.least is not None:
            least[demand.name] = max(demand.least, least.get(demand.name, 0))
    quick = bool(demands) and all(demand.name in QUICK for demand in demands)
    found = [Check(**row) for row in machine_checks(least)] + ([] if quick else weight_checks() + extra_checks())
    chosen = [probe for probe in probes() if not quick or set(probe.checks) & set(QUICK)]
    with ThreadPoolExecutor() as pool:
        for rows in pool.map(lambda probe: try_probe(probe, timeout_s, least), chosen):
            found += rows
    order = {name: at for at, name in enumerate(check_names())}
    return sorted((check for check in found if not quick or check.name in QUICK), key=lambda check: order[check.name])


def weight_checks() -> list[Check]:
    """Backbone weights from packages: installed, and the very bytes that are expected."""
    out = []
    for backbone, wheel in WHEELS.items():
        status, detail, fix = "ok", f"{wheel.distribution}, sha256 right ({wheel.licence})", ""
        path = wheel.path()
        if path is None:
            status, fix = "missing" if backbone == DEFAULT_BACKBONE else "optional", wheel.install
            detail = "not installed" + ("; the default backbone" if backbone == DEFAULT_BACKBONE else "")
        elif (digest := _sha256(path)) != wheel.sha256:
            status, fix = "broken", wheel.install.replace("pip install", "pip install --force-reinstall", 1)
            detail = f"{path} was altered: sha256 {digest[:12]}…, expected {wheel.sha256[:12]}…"
        out.append(Check(group="weights", name=backbone, status=status, detail=detail, fix=fix))
    return out


def extra_checks() -> list[Check]:
    """Optional packages: only whether they are there."""
    out = []
    for name, modules, purpose, install in EXTRAS:
        absent = [module for module in modules if not _installed(module)]
        detail = f"for {purpose}" + (f"; not installed: {', '.join(absent)}" if absent else "")
        status, fix = ("optional", install) if absent else ("ok", "")
        out.append(Check(group="extras", name=name, status=status, detail=detail, fix=fix))
    return out


def try_probe(probe: Probe, timeout_s: float, least: Mapping[str, int] | None = None) -> list[Check]:
    """The checks of one probe, from a process of its own; whatever happens to it becomes a row.

    A probe whose name is in `least` is told the amount.
    """
    absent = [module for module in probe.modules if not _installed(module)]
    if absent:
        status = "optional" if probe.optional_for else "missing"
        purpose = f"for {probe.optional_for}; " if probe.optional_for else ""
        return _all(probe, status, f"{purpose}not installed: {', '.join(absent)}")
    # -P: a file torch.py in the current folder is not what `noescape` would import.
    command = [sys.executable, "-P", "-m", "noescape.features.probes", probe.name]
    command += [str(least[probe.name])] if least and probe.name in least else []
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return _all(probe, "broken", f"did not answer within {timeout_s:g} s")
    except OSError as error:
        return _all(probe, "broken", f"no process can be started ({error.strerror or error})")
    try:
        rows = json.loads(done.stdout.decode("utf-8", "replace").splitlines()[-1])
        checks = [Check(group=probe.group, **row) for row in rows]
        if done.returncode == 0 and [check.name for check in checks] == list(probe.checks):
            return checks
    except (ValueError, IndexError, TypeError):
        pass
    return _all(probe, "broken", _how_it_died(done))


def _all(probe: Probe, status: str, detail: str) -> list[Check]:
    fix = probe.install
    if status == "broken":
        fix = fix.replace("pip install", "pip install --force-reinstall --no-deps", 1)
    return [Check(group=probe.group, name=name, status=status, detail=detail, fix=fix) for name in probe.checks]


def _how_it_died(done: subprocess.CompletedProcess[bytes]) -> str:
    said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    last = f": {said[-1][:200]}" if said else ""
    if done.returncode < 0:
        try:
            name = signal.Signals(-done.returncode).name
        except ValueError:
            name = f"signal {-done.returncode}"
        return f"the process that tried it was ended by {name}{last}"
    return f"trying it failed{last or f' with exit code {done.returncode}'}"


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _sha256(path: object) -> str:
    from pathlib import Path

    try:
        return sha256_file(Path(str(path)))
    except OSError as error:
        return f"({error.strerror})"


def _pip(distribution: str) -> str:
    """The command that installs it in the version that this package asks for."""
    return f"pip install '{requirement(distribution)}'"


def requirement(distribution: str) -> str:
    """What this package requires of a distribution (`torch==2.13.0`), or its bare name."""
    try:
        wanted = metadata.requires("noescape") or []
    except metadata.PackageNotFoundError:
        wanted = []
    lines = (line.partition(";") for line in wanted)
    plain = [line.strip() for line, _, marker in lines if "extra" not in marker]
    found = [line for line in plain if line.startswith(distribution) and line[len(distribution) :][:1] in "=<>!~ "]
    return found[0] if found else distribution
