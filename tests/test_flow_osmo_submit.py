"""Before a submission: all that can be checked here is checked here, and the name is fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_maker import FLOW, Cluster, cluster
from noescape.flow.cluster.submit import choose_pool, prepare, stamped, submit
from noescape.flow.format.spec import MAX_NAME, NAME
from noescape.records import UsageError

__all__ = ["cluster"]
ROOTED = FLOW.replace("s3://bucket/runs", "{{ dig_url_root }}/runs")


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "my_flow.yaml").write_text(FLOW, "utf-8")
    return tmp_path / "my_flow.yaml"


@given(st.text(max_size=100))
def test_a_stamp_is_a_name_whatever_the_file_is_called(stem: str) -> None:
    name = stamped(stem)
    assert NAME.fullmatch(name) and len(name) <= MAX_NAME and re.search(r"-[0-9a-f]{8}$", name)


def test_each_submission_has_a_fresh_name_unless_one_is_given(flow: Path) -> None:
    names = {prepare(flow, stem="my_flow").name for _ in range(3)}
    assert len(names) == 3 and all(re.fullmatch(r"my_flow-[0-9a-f]{8}", name) for name in names)
    assert prepare(flow, stem="my_flow", sets=["name=mine"]).sets == ("name=mine",)
    assert prepare(flow, stem="my_flow", string_sets=["name=mine"]).name == "mine"


def test_a_file_with_a_name_of_its_own_keeps_it_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(FLOW.replace("{{ name }}", "always"), "utf-8")
    made = prepare(file, stem="f")
    assert made.name == "always" and any("always always" in warning for warning in made.warnings)


@pytest.mark.parametrize("root", ["work", "/data/dig", "~/dig", "file:///data/dig", "ftp://host/x", "s3://b/*"])
def test_what_only_this_machine_knows_is_refused(root: str, tmp_path: Path) -> None:
    """Wherever it stands, with the mend, and before anything is asked of the cluster."""
    file = tmp_path / "f.yaml"
    file.write_text(ROOTED, "utf-8")
    with pytest.raises(UsageError, match="s3://") as caught:
        prepare(file, stem="f", sets=[f"dig_url_root={root}"])
    assert caught.value.exit_code == 2
    assert prepare(file, stem="f", sets=["dig_url_root=s3://bucket/dig"]).pool is None


def test_a_folder_in_a_root_that_no_url_uses_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(FLOW.replace("echo {{ data }}", "echo {{ dig_url_root }}"), "utf-8")
    with pytest.raises(UsageError, match="--set dig_url_root=work"):
        prepare(file, stem="f", sets=["dig_url_root=work"])


def test_load_bearing_knobs_must_be_given_and_all_problems_come_at_once(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(ROOTED.replace("image: python:3.11", "image: python:3.11\n    imge: x", 1), "utf-8")
    with pytest.raises(UsageError) as caught:
        prepare(file, stem="f", required=["dig_url_root", "usecase"])
    text = str(caught.value)
    assert "dig_url_root" in text and "usecase" in text and "imge" in text and f"{file}:" in text


def test_what_only_the_cluster_refuses_is_refused(tmp_path: Path) -> None:
    """More tasks than a workflow may have there, though this machine would run them."""
    task = "\n  - {name: t%d, image: x, command: ['true']}"
    file = tmp_path / "f.yaml"
    file.write_text("workflow:\n  name: x\n  tasks:" + "".join(task % i for i in range(21)) + "\n", "utf-8")
    with pytest.raises(UsageError, match="20"):
        prepare(file, stem="f")


def test_a_wrong_priority_is_refused_and_any_case_taken(flow: Path) -> None:
    with pytest.raises(UsageError, match="HIGH, NORMAL, LOW"):
        prepare(flow, stem="f", priority="URGENT")
    assert prepare(flow, stem="f", priority="low").priority == "LOW"


def test_the_pool_is_the_given_one_then_the_files_then_the_profiles(
    cluster: Cluster, flow: Path, tmp_path: Path
) -> None:
    made = prepare(flow, stem="f")
    with pytest.raises(UsageError, match="Accessible: gpu, cpu"):
        choose_pool(made, cluster.osmo)
    cluster.tell(default_pool="cpu")
    assert choose_pool(made, cluster.osmo) == "cpu"
    (tmp_path / "p.yaml").write_text(FLOW.replace("  tasks:", "  pool: gpu\n  tasks:"), "utf-8")
    assert choose_pool(prepare(tmp_path / "p.yaml", stem="p"), cluster.osmo) == "gpu"
    assert choose_pool(prepare(tmp_path / "p.yaml", stem="p", pool="cpu"), cluster.osmo) == "cpu"


def test_what_is_prepared_is_what_the_cluster_gets(cluster: Cluster, flow: Path) -> None:
    """The run's id begins with the stamped name, and its file has the values."""
    made = prepare(flow, stem="my_flow", pool="gpu", sets=["data=it's a test"])
    answer = submit(made, cluster.osmo)
    assert answer.id == f"{made.name}-1"
    assert "it's a test" in cluster.osmo.spec(answer.id)
    assert submit(made, cluster.osmo, dry_run=True).id is None


def test_files_beside_the_workflow_go_with_it(cluster: Cluster, tmp_path: Path) -> None:
    """`localpath` is relative to the workflow file, not to where one stands."""
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "job.sh").write_text("echo from-the-file\n", "utf-8")
    text = FLOW.replace(
        "image: python:3.11", "image: python:3.11\n    files:\n    - {path: /job.sh, localpath: job.sh}", 1
    )
    (folder / "f.yaml").write_text(text, "utf-8")
    answer = submit(prepare(folder / "f.yaml", stem="f", pool="gpu"), cluster.osmo)
    assert answer.id is not None and "from-the-file" in cluster.osmo.spec(answer.id)
