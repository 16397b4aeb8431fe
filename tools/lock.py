"""Write constraints.txt anew: every package that noescape needs, by version and hash; torch stays outside.

    python tools/lock.py             keep the versions that still fit, fetch their hashes
    python tools/lock.py --upgrade   take the newest versions that fit

It reads pyproject.toml (dependencies and the extras below), resolves with pip-tools in a throw-away environment
against the public index alone, and takes the hashes of all files published for each version, so that one file
serves every system and Python from 3.11. Takes about five minutes, most of it waiting for the network.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "constraints.txt"
EXTRAS = ("board", "demo", "onnx", "s3", "dev")
# torch is installed before and by version alone (a CPU build that is already there then counts); what it needs is here.
TORCH_NEEDS = ("filelock", "fsspec", "jinja2", "mpmath", "networkx", "sympy", "typing-extensions")
BUILD_NEEDS = ("setuptools>=77", "wheel")
# pip-tools resolves for the system it runs on; these come in by markers on Windows only.
WINDOWS_ONLY = ("colorama",)
HEAD = "# Versions and hashes of everything but torch; `make lock` writes this file, `make install` uses it.\n"


def wanted() -> list[str]:
    """The requirements to resolve, torch left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in EXTRAS:
        lines += project["optional-dependencies"][extra]
    lines = [line for line in lines if re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() != "torch"]
    return sorted({*lines, *TORCH_NEEDS, *BUILD_NEEDS, *WINDOWS_ONLY})


def pins(text: str) -> list[str]:
    """`name==version` of each package in a constraints file."""
    return re.findall(r"^([A-Za-z0-9_.-]+==[^\s;\\]+)", text, flags=re.MULTILINE)


def with_markers(text: str) -> str:
    """`text` with the Windows-only packages marked as such."""
    names = "|".join(WINDOWS_ONLY)
    return re.sub(rf"^((?:{names})==\S+)", r'\1 ; sys_platform == "win32"', text, flags=re.MULTILINE)


def clean_environment() -> dict[str, str]:
    """The environment without pip's local settings: mirrors and local folders would add hashes of other files."""
    keep = {"PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_PROXY"}
    env = {k: v for k, v in os.environ.items() if not k.startswith("PIP_") or k in keep}
    return env | {"PIP_CONFIG_FILE": os.devnull}


def resolve(folder: Path, requirements: list[str], keep: list[str]) -> str:
    """Run pip-compile in a fresh environment under `folder` and give its output."""
    env = clean_environment()
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "pip-tools"], check=True, env=env)
    (folder / "wanted.in").write_text("\n".join(requirements) + "\n", "utf-8")
    (folder / "keep.txt").write_text("\n".join(keep) + "\n", "utf-8")
    command = [python, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
    command += ["--constraint", "keep.txt", "--output-file", "locked.txt", "wanted.in"]
    subprocess.run(command, check=True, env=env, cwd=folder)
    return (folder / "locked.txt").read_text("utf-8")


def main() -> int:
    """Resolve and write constraints.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    args = parser.parse_args()
    keep = [] if args.upgrade or not TARGET.exists() else pins(TARGET.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        text = resolve(Path(scratch), wanted(), keep)
    lines = [line for line in text.splitlines() if not line.startswith("#") and line.strip()]
    packages = pins("\n".join(lines))
    if any(re.match(r"(torch|nvidia|triton)", name) for name in packages):
        print("error: torch or an nvidia package came in as a dependency; find out of what", file=sys.stderr)
        return 1
    TARGET.write_text(HEAD + with_markers("\n".join(lines)) + "\n", "utf-8")
    print(f"{TARGET.name}: {len(packages)} packages, {sum('--hash=' in line for line in lines)} hashes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
