"""Copies of files: shared blocks where the disk can, inside the kernel where it cannot, hashed on the way if asked."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from pathlib import Path

from noescape.flow.storage.store import OnBytes, StorageError

_FICLONE = 0x40049409
_PIECE = 1 << 20
_KERNEL_PIECE = 64 << 20
_CANNOT = (
    errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EBADF, errno.ETXTBSY,
)  # fmt: skip


def copy_file(
    source: Path, target: Path, *, digest: bool = False, sync: bool = False, on_bytes: OnBytes | None = None
) -> str | None:
    """Copy a regular file to `target` (made or overwritten); times and the right to execute are kept.

    Returns the hex sha256 of what was written if `digest`. StorageError if the source changes meanwhile. Memory: 1
    MiB, whatever the size.
    """
    inp = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(inp)
        mode = 0o777 if before.st_mode & 0o111 else 0o666
        out = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            value, size = _content(inp, out, before.st_size, digest, on_bytes)
            after = os.fstat(inp)
            if size != before.st_size or _version(before) != _version(after):
                raise StorageError(f"{source}: changed while it was copied; try again when nothing writes to it")
            os.utime(out, ns=(before.st_atime_ns, before.st_mtime_ns))
            if sync:
                os.fsync(out)
        finally:
            os.close(out)
    finally:
        os.close(inp)
    return value


def _version(state: os.stat_result) -> tuple[int, int]:
    return state.st_size, state.st_mtime_ns


def _content(inp: int, out: int, size: int, digest: bool, on_bytes: OnBytes | None) -> tuple[str | None, int]:
    if _clone(inp, out):
        done = os.fstat(out).st_size
        if on_bytes:
            on_bytes(done)
        return (_hash(out) if digest else None), done
    done = 0 if digest else _in_kernel(inp, out, size, on_bytes)
    value, more = _by_hand(inp, out, size - done, digest, on_bytes)
    return value, done + more


def _clone(inp: int, out: int) -> bool:
    try:
        fcntl.ioctl(out, _FICLONE, inp)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def _hash(descriptor: int) -> str:
    value = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while piece := os.read(descriptor, _PIECE):
        value.update(piece)
    return value.hexdigest()


def _in_kernel(inp: int, out: int, size: int, on_bytes: OnBytes | None) -> int:
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(inp, out, min(_KERNEL_PIECE, size - done))
        except OSError as error:
            if error.errno in _CANNOT:
                break
            raise
        if not count:
            break
        done += count
        if on_bytes:
            on_bytes(count)
    return done


def _by_hand(inp: int, out: int, size: int, digest: bool, on_bytes: OnBytes | None) -> tuple[str | None, int]:
    value, done = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_PIECE))
    while done <= size and (count := os.readv(inp, [buffer])):  # of a file that grows, no more than shows it
        piece = buffer[:count]
        if digest:
            value.update(piece)
        while piece:
            piece = piece[os.write(out, piece) :]
        done += count
        if on_bytes:
            on_bytes(count)
    return (value.hexdigest() if digest else None), done
