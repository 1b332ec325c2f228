"""Files that appear when they are whole."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A new file that is on the disk, and gets the name `path` (or the one that `path` is a link to), when all went
    well; else it is gone. What is there and is no regular file (`/dev/null`, a named pipe) is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.tmp{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
