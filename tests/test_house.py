"""The house stands as it was drawn: arrows point one way, doors are light, nothing unsafe, nothing of any workplace."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import noescape
from imports import circles, forbidden, imports, modules

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(noescape.__file__).resolve().parent

_BELOW_BOARD = frozenset({"records", "files", "assets", "imaging", "metrics", "features", "datasets", "report"})
_PICTURES = _BELOW_BOARD | {"board", "defects", "anomaly", "changenet"}
ALLOWED = {
    "records": frozenset[str](),
    "files": frozenset({"records"}),
    "assets": frozenset[str](),
    "imaging": frozenset({"records", "files"}),
    "metrics": frozenset({"records"}),
    "features": frozenset({"records", "imaging", "files"}),
    "datasets": frozenset({"records", "files", "imaging"}),
    "report": frozenset({"records", "files", "imaging", "metrics"}),
    "board": _BELOW_BOARD,
    "defects": _BELOW_BOARD,
    "anomaly": _BELOW_BOARD,
    "changenet": _BELOW_BOARD,
    "deft": _PICTURES,
    "flow": frozenset({"files", "assets", "records"}),
    "cli": _PICTURES | {"deft", "flow", ""},
    "__main__": frozenset({"cli"}),
}
HEAVY = {
    "numpy", "cv2", "PIL", "torch", "openvino", "faiss", "numba", "scipy", "sklearn", "onnx", "onnxruntime",
    "onnxscript", "safetensors", "pydantic", "jinja2", "pandas", "pyarrow", "mitsuba", "pxr", "diffusers", "peft",
    "transformers", "fsspec", "s3fs", "rich",
}  # fmt: skip


def test_no_circles() -> None:
    """No module needs, while it is imported, a module that needs it."""
    assert circles(imports(PACKAGE)) == []


def test_rooms_import_only_what_the_table_allows() -> None:
    """The table of the design, row by row; lazy imports and those for type checkers count too."""
    assert forbidden(imports(PACKAGE), "noescape", ALLOWED) == []


def test_every_room_is_in_the_table() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms <= set(ALLOWED)


def test_the_table_itself_has_no_circle() -> None:
    order: list[str] = []
    while left := [room for room in ALLOWED if room not in order]:
        ready = [room for room in left if ALLOWED[room] - {""} <= set(order)]
        assert ready, f"a circle among {left}"
        order += ready


def _plant(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "house"
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, "utf-8")
    return package


def test_the_checker_finds_a_planted_circle(tmp_path: Path) -> None:
    """Straight, relative, and `from package import module` forms; a lazy import breaks the circle."""
    files = {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/one.py": "from house.b import two\n",
        "b/__init__.py": "",
        "b/two.py": "from ..c.three import x\n",
        "c/three.py": "import house.a.one\n",
    }
    assert circles(imports(_plant(tmp_path, files))) == [["house.a.one", "house.b.two", "house.c.three", "house.a.one"]]
    files["c/three.py"] = "def f():\n    import house.a.one\n"
    assert circles(imports(_plant(tmp_path, files))) == []


ARROWS = [
    "from house.top import x",
    "import house.top.x",
    "from ..top import x",
    "from .. import top",
    "def f():\n    from house.top import x",
    "class A:\n    def f(self):\n        if True:\n            import house.top",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.top import x",
    "try:\n    import house.top\nexcept ImportError:\n    pass",
]


@pytest.mark.parametrize("text", ARROWS)
def test_the_checker_finds_a_planted_arrow(text: str, tmp_path: Path) -> None:
    """However it is written, an arrow from low to top is seen; the same arrow from top to low is fine."""
    table = {"low": frozenset[str](), "top": frozenset({"low"})}
    package = _plant(
        tmp_path, {"__init__.py": "", "top/__init__.py": "", "low/__init__.py": "", "low/a.py": text + "\n"}
    )
    (found,) = forbidden(imports(package), "house", table)
    assert found.startswith("house.low.a, line ") and found.endswith("low may not import top")
    package = _plant(tmp_path, {"low/a.py": "", "top/b.py": text.replace("top", "low") + "\n"})
    assert forbidden(imports(package), "house", table) == []


def test_the_checker_knows_rooms_that_are_not_in_the_table(tmp_path: Path) -> None:
    package = _plant(tmp_path, {"__init__.py": "", "new/a.py": "import house.low\n", "low/__init__.py": ""})
    assert forbidden(imports(package), "house", {"low": frozenset()}) == [
        "house.new.a: the room 'new' is not in the table"
    ]


def test_command_groups_import_nothing_heavy_themselves() -> None:
    """Under `cli` and in the package's own file, heavy libraries come in only inside functions."""
    doors = [a for a in imports(PACKAGE) if a.source == "noescape" or a.source.startswith("noescape.cli")]
    heavy = [f"{a.source}, line {a.line}: {a.target}" for a in doors if not a.lazy and not a.typing]
    assert [line for line in heavy if line.split(": ")[1].split(".")[0] in HEAVY] == []


def test_the_way_in_pulls_in_nothing_heavy() -> None:
    """What runs before a command is chosen (the package, `cli.main` and all they import) leads to no heavy library."""
    graph: dict[str, set[str]] = {}
    for arrow in imports(PACKAGE):
        if not arrow.lazy and not arrow.typing:
            parts = arrow.target.split(".")  # importing a module runs the packages above it
            graph.setdefault(arrow.source, set()).update(".".join(parts[:i]) for i in range(1, len(parts) + 1))
    seen, todo = {""}, ["noescape", "noescape.__main__", "noescape.cli.main"]
    while todo:
        name = todo.pop()
        assert name.split(".")[0] not in HEAVY, f"{name}, by way of {[n for n in seen if name in graph.get(n, ())]}"
        seen.add(name)
        todo += graph.get(name, set()) - seen


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, noescape; print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(ast.literal_eval(done.stdout))


UNSAFE = {
    r"\bpickle\b|\bcPickle\b|\bdill\b|\bcloudpickle\b|\bjoblib\b|\bshelve\b|\bmarshal\b": "reads code from data",
    r"allow_pickle\s*=\s*True": "reads code from data",
    r"torch\.load\((?![^)]*weights_only=True)": "torch.load without weights_only=True",
    r"weights_only\s*=\s*False": "torch.load of code",
    r"(?<![\w.])(eval|exec)\(": "runs text",
    r"yaml\.(unsafe_load|full_load|load_all|UnsafeLoader|FullLoader|Loader)\b": "not our YAML loader",
    r"yaml\.(safe_)?load\(": "not our YAML loader",
    r"shell\s*=\s*True|os\.system\(|os\.popen\(": "a shell reads the names of files",
    r"verify\s*=\s*False": "no check of certificates",
    r"tempfile\.mktemp\(": "a name that others may take first",
}
YAML_HOME = PACKAGE / "files" / "yamlfile.py"


def unsafe_lines(path: Path, text: str) -> list[str]:
    """Lines of code (comments and docstrings left out) that match a pattern of UNSAFE."""
    code = _without_prose(text)
    out = []
    for pattern, reason in UNSAFE.items():
        for match in re.finditer(pattern, code):
            if path == YAML_HOME and match.group().startswith("yaml.load("):
                continue
            out.append(f"{path.name}, line {code.count(chr(10), 0, match.start()) + 1}: {match.group()!r} {reason}")
    return out


def _without_prose(text: str) -> str:
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in lines)


def test_no_file_is_read_in_a_way_that_runs_code() -> None:
    found = [line for path in modules(PACKAGE).values() for line in unsafe_lines(path, path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "np.load(p, allow_pickle = True)",
        "torch.load(p)",
        "torch.load(p, map_location='cpu')",
        "torch.load(\n    p,\n)",
        "yaml.load(t, Loader)",
        "yaml.safe_load(t)",
        "subprocess.run(c, shell=True)",
        "eval(x)",
    ],
)
def test_unsafe_lines_are_found(line: str) -> None:
    assert unsafe_lines(Path("a.py"), line)


def test_safe_lines_and_prose_are_not_found() -> None:
    text = '"""No pickle here."""\ntorch.load(p, weights_only=True)  # not pickle\nmodel.eval()\nnp.load(p)\n'
    assert unsafe_lines(Path("a.py"), text) == []


# Spelled in pieces, so that this file does not find itself.
STRANGERS = [
    "/" + "work/", "." + "./shared", "py" + "pi.org", "python" + "hosted.org", "deb" + "ian.org", "npm" + "js.org",
    "npm" + "js.com", "artifact" + "ory", "--index" + "-url", "--extra-index" + "-url", "--find" + "-links",
    "/opt/" + "pypi", "/opt/" + "wheels", "/ro" + "ot/",
]  # fmt: skip


def project_files() -> list[Path]:
    """The files that git knows or would take; without git, those beside the package."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "surrogateescape")
        return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]
    return [p for folder in ("src", "tests", "docs", "tools") for p in (ROOT / folder).rglob("*") if p.is_file()]


def strangers(text: str) -> list[str]:
    """Words of a workplace or a package registry in `text`."""
    return [word for word in STRANGERS if word in text]


def test_the_project_speaks_only_of_itself() -> None:
    """No path of any workplace and no host of a package registry in any text file."""
    found = []
    for path in project_files():
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            found += [f"{path.relative_to(ROOT)}: {w}" for w in strangers(data.decode("utf-8", "replace"))]
    assert found == []


def test_strangers_are_found() -> None:
    assert all(strangers(f"see {word}x") for word in STRANGERS) and strangers("nothing of that kind") == []


def test_constraints_are_versions_and_hashes_alone() -> None:
    """Each package pinned by version with sha256 hashes; no torch, no nvidia, no address, no path."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    entries = [e for e in text.replace("\\\n", " ").split("\n") if e.strip() and not e.startswith("#")]
    shape = re.compile(r"[a-z0-9-]+==[\w.]+( ; sys_platform == \"(win32|linux)\")?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [e[:60] for e in entries if not shape.fullmatch(e)] == []
    names = [e.split("==")[0] for e in entries]
    assert len(names) == len(set(names)) > 30
    assert not [n for n in names if re.match(r"torch|nvidia|triton", n)]
    assert {"numpy", "pillow", "openvino", "pytest", "ruff", "mypy", "setuptools", "wheel", "sympy"} <= set(names)


def test_every_dependency_is_in_the_constraints() -> None:
    """What pyproject.toml asks for is pinned, torch apart: an install from the hashes alone is complete."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["dependencies"] + [x for e in ("demo", "onnx", "dev") for x in project["optional-dependencies"][e]]
    wanted = {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in lines} - {"torch"}
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert wanted <= {*re.findall(r"^([a-z0-9-]+)==", text, flags=re.MULTILINE)}


def test_source_files_stay_readable() -> None:
    """One idea per file: under 300 lines, and nowhere a `utils.py`."""
    long = [f"{p.name}: {n}" for p in modules(PACKAGE).values() if (n := len(p.read_text("utf-8").splitlines())) > 300]
    assert long == []
    assert [p for p in modules(PACKAGE).values() if p.stem in ("utils", "util", "helpers", "misc", "common")] == []
