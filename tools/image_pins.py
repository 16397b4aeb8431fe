"""Print the part of constraints.txt that an image needs: versions and hashes, without what only developers use.

    python tools/image_pins.py --python /opt/noescape/bin/python > pins.txt   what noescape needs to run there
    python tools/image_pins.py --build > pins.txt                             what building noescape needs

pip works out which packages those are, with the versions of constraints.txt and without installing anything; the hashes
are then checked by `pip install --require-hashes --no-deps -r pins.txt`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def entries(text: str) -> dict[str, str]:
    """Each package of a constraints file with its whole entry, hashes and all."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if match := _PIN.match(line):
            name = plain(match["name"])
            found[name] = line
        elif name and line[:1].isspace():
            found[name] += line
        else:
            name = ""
    return found


def plain(name: str) -> str:
    """A name as constraints.txt spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def chosen(text: str, names: Iterable[str]) -> str:
    """The entries of `names`; SystemExit names those that have none."""
    known = entries(text)
    wanted = sorted({plain(name) for name in names})
    if lost := [name for name in wanted if name not in known]:
        raise SystemExit(f"not in constraints.txt: {', '.join(lost)}; run `make lock`")
    return "".join(known[name] for name in wanted)


def build_needs(project: str) -> list[str]:
    """Names of what builds the package."""
    lines = tomllib.loads(project)["build-system"]["requires"]
    return [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines]


def run_needs(python: str, text: str) -> list[str]:
    """Names of what pip would install beside what the environment of `python` has, for noescape to run there."""
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    with tempfile.TemporaryDirectory() as folder:
        versions, report = Path(folder) / "versions.txt", Path(folder) / "report.json"
        versions.write_text("\n".join(match[0] for match in _PIN.finditer(text)) + "\n", "utf-8")
        command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--dry-run"]
        command += ["--report", str(report), "--constraint", str(versions), *requirements]
        subprocess.run(command, check=True)
        rows = json.loads(report.read_text("utf-8"))["install"]
    return [row["metadata"]["name"] for row in rows]


def main() -> int:
    """Print the pins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--build", action="store_true", help="what building needs")
    what.add_argument("--python", help="the interpreter of the environment to complete; it has torch already")
    args = parser.parse_args()
    text = (ROOT / "constraints.txt").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    print(chosen(text, build_needs(project) if args.build else run_needs(args.python, text)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
