"""Do the pods of the cluster get what ray tracing and training on GPUs need? The answer is an exit code, 0 to 4.

    0  verified: the denoiser's weights are mounted, and /dev/shm is memory of at least 16 GiB
    1  the template lacks one of them: an administrator must add it
    2  this user may not look (HTTP 403): somebody who knows must be asked
    3  the cluster keeps its configuration elsewhere (HTTP 409): skipped
    4  it could not be asked at all: no osmo command, no login, no network, an answer that is none

Read is `osmo config show POD_TEMPLATE`. A pool joins several templates into one pod, so a volume may stand in one and
its mount in another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noescape.flow.preflight.finding import Memory
from noescape.records import NoescapeError

if TYPE_CHECKING:
    from noescape.flow.cluster.osmo import Osmo

KEY = "pod_template"
NVOPTIX = "/usr/share/nvidia/nvoptix.bin"
SHM = "/dev/shm"  # noqa: S108 - a place in a pod
LEAST_SHM = 16 << 30
WORDS = {0: "verified", 1: "patch needed", 2: "not permitted to look", 3: "kept elsewhere", 4: "could not be asked"}
# What is remembered: verdicts that hold, in the words of the preferences. The third is a person's own word.
VERIFIED, SKIPPED, CONFIRMED = "verified", "skipped-409", "user-confirmed"
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:[eE]([0-9]{1,2})|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?")
_POWERS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_POWERS |= {f"{unit}i": float(1 << 10 * power) for power, unit in enumerate("KMGTPE", 1)}

SNIPPET = {
    "spec": {
        "containers": [
            {
                "name": "{{USER_CONTAINER_NAME}}",
                "volumeMounts": [
                    {"name": "nvoptix", "mountPath": NVOPTIX, "readOnly": True},
                    {"name": "shm", "mountPath": SHM},
                ],
            }
        ],
        "volumes": [
            {"name": "nvoptix", "hostPath": {"path": NVOPTIX, "type": "File"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
        ],
    }
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """`code` 0 to 4 as above, `detail` in words, `mend` what to do (empty for 0 and 3)."""

    code: int
    detail: str
    mend: str = ""

    @property
    def verdict(self) -> str:
        """The code in words."""
        return WORDS[self.code]


def ask(find: Callable[[], Osmo], memory: Memory) -> Answer:
    """Ask the cluster, and remember what holds. Never raises for what the cluster or its command does.

    Remembered are 0 and 3; 1 wipes what was remembered; 2 leaves it, since a person may have answered instead.
    """
    try:
        answer = judge(find().config("POD_TEMPLATE"))
    except NoescapeError as error:
        answer = _refused(error)
    if answer.code in (0, 1, 3):
        memory.remember(KEY, {0: VERIFIED, 3: SKIPPED}.get(answer.code))
    return answer


def judge(config: Mapping[str, Any]) -> Answer:
    """What the templates in `config` (JSON of any nesting) give to the container of a user."""
    specs = list(_pod_specs(config))
    if not specs:
        return Answer(code=4, detail="the answer holds no pod template", mend="osmo config show POD_TEMPLATE")
    volumes = [volume for spec in specs for volume in _rows(spec.get("volumes"))]
    mounts = [
        m for spec in specs for c in _rows(spec.get("containers")) if _users(c) for m in _rows(c.get("volumeMounts"))
    ]
    lacks = []
    if not _nvoptix(volumes, mounts):
        lacks.append(f"no mount of {NVOPTIX} from the host")
    sizes = _shm_sizes(volumes, mounts)
    if not sizes:
        lacks.append(f"no memory at {SHM} (an emptyDir with medium Memory and a sizeLimit)")
    elif max(sizes) < LEAST_SHM:
        lacks.append(f"{SHM} has {max(sizes) / 2**30:.3g} GiB, 16 are needed")
    if not lacks:
        return Answer(code=0, detail=f"{NVOPTIX} is mounted, {SHM} has {max(sizes) / 2**30:.4g} GiB")
    mend = "an administrator of the cluster adds this to the pod template of the pool: " + json.dumps(SNIPPET)
    return Answer(code=1, detail="; ".join(lacks), mend=mend)


def _refused(error: NoescapeError) -> Answer:
    """403 and 409 are answers, whatever words they come in; everything else is the surroundings."""
    status, text = getattr(error, "status", None), str(error)
    if not isinstance(status, int) or not 400 <= status <= 599:  # some versions put it into the text alone
        found = re.search(r"(?<![\w-])(403|409)(?![\w-])", text)
        status = int(found[1]) if found else None
    if status == 403:
        return Answer(
            code=2,
            detail="this login may not look at pod templates (HTTP 403)",
            mend=f"ask whoever runs the cluster: do GPU pods mount {NVOPTIX}, and have {SHM} of 16 GiB or more? "
            "`noescape flow init` keeps the answer",
        )
    if status == 409:
        return Answer(code=3, detail="this cluster keeps its templates outside of its own configuration (HTTP 409)")
    return Answer(code=4, detail=text, mend="mend that, then: noescape flow preflight pod-template")


def _pod_specs(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every `spec` with containers or volumes, wherever it is nested."""
    if depth > 12:
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("containers"), list) or isinstance(value.get("volumes"), list):
            yield value
        for inner in value.values():
            yield from _pod_specs(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _pod_specs(inner, depth + 1)


def _users(container: Mapping[str, Any]) -> bool:
    """Not the cluster's own helper beside the user's container."""
    return "ctrl" not in str(container.get("name", "")).lower()


def _nvoptix(volumes: list[Mapping[str, Any]], mounts: list[Mapping[str, Any]]) -> bool:
    """The file itself, or a folder above it, comes from the same place of the host."""
    for mount in mounts:
        target = _path(mount.get("mountPath"))
        for volume in volumes:
            host = volume.get("hostPath")
            if volume.get("name") != mount.get("name") or not isinstance(host, Mapping) or not target:
                continue
            source = _path(f"{_path(host.get('path'))}/{mount.get('subPath') or ''}")
            rest = NVOPTIX.removeprefix(target)
            if (target == NVOPTIX or NVOPTIX.startswith(target + "/")) and source + rest == NVOPTIX:
                return True
    return False


def _shm_sizes(volumes: list[Mapping[str, Any]], mounts: list[Mapping[str, Any]]) -> list[float]:
    names = {mount.get("name") for mount in mounts if _path(mount.get("mountPath")) == SHM}
    kinds = [volume.get("emptyDir") for volume in volumes if volume.get("name") in names]
    found = [kind for kind in kinds if isinstance(kind, Mapping) and kind.get("medium") == "Memory"]
    sizes = [quantity(kind.get("sizeLimit")) for kind in found]
    return [size for size in sizes if size is not None]


def quantity(value: Any) -> float | None:
    """A quantity as Kubernetes writes it (`16Gi`, `17179869184`, `1e10`, `20G`); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    match = _QUANTITY.fullmatch(str(value).strip())
    if not match:
        return None
    return float(match[1]) * (10.0 ** int(match[2]) if match[2] else _POWERS.get(match[3] or "", 1.0))


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _path(value: Any) -> str:
    return re.sub(r"/+", "/", str(value or "")).rstrip("/")
