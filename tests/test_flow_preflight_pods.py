"""The pod template's answer is a number from 0 to 4, whatever the cluster says and however it says it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_maker import Cluster
from noescape.cli.main import main
from noescape.flow.cards import preferences
from noescape.flow.preflight.finding import Forgetful
from noescape.flow.preflight.pod_template import KEY, NVOPTIX, SHM, SNIPPET, ask, judge, quantity
from noescape.flow.preflight.verdicts import Verdicts

GOOD: dict[str, Any] = {"default_user": SNIPPET, "default_ctrl": {"spec": {"containers": [{"name": "osmo-ctrl"}]}}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config folder of its own, and a day."""
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    return tmp_path / "config"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A stand-in whose administrator we are."""
    made = Cluster(tmp_path, admin=True, config={"POD_TEMPLATE": GOOD})
    monkeypatch.setenv("NOESCAPE_OSMO", str(made.program))
    return made


def changed(**parts: Any) -> dict[str, Any]:
    """GOOD with some of its parts replaced: volume or mount by name, `container` by its name."""
    config = copy.deepcopy(GOOD)
    spec = config["default_user"]["spec"]
    for key, value in parts.items():
        if key == "container":
            spec["containers"][0]["name"] = value
            continue
        kind, name = key.split("_")
        rows = spec["volumes"] if kind == "volume" else spec["containers"][0]["volumeMounts"]
        at = next(i for i, row in enumerate(rows) if row["name"] == name)
        rows[at : at + 1] = [value] if value else []
    return config


def shm(**empty: Any) -> dict[str, Any]:
    return {"name": "shm", "emptyDir": empty}


FINE = [
    GOOD,
    {"configs": [{"name": "x", "pod_template": SNIPPET}]},
    changed(volume_shm=shm(medium="Memory", sizeLimit="17179869184")),
    changed(volume_shm=shm(medium="Memory", sizeLimit="1e11")),
    changed(
        volume_nvoptix={"name": "nvoptix", "hostPath": {"path": "/usr/share/nvidia/"}},
        mount_nvoptix={"name": "nvoptix", "mountPath": "/usr/share/nvidia"},
    ),
    changed(
        volume_nvoptix={"name": "nvoptix", "hostPath": {"path": "/usr/share"}},
        mount_nvoptix={"name": "nvoptix", "mountPath": NVOPTIX, "subPath": "nvidia/nvoptix.bin"},
    ),
    {key: {"spec": {key: SNIPPET["spec"][key]}} for key in ("containers", "volumes")},
]  # fmt: skip
LACKING = {
    "no memory at": [
        changed(volume_shm=None),
        changed(mount_shm=None),
        changed(volume_shm=shm(sizeLimit="16Gi")),
        changed(volume_shm=shm(medium="Memory")),
        changed(volume_shm=shm(medium="Memory", sizeLimit="lots")),
        changed(volume_shm=shm(medium="Memory", sizeLimit=True)),
        changed(mount_shm={"name": "shm", "mountPath": SHM + "2"}),
        changed(mount_shm={"name": "other", "mountPath": SHM}),
        changed(volume_shm={"name": "shm", "hostPath": {"path": SHM}}),
    ],
    "16 are needed": [
        changed(volume_shm=shm(medium="Memory", sizeLimit="16G")),
        changed(volume_shm=shm(medium="Memory", sizeLimit="17179869183")),
        changed(volume_shm=shm(medium="Memory", sizeLimit="64Mi")),
    ],
    "no mount of": [
        changed(mount_nvoptix=None),
        changed(volume_nvoptix=None),
        changed(container="osmo-ctrl"),
        changed(mount_nvoptix={"name": "nvoptix", "mountPath": NVOPTIX + ".old"}),
        changed(volume_nvoptix={"name": "nvoptix", "hostPath": {"path": "/opt/other.bin"}}),
        changed(volume_nvoptix={"name": "nvoptix", "emptyDir": {}}),
    ],
}


@pytest.mark.parametrize("config", FINE)
def test_everything_there_is_0(config: dict[str, Any]) -> None:
    """Wherever it is nested, also in two templates that a pool joins."""
    answer = judge(config)
    assert (answer.code, answer.mend) == (0, "") and "GiB" in answer.detail


@pytest.mark.parametrize(("said", "config"), [(said, c) for said, configs in LACKING.items() for c in configs])
def test_something_lacking_is_1_with_what_to_add(said: str, config: dict[str, Any]) -> None:
    answer = judge(config)
    assert answer.code == 1 and said in answer.detail
    assert json.loads(answer.mend.partition(": ")[2]) == SNIPPET


def test_all_that_is_lacking_is_told_at_once() -> None:
    answer = judge({"x": {"spec": {"containers": [{}]}}})
    assert answer.code == 1 and "no mount of" in answer.detail and "no memory at" in answer.detail


@pytest.mark.parametrize("config", [{}, {"x": {"spec": {}}}, {"x": 3}])
def test_an_answer_without_templates_is_4(config: dict[str, Any]) -> None:
    assert judge(config).code == 4


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["shm", "Memory", "16Gi", NVOPTIX]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "containers", "volumes", "volumeMounts", "name", "mountPath", "emptyDir", "sizeLimit"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=3))
def test_any_json_gets_an_answer(config: dict[str, Any]) -> None:
    assert judge(config).code in (0, 1, 4)


def test_a_deep_answer_is_not_followed_for_ever() -> None:
    config: dict[str, Any] = {}
    for _ in range(5000):
        config = {"x": config}
    assert judge(config).code == 4


@pytest.mark.parametrize(
    ("text", "number"),
    [("16Gi", 16 << 30), ("1.5Gi", 3 << 29), ("16G", 16e9), ("1e3", 1000), (7, 7), ("5m", 0.005), ("1Ei", 1 << 60)],
)
def test_quantities(text: object, number: float) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["", "Gi", "-1Gi", "16GB", "1e999", "١Gi", None, [], True])
def test_what_is_no_quantity(text: object) -> None:
    assert quantity(text) is None


def run(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["flow", "preflight", "pod-template", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_0_is_remembered_with_its_day(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys)
    assert code == 0 == said["code"] and said["remembered"] == {"verdict": "verified", "day": "2026-01-01"}
    assert preferences.read()[KEY] == "verified"
    assert cluster.calls("config") == [["config", "show", "POD_TEMPLATE"]]


def test_1_wipes_what_was_remembered(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys)
    cluster.tell(admin=True, config={"POD_TEMPLATE": changed(volume_shm=None)})
    code, said = run(capsys)
    assert code == 1 and said["remembered"] is None and KEY not in preferences.read()


def test_2_asks_a_person_and_keeps_what_a_person_said(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.tell(admin=False)
    code, said = run(capsys)
    assert code == 2 and "ask whoever runs the cluster" in said["mend"] and said["remembered"] is None
    preferences.remember({KEY: "user-confirmed"})
    code, said = run(capsys)
    assert code == 2 and said["remembered"] == {"verdict": "user-confirmed", "day": "an earlier day"}
    assert main(["flow", "preflight", "pod-template"]) == 2 and "confirmed it" in capsys.readouterr().out


FAULTS = [
    (3, {"exit": 2, "code": 409, "message": "Updates are managed by a ConfigMap"}),
    (3, {"exit": 1, "message": "Server responded with HTTP 409"}),
    (2, {"exit": 2, "code": 403, "message": "no"}),
    (2, {"exit": 2, "message": "Status code: 403 Forbidden"}),
    (4, {"exit": 10, "message": "no route to host"}),
    (4, {"exit": 75, "message": "slow down"}),
    (4, {"exit": 2, "code": 500, "message": "workflow-403-a is odd"}),
    (4, {"garbage": "<html>"}),
    (4, {"garbage": ""}),
]


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_refusals_are_told_apart(
    code: int, fault: dict[str, Any], cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.tell(faults=[{"on": "config show", **fault}])
    got, said = run(capsys)
    assert (got, said["code"]) == (code, code) and said["detail"]
    assert (preferences.read().get(KEY) == "skipped-409") is (code == 3)
    assert code == 3 or said["mend"]


def test_without_the_command_it_is_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delenv("NOESCAPE_OSMO", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = run(capsys)
    assert code == 4 and "no `osmo` on PATH" in said["detail"]


def test_what_does_not_belong_to_it_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "preflight", "pod-template", "--set", "a=b", "--no-probe"]) == 2
    assert "--set, --no-probe" in capsys.readouterr().err


def test_asking_can_leave_no_trace(cluster: Cluster, home: Path) -> None:
    assert ask(lambda: cluster.osmo, Forgetful()).code == 0 and not home.exists()


def test_a_damaged_memory_counts_as_none(home: Path) -> None:
    memory = Verdicts()
    memory.remember("credential x", "verified")
    assert memory.recall("credential x") == ("verified", "2026-01-01")
    for text in ("{", "[]", '{"verdicts": 3}', '{"verdicts": {"credential x": 3}}'):
        (home / "verdicts.json").write_text(text)
        assert memory.recall("credential x") is None
    memory.remember("credential x", "verified")
    memory.remember("credential x", None)
    assert json.loads((home / "verdicts.json").read_text()) == {"version": 1, "verdicts": {}}
