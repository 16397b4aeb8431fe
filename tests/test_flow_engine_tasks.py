"""One task: what it sees, what it is given, how its end is told."""

from __future__ import annotations

import base64
import errno
import os
import signal
from pathlib import Path

import pytest

from flow_maker import Bench, leftovers, sh
from noescape.flow.engine.layout import TaskFolder
from noescape.flow.engine.places import local_place
from noescape.flow.format.spec import Checkpoint

ODD = "Täler & 'quoted' $(x) \"d\" 名前"


def test_a_task_sees_only_the_listed_part_of_the_callers_environment(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    caller = {
        "PATH": os.environ["PATH"], "HOME": "/h", "LC_ALL": "C", "OMP_NUM_THREADS": "3", "https_proxy": "p",
        "AWS_SECRET_ACCESS_KEY": "canary", "MY_TOKEN": "canary", "SSH_AUTH_SOCK": "canary", "NOESCAPE_RUN": "x",
    }  # fmt: skip
    bench.run(sh("a", "env > {{output}}/env", environment={"OWN": True, "HOME": "/mine"}), environ=caller)
    seen = dict(line.split("=", 1) for line in bench.made()["a/env"].splitlines() if "=" in line)
    assert seen["HOME"] == "/mine" and seen["OWN"] == "True" and seen["OMP_NUM_THREADS"] == "3"
    assert seen["https_proxy"] == "p" and seen["LC_ALL"] == "C" and "canary" not in bench.made()["a/env"]
    assert seen["NOESCAPE_RUN"].startswith(f"{bench.place.id}:") and "/a/0/" in seen["NOESCAPE_RUN"]
    assert seen["CUDA_VISIBLE_DEVICES"] == "" and seen["PWD"] == str(bench.task("a").work)


def test_tokens_and_container_paths_lead_into_the_tasks_folder(tmp_path: Path) -> None:
    """Everywhere a text may name them: command, args, environment, contents of files, checkpoints."""
    bench = Bench(tmp_path)
    script = (
        "#!/bin/sh\ncat /etc/app/conf.txt /osmo/data/input/0/x > /osmo/data/output/all\necho {{workflow_id}} $1 $WHERE"
    )
    bench.run(
        sh("up", "echo up > {{output}}/x"),
        {
            "name": "a", "image": "none", "command": ["/opt/run.sh"], "args": ["--dir=/osmo/data/output"],
            "environment": {"WHERE": "{{input:up}}:/etc/app/conf.txt:/etc/app/conf.txt.bak:/x/etc/app/conf.txt"},
            "inputs": [{"task": "up"}],
            "files": [{"path": "/opt/run.sh", "contents": script}, {"path": "/etc/app/conf.txt", "contents": "c\n"}],
        },
    )  # fmt: skip
    folder = bench.task("a")
    assert bench.made()["a/all"] == "c\nup\n"
    conf = f"{folder.files}/etc/app/conf.txt"
    where = f"{folder.input(0)}:{conf}:/etc/app/conf.txt.bak:/x/etc/app/conf.txt"
    assert bench.log("a") == f"demo-1 --dir={folder.output} {where}\n"


def test_files_are_decoded(tmp_path: Path) -> None:
    data = bytes(range(256))
    bench = Bench(tmp_path)
    blob = {"path": "/bin/blob", "contents": base64.b64encode(data).decode(), "base64": True}
    bench.run(sh("a", "cp /bin/blob {{output}}/blob", files=[blob]))
    assert (bench.task("a").output / "blob").read_bytes() == data


@pytest.mark.parametrize(
    "path", ["/../../../escape", "/a/../../escape", "../../escape", "//escape", "/osmo/data/../../x"]
)
def test_no_container_path_leads_out_of_the_tasks_folder(tmp_path: Path, path: str) -> None:
    """Whatever the checks of the file let through."""
    folder = TaskFolder(tmp_path / "t" / "0")
    place = Path(os.path.normpath(local_place(folder, path)))
    assert place.is_relative_to(folder.path) and place != folder.path


def test_a_run_folder_of_any_name_works_with_unquoted_tokens(tmp_path: Path) -> None:
    """Workflows are written for /osmo/data and rarely quote; blanks and quotes in the local path do no harm."""
    place = tmp_path / ODD
    place.mkdir()
    bench = Bench(place)
    script = "echo x > {{output}}/x; cat {{input:0}}/x /etc/note.txt > {{output}}/y"
    outcome = bench.run(
        sh("up", "echo up > {{output}}/x"),
        sh("a", script, needs=["up"], files=[{"path": "/etc/note.txt", "contents": "n\n"}]),
    )
    assert outcome.status == "COMPLETED" and bench.made()["a/y"] == "up\nn\n"


def test_odd_names_of_outputs_arrive(tmp_path: Path) -> None:
    """Blanks, quotes, newlines, a leading dash, other scripts, no text at all; deep folders; an empty file."""
    names = [ODD, "-rf", "new\nline", "a" * 200, ".hidden", os.fsdecode(b"\xff\xfe bytes"), "{{output}}", "deep/er/x"]
    maker = tmp_path / "maker.py"
    maker.write_text(f"import os,sys\nfor n in {names!r}:\n p=os.path.join(sys.argv[1],n)\n"
                     " os.makedirs(os.path.dirname(p),exist_ok=True)\n open(p,'w').close()\n")  # fmt: skip
    bench = Bench(tmp_path)
    outcome = bench.run(
        sh("a", f"python3 {maker} {{{{output}}}}"),
        sh("b", "cp -R {{input:0}}/. {{output}}/", needs=["a"], outputs=[{"url": "kept"}]),
    )
    assert outcome.status == "COMPLETED", bench.message("b")
    found = {str(p.relative_to(bench.task("b").output)) for p in bench.task("b").output.rglob("*") if p.is_file()}
    assert found == set(names)
    assert {str(p.relative_to(tmp_path / "kept")) for p in (tmp_path / "kept").rglob("*") if p.is_file()} == found
    assert bench.resume().kept == 2


def test_regex_picks_inputs_and_outputs_by_relative_path(tmp_path: Path) -> None:
    """Anchored at the start only, both ways, as `re.match`; an ordering input takes nothing."""
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.csv", "sub/a.txt"):
        (data / name).write_text(name)
    bench = Bench(tmp_path)
    bench.run(
        sh("up", "mkdir {{output}}/s; for f in a.txt b.csv s/a.txt; do echo $f > {{output}}/$f; done"),
        sh(
            "a", "(cd ../input; find . -type f | sort) > {{output}}/list; touch {{output}}/skip",
            inputs=[{"task": "up", "regex": "a"}, {"task": "up", "regex": "^$"}, {"url": "data", "regex": r".*\.txt$"}],
            outputs=[{"url": "out", "regex": "li"}],
        ),
    )  # fmt: skip
    assert bench.made()["a/list"] == "./0/a.txt\n./2/a.txt\n./2/sub/a.txt\n"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["list"]


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("exit 0", "COMPLETED", 0),
        ("exit 1", "FAILED", 1),
        ("exit 255", "FAILED", 255),
        ("kill -9 $$", "FAILED", 128 + signal.SIGKILL),
        ("kill -SEGV $$", "FAILED", 128 + signal.SIGSEGV),
    ],
)
def test_exit_codes(tmp_path: Path, script: str, status: str, code: int) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("a", script))
    assert (bench.status("a"), bench.code("a")) == (status, code)


@pytest.mark.parametrize(
    ("more", "status", "code", "words"),
    [
        ({"command": ["no-such-program"]}, "FAILED_START_ERROR", 3003, "not on this machine"),
        ({"inputs": [{"url": "nowhere"}]}, "FAILED", 2010, "nowhere"),
        ({"command": ["sh", "-c", "ln -s /etc/hostname {{output}}/x"]}, "FAILED", 2012, "link to"),
    ],
)
def test_what_fails_around_a_command_has_the_clusters_codes(
    tmp_path: Path, more: dict[str, object], status: str, code: int, words: str
) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("a", "true") | more)
    assert (bench.status("a"), bench.code("a")) == (status, code) and words in bench.message("a")


def test_outputs_of_a_failed_task_are_not_uploaded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("a", "echo 1 > {{output}}/x; exit 1", outputs=[{"url": "out"}]))
    assert not (tmp_path / "out").exists()


def test_inputs_from_tasks_are_links_and_writing_into_one_fails_the_task(tmp_path: Path) -> None:
    """No bytes are copied; a task that writes through the link is told so, and a resume makes the original anew."""
    bench = Bench(tmp_path)
    outcome = bench.run(
        sh("up", "echo good > {{output}}/x; echo other > {{output}}/y"),
        sh("b", "cat {{input:0}}/x > {{output}}/x", needs=["up"]),
        sh("fine", "rm {{input:0}}/y; echo new > {{input:0}}/y", needs=["up"]),
        sh("bad", "echo evil >> {{input:0}}/x", inputs=[{"task": n, "regex": "x"} for n in ("up", "b", "fine")]),
        sh("late", "cat {{input:0}}/x", inputs=[{"task": "up"}, {"task": "bad"}]),
    )
    assert outcome.status == "FAILED" and bench.status("fine") == "COMPLETED"
    assert bench.status("bad") == "FAILED" and "wrote into its inputs" in bench.message("bad")
    assert (bench.task("b").input(0) / "y").stat().st_ino == (bench.task("up").output / "y").stat().st_ino
    bench.resume()
    assert bench.ran()[0] == "up" and (bench.task("b").output / "x").read_text() == "good\n"


def test_without_links_inputs_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems that have none: a task may then even write into its input, it is its own."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    bench = Bench(tmp_path)
    bench.run(
        sh("up", "echo 1 > {{output}}/x"), sh("a", "echo 2 >> {{input:0}}/x; cp {{input:0}}/x {{output}}", needs=["up"])
    )
    assert bench.made() == {"up/x": "1\n", "a/x": "1\n2\n"}


@pytest.mark.parametrize("trick", ["rmdir {o}; ln -s /etc {o}", "rmdir {o}", "rmdir {o}; echo 1 > {o}", "mkfifo {o}/p"])
def test_an_output_folder_that_is_no_folder_any_more(tmp_path: Path, trick: str) -> None:
    """Nothing from elsewhere is taken for an output; a pipe in it does not make the engine wait."""
    bench = Bench(tmp_path)
    bench.run(sh("a", trick.format(o="{{output}}")))
    if "mkfifo" in trick:
        assert bench.status("a") == "COMPLETED" and not bench.task("a").manifest.exists()
    else:
        assert bench.code("a") == 2012 and "output" in bench.message("a")


def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    """Background processes, also those that changed session, do not outlive the run."""
    bench = Bench(tmp_path)
    outcome = bench.run(
        sh("a", "sleep 300 & setsid sleep 300 & (setsid sh -c 'setsid sleep 300 & sleep 300' &) ; sleep 0.1")
    )
    assert outcome.status == "COMPLETED" and leftovers(bench.place) == []


def test_a_checkpoint_is_uploaded_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    seen = tmp_path / "kept" / "ckpt" / "step"  # below the url under its own name, unlike an output
    script = f"""
        echo 1 > /ckpt/step
        for i in $(seq 200); do [ "$(cat {seen} 2>/dev/null)" = 1 ] && break; sleep 0.02; done
        cat {seen} > {{{{output}}}}/seen; echo 2 > /ckpt/step; exit 4
    """
    bench.run(sh("a", script, checkpoint=[{"path": "/ckpt", "url": "kept", "frequency": "100ms"}]))
    assert bench.code("a") == 4 and (bench.task("a").output / "seen").read_text() == "1\n"
    assert seen.read_text() == "2\n"


def test_an_input_from_another_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("train", "echo model > {{output}}/m"))
    bench.run(
        sh("use", "cat {{input:0}}/m {{input:train}}/m > {{output}}/x", inputs=[{"task": "demo-1:train"}]),
        name="second",
    )
    assert bench.made() == {"use/x": "model\nmodel\n"}


@pytest.mark.parametrize(
    ("path", "name"),
    [("/data/models", "models"), ("/data/models/", "models"), ("{{output}}", "output"), ("{{input:0}}/c", "c"),
     ("/a/{{workflow_id}}", "{{workflow_id}}")],
)  # fmt: skip
def test_a_checkpoint_lies_below_its_url_under_its_own_name(path: str, name: str) -> None:
    assert Checkpoint(path=path, url="s3://b/x/", frequency="1m").place == f"s3://b/x/{name}"
