"""Preflight for the cluster: pool, capacity, credentials by name, pod template; asked kindly and remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster_maker import Cluster
from noescape.cli.main import main
from noescape.flow.cards import preferences
from noescape.flow.preflight.cluster import capacity
from noescape.flow.preflight.pod_template import SNIPPET
from noescape.records import WorkError
from test_flow_preflight import CARD, FLOW

DEPLOYED = "service=http://svc.x.svc.cluster.local:8000/v1"
CREDENTIALS = [{"cred_name": name, "cred_type": "GENERIC"} for name in ("hf-token", "store-key", "mount")]
ROOT = ("dig_url_root=s3://bucket/dig", "data=s3://bucket/parts")
Run = Callable[..., tuple[int, dict[str, tuple[str, str, str]]]]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A stand-in with every credential, and storage in which everything lies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    (tmp_path / "my.yaml").write_text(FLOW)
    (tmp_path / "my.card.yaml").write_text(CARD)
    made = Cluster(tmp_path, credentials=CREDENTIALS, admin=True, config={"POD_TEMPLATE": {"user": SNIPPET}})
    monkeypatch.setenv("NOESCAPE_OSMO", str(made.program))

    class Full:
        def __init__(self, url: str, **options: object) -> None: ...

        def exists(self) -> bool:
            return True

    monkeypatch.setattr("noescape.flow.preflight.artifacts.open_store", Full)
    return made


@pytest.fixture
def run(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, sets: tuple[str, ...] = ROOT) -> Any:
        code = main(["flow", "preflight", "./my.yaml", "--json", "--set", *sets, *words])
        said = capsys.readouterr()
        assert code in (0, 1), said.err
        result = json.loads(said.out)
        rows = {f"{c['check']} {c['name']}": (c["status"], c["detail"], c["mend"]) for c in result["checks"]}
        return code, rows | {"target": result["target"]}

    return call


def test_a_cluster_with_everything_can_start(run: Run, cluster: Cluster) -> None:
    code, rows = run("--pool", "gpu")
    assert code == 0 and rows["target"] == "osmo"
    assert {rows[f"credentials {name}"][0] for name in ("hf-token", "store-key", "mount")} == {"ok"}
    assert rows["pool gpu"][0] == "ok" and not any(key.startswith(("machine", "tools")) for key in rows)
    assert not cluster.calls("config"), "a size that needs no GPU asks for no pod template"


def test_all_that_the_cluster_lacks_is_told_at_once(run: Run, cluster: Cluster) -> None:
    cluster.tell(credentials=[], usage={"total_capacity": 1}, pools=["small"], admin=True, config={"POD_TEMPLATE": {
        "user": {"spec": {"containers": [{}]}}}})  # fmt: skip
    code, rows = run("--pool", "small", "--set", "profile=big", DEPLOYED, "gpu=1")
    missing = {key: row for key, row in rows.items() if row[0] == "missing"}
    assert code == 1 and set(missing) == {
        "credentials hf-token", "credentials store-key", "credentials mount", "pool small", "pod template GPU pods"
    }  # fmt: skip
    mend = "osmo credential set hf-token --type GENERIC --payload-file token=FILE_THAT_HOLDS_IT"
    assert missing["credentials hf-token"][2] == mend
    assert "total capacity 1" in missing["pool small"][1] and "--set service=URL" in missing["pool small"][2]


@pytest.mark.parametrize(
    ("total", "words", "status"),
    [
        (2, [DEPLOYED], "ok"),
        (1, [DEPLOYED], "missing"),
        ("1", [DEPLOYED + "/"], "missing"),
        (2, [DEPLOYED, "gpu=2"], "missing"),
        (3, [DEPLOYED, "gpu=2"], "ok"),
        (0, [], "ok"),
        (1, ["gpu=2"], "missing"),
        (2, ["gpu=2"], "ok"),
        (None, ["gpu=2"], "unknown"),
    ],
)
def test_a_pool_must_have_the_gpus(total: Any, words: list[str], status: str, run: Run, cluster: Cluster) -> None:
    """A service of one's own needs one beside the flow: two in all, and one more than the largest group."""
    cluster.tell(credentials=CREDENTIALS, usage={"total_capacity": total})
    code, rows = run("--pool", "gpu", "--set", *words) if words else run("--pool", "gpu")
    assert rows["pool gpu"][0] == status and code == (1 if status == "missing" else 0)


def test_a_pool_is_chosen_or_asked_for(run: Run, cluster: Cluster) -> None:
    code, rows = run("--for", "osmo")
    assert code == 1 and rows["pool pool"][2] == "--pool POOL, one of: gpu, cpu"
    code, rows = run("--pool", "other")
    assert code == 1 and "not among the pools" in rows["pool other"][1]
    cluster.tell(credentials=CREDENTIALS, default_pool="cpu")
    assert run("--for", "osmo")[1]["pool cpu"][0] == "ok"


def test_a_remembered_pool_and_a_bucket_mean_the_cluster(run: Run) -> None:
    assert run()[1]["target"] == "local"
    preferences.remember({"pool": "gpu"})
    assert run()[1]["target"] == "osmo" and run("--for", "local")[1]["target"] == "local"
    assert run(sets=("dig_url_root=root", "data=parts"))[1]["target"] == "local"


def test_what_only_this_machine_sees_is_refused_for_a_cluster(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    _, rows = run("--pool", "gpu", "--set", "service=http://localhost:1/v1")
    assert "a pod of the cluster cannot reach it" in rows["endpoint service"][1]
    assert main(["flow", "preflight", "./my.yaml", "--pool", "gpu", "--set", "dig_url_root=root", ROOT[1]]) == 2
    assert "a folder of this machine" in capsys.readouterr().err


def test_setup_commands_name_the_pool(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def __init__(self, url: str, **options: object) -> None: ...

        def exists(self) -> bool:
            return False

    monkeypatch.setattr("noescape.flow.preflight.artifacts.open_store", Empty)
    _, rows = run("--pool", "gpu")
    mend = rows["artifacts models/base"][2]
    assert mend == "noescape flow submit setup_pretrained --pool gpu --set dig_url_root=s3://bucket/dig"


def test_a_bucket_that_only_the_cluster_may_read_is_asked_through_it(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def __init__(self, url: str, **options: object) -> None: ...

        def exists(self) -> bool:
            raise WorkError("no credentials")

    monkeypatch.setattr("noescape.flow.preflight.artifacts.open_store", Closed)
    cluster.put("s3://bucket/dig/models/base/a", "x")
    code, rows = run("--pool", "gpu")
    assert code == 1 and (rows["artifacts models/base"][0], rows["artifacts s3://bucket/parts"][0]) == ("ok", "missing")
    _, rows = run("--for", "local")
    assert rows["artifacts models/base"][0] == "missing" and "no credentials" in rows["artifacts models/base"][1]


def test_verdicts_are_remembered_and_used_without_asking(run: Run, cluster: Cluster) -> None:
    """With --no-probe nothing is asked; what was verified before is told with its day."""
    _, rows = run("--pool", "gpu", "--no-probe", "--set", "profile=big")
    assert rows["credentials hf-token"][0] == rows["pod template GPU pods"][0] == "unknown" and not cluster.calls()
    run("--pool", "gpu", "--set", "profile=big")
    asked = len(cluster.calls())
    _, rows = run("--pool", "gpu", "--no-probe", "--set", "profile=big")
    assert rows["credentials hf-token"][:2] == ("ok", "not asked (--no-probe); verified on 2026-01-01")
    assert "verified on 2026-01-01" in rows["pod template GPU pods"][1] and len(cluster.calls()) == asked
    run("--pool", "gpu", "--set", "profile=big")
    assert len(cluster.calls("config")) == 1, "a pod template that was verified is not asked for again"


@pytest.mark.parametrize(("answer", "status"), [("user-confirmed", "ok"), (None, "warning")])
def test_who_may_not_look_is_warned_unless_somebody_confirmed(
    answer: str | None, status: str, run: Run, cluster: Cluster
) -> None:
    cluster.tell(credentials=CREDENTIALS, admin=False)
    preferences.remember({"pod_template": answer})
    code, rows = run("--pool", "gpu", "--set", "profile=big")
    assert code == 0 and rows["pod template GPU pods"][0] == status


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        ({"on": "profile", "exit": 10, "message": "no route"}, "osmo the cluster"),
        ({"on": "credential", "exit": 2, "code": 401, "message": "log in"}, "credentials the cluster"),
        ({"on": "pool", "garbage": "<html>"}, "pool the cluster"),
    ],
)
def test_a_cluster_that_does_not_answer_is_one_of_the_problems(
    fault: dict[str, Any], key: str, run: Run, cluster: Cluster
) -> None:
    cluster.tell(credentials=CREDENTIALS, faults=[fault])
    code, rows = run("--pool", "gpu", "--set", "gpu=1")
    assert code == 1 and rows[key][0] == "missing" and rows[key][2] and "artifacts models/base" in rows


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ({"name": "p", "resource_usage": {"total_capacity": "3"}}, 3),
        ({"a": [{"pools": [{"name": "q", "total_capacity": 9}, {"name": "p", "total_capacity": 2.0}]}]}, 2),
        ({"name": "p", "resource_usage": {"total_capacity": "-"}}, None),
        ({"name": "q", "total_capacity": 9}, None),
        ([1, None, "p"], None),
    ],
)
def test_capacity_is_found_however_it_is_nested(answer: Any, number: int | None) -> None:
    assert capacity(answer, "p") == number
