"""`noescape flow data`: look at, bring up and fetch the data of flows, in folders and in object stores."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noescape.flow.storage import Entry

EXAMPLES = """\
examples:
  noescape flow data list s3://factory/dig/datasets --regex '.*\\.png$'
  noescape flow data upload parts/ s3://factory/dig/datasets/parts
  noescape flow data download azure://account/container/runs/night-1 results/

A URL is a folder, s3://bucket/path, gs://bucket/path or azure://account/container/path; credentials come from the
environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL; AZURE_STORAGE_CONNECTION_STRING …). An upload
is there whole or not at all; a download that was stopped goes on where it was. docs/storage.md tells the rest."""
OWNER = "noescape flow data upload"
_RAW = argparse.RawDescriptionHelpFormatter


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `flow data list | upload | download`."""
    data = commands.add_parser(
        "data", help="list, upload and download", description=__doc__, epilog=EXAMPLES, formatter_class=_RAW
    )
    actions = data.add_subparsers(dest="data_command", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="the files at a URL, with sizes", epilog=EXAMPLES, formatter_class=_RAW)
    show.add_argument("url", metavar="URL")
    show.add_argument("--json", action="store_true", help="one JSON object on stdout")
    show.set_defaults(run=_list)
    up = actions.add_parser("upload", help="a folder or file to a URL", epilog=EXAMPLES, formatter_class=_RAW)
    up.add_argument("path", metavar="PATH", type=Path)
    up.add_argument("url", metavar="URL")
    up.add_argument("--replace", action="store_true", help="replace what an earlier upload by hand brought there")
    up.set_defaults(run=_upload)
    down = actions.add_parser("download", help="from a URL to a folder", epilog=EXAMPLES, formatter_class=_RAW)
    down.add_argument("url", metavar="URL")
    down.add_argument("path", metavar="PATH", type=Path)
    down.add_argument("--resume", action="store_true", help="go on where an earlier one stopped (always done)")
    down.set_defaults(run=_download)
    for parser in (show, up, down):
        parser.add_argument(
            "--regex", help="only paths relative to the folder or URL that this matches from their start"
        )


def _list(args: argparse.Namespace) -> int:
    from noescape.flow.format.units import show_size
    from noescape.flow.storage import open_store

    entries = list(open_store(args.url).entries(args.regex))
    if args.json:
        from noescape.files import dump_json

        files = [_row(entry) for entry in entries]
        sys.stdout.write(dump_json({"url": args.url, "bytes": sum(e.size for e in entries), "files": files}))
        return 0
    for entry in entries:
        print(f"{show_size(entry.size):>12}  {_moment(entry) or '-':20}  {_shown(entry.path)}")
    print(f"{len(entries)} files, {show_size(sum(e.size for e in entries))}")
    return 0


def _upload(args: argparse.Namespace) -> int:
    from noescape.flow.storage import ClaimedError, FolderStore, open_store

    store = open_store(args.url)
    store.claim(OWNER)
    if not args.replace and store.exists():
        raise ClaimedError(f"{args.url}: an earlier upload is there; choose another URL, or give --replace")
    size = _total(FolderStore(str(args.path.absolute())).entries(args.regex))
    entries = store.upload(args.path, regex=args.regex, owner=OWNER, on_bytes=_teller("uploading (MiB)", size))
    _tell_end(entries, args.url)
    return 0


def _download(args: argparse.Namespace) -> int:
    from noescape.flow.storage import open_store

    store = open_store(args.url)
    size = _total(store.entries(args.regex))
    entries = store.download(args.path, regex=args.regex, on_bytes=_teller("downloading (MiB)", size))
    _tell_end(entries, str(args.path))
    return 0


def _total(entries: Iterable[Entry]) -> int:
    return sum(entry.size for entry in entries)


def _teller(stage: str, size: int) -> Callable[[int], None] | None:
    """A bar over MiB for bytes that come in steps; none where there is nothing to wait for."""
    from noescape.cli.progress import tell

    total, done, shown = -(-size >> 20), 0, -1
    if not size:
        return None
    on_step = tell(stage, total)

    def on_bytes(count: int) -> None:
        nonlocal done, shown
        done += count
        step = total if done >= size else min(done >> 20, total - 1)
        if step > shown:  # the end is told once
            shown = step
            on_step(step)

    return on_bytes


def _tell_end(entries: tuple[Entry, ...], place: str) -> None:
    from noescape.flow.format.units import show_size

    print(f"{len(entries)} files, {show_size(_total(entries))}: {place}")


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "path": entry.path,
        "size": entry.size,
        "sha256": entry.digest,
        "etag": entry.etag,
        "modified": _moment(entry),
    }


def _moment(entry: Entry) -> str | None:
    from datetime import UTC, datetime

    if not entry.modified:
        return None
    return datetime.fromtimestamp(int(entry.modified), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(path: str) -> str:
    """`path` on one line, whatever is in it."""
    return path if path.isprintable() else ascii(path)
