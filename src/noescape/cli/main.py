"""The `noescape` command: find the subcommand, run it, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from noescape.records import NoescapeError

# Order of the help page: from data to answer.
GROUPS = (
    "demo",
    "data",
    "fit",
    "evaluate",
    "predict",
    "inspect",
    "compare",
    "tune",
    "export",
    "changenet",
    "board",
    "defects",
    "deft",
    "flow",
    "report",
    "doctor",
)

DESCRIPTION = """\
Automated optical inspection: learn from images of good parts, then say for each new part OK or NG,
where the defect is, and how sure that is. On a CPU, with no network.

  noescape demo                                              see all of it in a few minutes
  noescape data check parts/                                 look at your folder first
  noescape fit --config patchcore_mvtec.yaml --data-root parts/
  noescape inspect --input-dir new/ --model-dir runs/… --output-dir out/
"""
EPILOG = """\
Exit codes: 0 done (NG parts are a result, not a failure), 1 the work failed or an asked-for gate said no,
2 wrong use. Every flag may also be written with underscores (--run_dir). `noescape COMMAND --help` teaches each.
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line; builds in milliseconds, since no command imports its work before it runs."""
    top = argparse.ArgumentParser(
        prog="noescape", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"noescape {_version()}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in GROUPS:
        importlib.import_module(f"noescape.cli.{name}").register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Usage errors of argparse raise SystemExit(2) as usual."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text of any encoding
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        # Work is parallel over images; threads of the libraries on top of ours spin and get in each other's way (an
        # eigenvalue problem of PaDiM: 8 CPU-ms with one thread, 170-780 with two on a busy machine of two cores).
        os.environ.setdefault(name, "1")
    args = parser().parse_args([_dashed(word) for word in (sys.argv[1:] if argv is None else argv)])
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except NoescapeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; Python must not complain
        return 1
    except OSError as error:
        place = error.filename2 or error.filename  # of a rename the target: the hidden source says nothing to anyone
        where = f" ({place})" if place else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return 1


def entry() -> None:
    """The console script."""
    sys.exit(main())


def _dashed(word: str) -> str:
    """`--run_dir=x` as `--run-dir=x`; values are left alone."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def _version() -> str:
    from importlib.metadata import version

    return version("noescape")
