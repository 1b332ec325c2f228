"""Files that appear when they are whole."""

from __future__ import annotations

import errno
import gzip
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
_OPEN = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A new file that is on the disk, and gets the name `path` (or the one that `path` is a link to), when all went
    well; else it is gone. What is there and is no regular file (`/dev/null`, a named pipe) is written to as it is, and
    so is what is open already (`/dev/stdout`), whatever a shell has redirected it to. Raises FileNotFoundError that
    names the folder where there is none."""
    try:
        with _replaced(path) as file:
            yield file
    except OSError as error:
        # The system tells of a full disk without saying which file did not fit.
        if error.errno in _NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    descriptor = _descriptor(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as opened:
            yield opened
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder, make it first", str(path.parent))
    temporary = path.with_name(f".{path.name}.tmp{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _descriptor(path: Path) -> int | None:
    """The number of the open file that the path names, if it does. Opened by its path a regular file would be replaced,
    and with it what others have written there, or write there yet."""
    name = str(path)
    if name in _STANDARD:
        return _STANDARD[name]
    found = _OPEN.fullmatch(name)
    return int(found[1]) if found else None


@contextmanager
def compressed(file: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    """`file`, or what compresses into it. The same content gives the same bytes."""
    suffix = suffix.lower()
    if suffix == ".gz":
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as inner:
            yield inner  # type: ignore[misc]
    elif suffix == ".zst":
        import zstandard

        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as inner:
            yield inner
    else:
        yield file
