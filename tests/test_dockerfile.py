"""The image's recipe, read and not built: what it copies is there, versions are ours, no secret and no root in it."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def steps(text: str = TEXT) -> list[tuple[str, str]]:
    """Each instruction with its whole text, comments and line ends left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.split("\n")) if word
    ]


def of(word: str) -> list[str]:
    return [rest for kind, rest in steps() if kind == word]


def ignored(name: str) -> bool:
    """What .dockerignore keeps out: the last pattern that fits decides, for the path and all folders above it."""
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        parts = name.split("/")
        paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        forms = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch.fnmatch(p, form) and p.count("/") == form.count("/") for p in paths for form in forms) or (
            pattern.startswith("**/") and any(fnmatch.fnmatch(part, forms[1]) for part in parts)
        ):
            out = not keep
    return out


@pytest.fixture(scope="module")
def pins() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_pins", ROOT / "tools" / "image_pins.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_that_is_copied_is_there_and_gets_in() -> None:
    sources = [word for rest in of("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]]
    assert len(sources) >= 6
    for name in sources:
        assert (ROOT / name).exists() and not name.startswith(("/", "..")), name
        assert not ignored(name.rstrip("/")), f".dockerignore keeps {name} out"


@pytest.mark.parametrize(
    "name",
    [".env", ".git/config", "flow-runs/a/log.txt", "tests/test_house.py", "src/noescape/.env", "src/.env.local",
     "src/noescape/__pycache__/a.pyc", "src/noescape.egg-info/PKG-INFO", "tools/lock.py", "datasets/a.png"],
)  # fmt: skip
def test_nothing_else_gets_in(name: str) -> None:
    assert ignored(name)


@pytest.mark.parametrize("name", ["src/noescape/cli/main.py", "src/noescape/assets/configs/inspect_folder.yaml"])
def test_the_package_gets_in(name: str) -> None:
    assert (ROOT / name).is_file() and not ignored(name)


def test_what_the_build_needs_of_the_project_is_copied() -> None:
    """Files that pyproject.toml names, and the folder of the package."""
    copied = {word.rstrip("/") for rest in of("COPY") for word in rest.split()[:-1]}
    project = PROJECT["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml", "constraints.txt", "src"} <= copied


def test_versions_agree_with_the_project() -> None:
    (torch,) = {line for line in PROJECT["project"]["dependencies"] if line.startswith("torch")}
    assert set(re.findall(r"torch==[\w.+]+", TEXT)) == {torch}
    bases = {rest.split(" AS ")[0] for rest in of("FROM")}
    assert len(bases) == 1 and (match := re.fullmatch(r"python:(3\.\d+)-slim", bases.pop()))
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, match[1].split("."))) >= tuple(map(int, least.split(".")))
    tags = set(re.findall(r"noescape:([\d.]+\d)", TEXT))
    flow = (ROOT / "src/noescape/assets/configs/inspect_folder.yaml").read_text("utf-8")
    assert tags == {PROJECT["project"]["version"]} == set(re.findall(r"image: noescape:([\d.]+\d)", flow))


def test_all_but_torch_and_ourselves_is_installed_by_hash() -> None:
    commands = [part for rest in of("RUN") for part in re.split(r"&&|;|\bthen\b|\belse\b", rest) if " install " in part]
    assert len(commands) >= 5
    for command in commands:
        assert "--require-hashes --no-deps -r" in command or command.split()[-1] in ("torch==2.13.0", "wheels/*.whl")


def test_it_does_not_run_as_root_and_leaves_the_command_to_tasks() -> None:
    last = [i for i, (word, _) in enumerate(steps()) if word == "FROM"][-1]
    user = next(rest for word, rest in steps()[last:] if word == "USER")
    number = next(rest for word, rest in steps()[last:] if word == "ARG" and rest.startswith("RUN_AS="))
    assert user == "${RUN_AS}" and int(number.split("=")[1]) > 0
    assert not of("ENTRYPOINT") and len(of("CMD")) == 1
    assert not [word for word, _ in steps()[last:] if word == "RUN" and "pip" in word], "no installer in the last stage"


def test_it_holds_no_secret_and_names_no_registry() -> None:
    """No host but that of the base image's own name, which has none; no variable that speaks of a secret."""
    assert not re.findall(r"https?://|(?:[\w-]+\.)+(?:com|org|io|net|dev)\b", TEXT)
    names = re.findall(r"\b([A-Z][A-Z0-9_]+)=", TEXT)
    assert not [name for name in names if re.search(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL", name)]
    assert not re.search(r"hf_\w{10,}|AKIA\w{10,}|ghp_\w{10,}", TEXT) and not of("ADD")


def test_pins_are_whole_entries(pins: ModuleType) -> None:
    first = "a-b==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
    text = f'# head\n{first}c==2 ; sys_platform == "win32" \\\n    --hash=sha256:cc\n'
    assert pins.chosen(text, ["A_b"]) == first
    assert pins.chosen(text, ["c", "a.b", "c"]).count("==") == 3
    with pytest.raises(SystemExit, match=r"not in constraints.txt: d, e"):
        pins.chosen(text, ["e", "d", "c"])


def test_every_package_of_the_constraints_can_be_chosen(pins: ModuleType) -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    names = set(pins.entries(text))
    assert len(names) > 30 and pins.chosen(text, names).count("--hash=") == text.count("--hash=")
    assert set(pins.build_needs((ROOT / "pyproject.toml").read_text("utf-8"))) <= names
    needed = {re.split(r"[^\w.-]", line)[0] for line in PROJECT["project"]["dependencies"]} - {"torch"}
    assert {pins.plain(name) for name in needed} <= names
