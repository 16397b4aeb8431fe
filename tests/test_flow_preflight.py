"""Preflight on this machine: all that would stop a flow is told at once, each with its mend, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noescape.cli.main import main
from noescape.flow import machine
from noescape.flow.machine import Machine, Space
from noescape.flow.preflight import artifacts, here, service

CANARY = "c4nary-Zq81"
FLOW = """\
workflow:
  name: {{ name }}
  resources:
    default: {cpu: 1, memory: 1Gi, gpu: {{ gpu }}}
  tasks:
  - name: make
    image: python:3.11
    command: [sh, -c]
    args: ["{{ tool }} --out {{output}}"]
    environment: {PROFILE: "{{ profile }} {{ service }}"}
    credentials:
      store-key: {STORE_TOKEN: token}
      mount: /mnt/keys
    inputs:
    - url: {{ data }}
    - url: {{ dig_url_root }}/models/base/part
    outputs:
    - url: {{ dig_url_root }}/runs/{{ name }}/made
default-values:
  tool: noescape data check
  gpu: 0
  profile: cpu
  service: ""
"""
CARD = """\
card: 1
title: A test
kind: flow
order: 900
makes: nothing
summary: nothing
mechanism: none
entry_point: none
steps: ["make: it"]
artifacts:
  - {path: models/base, holds: base models, setup: setup_pretrained}
  - {path: datasets/extra, holds: extra data, setup: setup_pcb, when: {profile: [big]}}
credentials:
  - {name: store-key, key: token, variable: STORE_TOKEN, why: downloads}
  - {name: hf-token, key: token, variable: HF_TOKEN, why: gated models, target: osmo}
endpoint: {knob: service, deployed: "http://svc.x.svc.cluster.local:8000/v1", capacity: 2}
knobs:
  name: {type: text, stage: run, help: name, load_bearing: true, stamp: true, shown: true}
  dig_url_root: {type: place, stage: run, help: root, load_bearing: true, shown: true}
  data: {type: place, stage: first, help: data, load_bearing: true, shown: true}
  tool: {type: text, stage: first, help: tool, default: noescape data check}
  gpu: {type: int, stage: first, help: GPUs, default: 0}
  profile: {type: choice, stage: size, choices: [cpu, big], default: cpu, help: size}
  service: {type: url, stage: first, default: "", words: {"": "none: local"}, help: service}
questions:
  dig_url_root: {ask: Where, options: [{label: here, sets: {dig_url_root: here}}, {label: other, type_in: a place}]}
  data: {ask: Which, options: [{label: this, sets: {data: this}}, {label: other, type_in: a place}]}
profiles:
  cpu: {stages: {make: {cpu: 1, memory: 1Gi, gpu: 0}}}
  big: {stages: {make: {cpu: 1, memory: 1Gi, gpu: 1}}, shm: 16Gi, nvoptix: true, disk: 80Gi}
output: {folder: made, files: ".*", holds: nothing}
folders: [made]
time: none
"""
Run = Callable[..., tuple[int, dict[str, tuple[str, str, str]]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Preflight of FLOW in a folder of its own; exit code and findings by `check name`, as (status, detail, mend)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("STORE_TOKEN", "HF_TOKEN", "MOUNT__a", "NOESCAPE_OSMO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "this_machine", lambda: Machine(cpus=4, memory=8 << 30))
    (tmp_path / "my.yaml").write_text(FLOW)
    (tmp_path / "my.card.yaml").write_text(CARD)

    def call(*words: str, sets: tuple[str, ...] = ("dig_url_root=root", "data=parts")) -> Any:
        code = main(["flow", "preflight", "./my.yaml", "--json", "--set", *sets, *words])
        said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        assert code in (0, 1), said.err
        result = json.loads(said.out)
        assert result["ready"] is (code == 0) and result["flow"] == "my"
        rows = {f"{c['check']} {c['name']}": (c["status"], c["detail"], c["mend"]) for c in result["checks"]}
        assert [k for k, row in rows.items() if row[0] == "missing" and not row[2] and "workflow" not in k] == [], (
            "what is missing has a mend"
        )
        return code, rows

    return call


def furnish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that FLOW needs."""
    for name in ("parts/a", "root/models/base/part/b"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x")
    monkeypatch.setenv("STORE_TOKEN", CANARY)
    monkeypatch.setenv("MOUNT__a", CANARY)


def test_a_furnished_flow_can_start(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path, monkeypatch)
    code, rows = run()
    assert code == 0 and {row[0] for row in rows.values()} == {"ok"}
    assert {"workflow file", "credentials store-key", "credentials mount", "artifacts models/base", "artifacts parts",
            "endpoint service", "machine disk", "tools sh", "tools noescape"} <= set(rows)  # fmt: skip
    assert rows["endpoint service"][1] == "none: local" and "credentials hf-token" not in rows


def test_everything_missing_is_told_at_once(run: Run) -> None:
    code, rows = run()
    missing = {key: row[2] for key, row in rows.items() if row[0] == "missing"}
    assert code == 1 and set(missing) == {
        "credentials store-key", "credentials mount", "artifacts models/base", "artifacts parts"
    }  # fmt: skip
    assert missing["credentials store-key"] == "set STORE_TOKEN or STORE_KEY_TOKEN in the environment or .env"
    assert missing["credentials mount"].startswith("set MOUNT__<KEY> for each file <KEY>")
    assert missing["artifacts models/base"] == "noescape flow run setup_pretrained --set dig_url_root=root"
    assert missing["artifacts parts"].endswith("(noescape flow data upload FOLDER parts)"), "first what, then where"


def test_a_folder_of_data_sets_comes_from_their_setups_and_in_the_order_in_which_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb, code in (("preflight", 1), ("run", 2)):
        assert main(["flow", verb, "setup_pretrained", "--set", "dig_url_root=root"]) == code
        said = "".join(capsys.readouterr())
        assert "noescape flow run setup_metal --set dig_url_root=root" in said and "run setup_glass" in said
        assert "noescape flow run setup_pcb --set dig_url_root=root" in said
    name = "texture_defect_generation_day1_manual_roi"
    assert main(["flow", "preflight", name, "--set", "dig_url_root=root", "usecase=metal_surface"]) == 1
    steps = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("  1. ", "  2. "))]
    assert "run setup_metal " in steps[0] and "run setup_pretrained " in steps[1], "a checkpoint needs examples first"


def test_people_read_a_list_that_ends_with_what_to_do(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "preflight", "./my.yaml", "--set", "dig_url_root=root", "data=pa\u202erts"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "my cannot start here yet: 4 things are missing" in lines
    assert "  1. set STORE_TOKEN or STORE_KEY_TOKEN in the environment or .env" in lines
    assert not any("\u202e" in line for line in lines) and any("pa\\u202erts" in line for line in lines)


def test_credentials_come_from_the_env_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path, monkeypatch)
    monkeypatch.delenv("STORE_TOKEN")
    (tmp_path / ".env").write_text(f"STORE_TOKEN='{CANARY}'\n")
    (tmp_path / ".env").chmod(0o644)
    code, rows = run()
    assert code == 0 and rows["credentials store-key"][0] == "ok"
    assert rows["credentials env file"] == (
        "warning", ".env", "others may read or change it (mode 644): chmod 600 .env"
    )  # fmt: skip
    (tmp_path / "other.env").write_text("")
    assert run("--env-file", "other.env")[0] == 1


def test_a_faulty_env_file_is_wrong_use(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").write_text(f"A='{CANARY}\n")
    assert main(["flow", "preflight", "./my.yaml", "--set", "dig_url_root=root", "data=parts"]) == 2
    assert ".env:1: A: the quote" in capsys.readouterr().err


def test_an_unfinished_upload_is_missing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path, monkeypatch)

    class Torn:
        def __init__(self, url: str, **options: object) -> None: ...

        def exists(self) -> bool:
            raise artifacts.UnfinishedError("half of it")

    monkeypatch.setattr(artifacts, "open_store", Torn)
    code, rows = run()
    status, detail, mend = rows["artifacts models/base"]
    assert (code, status) == (1, "missing") and "not whole: half of it" in detail and "setup_pretrained" in mend


def test_what_only_a_size_needs_is_asked_of_that_size_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "shm_space", lambda: Space(total=64 << 20, free=0))
    monkeypatch.setattr(here, "disk_space", lambda path: Space(total=1 << 40, free=79 << 30))
    monkeypatch.setattr(here, "NVOPTIX", "/no/such/nvoptix.bin")
    _, rows = run()
    assert rows["machine disk"][0] == "ok" and "machine nvoptix" not in rows and "artifacts datasets/extra" not in rows
    _, rows = run("--set", "profile=big")
    assert [rows[f"machine {name}"][0] for name in ("disk", here.SHM, "nvoptix")] == ["missing"] * 3
    assert "79Gi free" in rows["machine disk"][1] and "80Gi needed" in rows["machine disk"][1]
    assert rows["artifacts datasets/extra"][2] == "noescape flow run setup_pcb --set dig_url_root=root"
    monkeypatch.setattr(here, "shm_space", lambda: Space(total=16 << 30, free=0))
    monkeypatch.setattr(here, "disk_space", lambda path: Space(total=1 << 40, free=80 << 30))
    _, rows = run("--set", "profile=big")
    assert [rows[f"machine {name}"][0] for name in ("disk", here.SHM)] == ["ok", "ok"]


def test_gpus_must_be_here_and_cores_need_not(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the engine does it: a GPU request without a GPU stops, cores and memory are capped."""
    furnish(tmp_path, monkeypatch)
    code, rows = run("--set", "gpu=1")
    assert code == 1 and "asks for 1 GPU(s), this machine has 0" in rows["machine GPUs"][1]
    monkeypatch.setattr(machine, "this_machine", lambda: Machine(cpus=1, memory=1 << 20, gpus=("GPU-x",)))
    code, rows = run("--set", "gpu=1")
    assert code == 0 and rows["machine cores and memory"][0] == "warning"


def test_a_program_that_tasks_start_must_be_on_path(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path, monkeypatch)
    (tmp_path / "my.yaml").write_text(FLOW.replace("[sh, -c]", "[no-such-program, -c]"))
    code, rows = run("--set", "tool=other/noescape")
    assert code == 1 and rows["tools no-such-program"][0] == "missing" and "tools noescape" not in rows


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://user:pw@host/v1", "a user or a password"),
        ("http://user@host/v1", "a user or a password"),
        ("ftp://host/v1", "expected http://HOST"),
        ("http://", "expected http://HOST"),
        ("http://host:99999/v1", "expected http://HOST"),
        ("http://[::1/v1", "expected http://HOST"),
        ("http://ho st/v1", "expected http://HOST"),
    ],
)
def test_an_address_that_cannot_be_right_is_not_asked(address: str, said: str) -> None:
    assert said in service.address_problem(address, "local") and said in service.address_problem(address, "osmo")


def test_a_service_inside_of_a_cluster_is_not_seen_from_here(run: Run) -> None:
    code, rows = run("--set", "service=http://svc.x.svc.cluster.local:8000/v1")
    assert code == 1 and "only from inside of the cluster" in rows["endpoint service"][1]
    assert rows["endpoint service"][2].endswith("--set service=")


def test_no_probe_asks_nothing_over_the_network(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of this machine are looked at all the same."""
    furnish(tmp_path, monkeypatch)

    def never(*args: object, **kw: object) -> None:
        raise AssertionError(f"asked: {args}")

    monkeypatch.setattr("urllib.request.build_opener", never)
    monkeypatch.setattr("subprocess.Popen", never)
    monkeypatch.setattr("noescape.flow.preflight.artifacts.open_store", never)
    sets = ("dig_url_root=s3://bucket/dig", "data=s3://bucket/parts", "service=http://127.0.0.1:9/v1")
    monkeypatch.setattr("noescape.flow.format.load._workflow", lambda *a: ("", None))  # rendering is a process of ours
    _, rows = run("--no-probe", sets=sets)
    assert rows["endpoint service"][0] == rows["artifacts models/base"][0] == "unknown"
    monkeypatch.undo()


def test_what_is_unknown_stops_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path, monkeypatch)
    code, rows = run("--no-probe", "--set", "service=http://127.0.0.1:9/v1")
    assert code == 0 and rows["endpoint service"][0] == "unknown" and rows["artifacts parts"][0] == "ok"


def test_a_faulty_file_is_one_of_the_problems(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(FLOW.replace("image: python:3.11", "imag: python:3.11"))
    code, rows = run()
    assert code == 1 and any("my.yaml" in key and row[0] == "missing" for key, row in rows.items())
    assert "artifacts models/base" in rows, "the others are told beside it"


def test_a_planned_flow_says_so_and_what_else(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "my.yaml").unlink()
    code = main(["flow", "preflight", "finetune", "--usecase", "metal_surface", "--set", "dig_url_root=root"])
    out = capsys.readouterr().out
    assert code == 1 and "datasets/metal_surface/raw" in out and "setup_" in out


@pytest.mark.parametrize(
    "words",
    [["no_such_flow"], ["./none.yaml"], ["./my.yaml"], ["./my.yaml", "--set", "x"], ["./my.yaml", "--for", "x"]],
)
def test_wrong_use_is_2(words: list[str], run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Among it what is load-bearing and unknown: nothing is assumed for it."""
    try:
        code = main(["flow", "preflight", *words])
    except SystemExit as stop:
        code = int(str(stop.code))
    assert code == 2 and capsys.readouterr().err
