"""Where labelled pages are written: a file that appears when it is whole, or standard output."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from pagelabel.columns import ParquetSink
from pagelabel.data.page import Page
from pagelabel.outputs import Writer


class Sink(Protocol):
    """Takes pages in order; `close` ends what it writes and leaves the file below open."""

    def write(self, page: Page) -> None: ...

    def close(self) -> None: ...


class TextSink:
    """Pages as text of one of the formats of `pagelabel.outputs`."""

    def __init__(self, file: TextIO, writer: Writer) -> None:
        self._file, self._writer = file, writer
        file.write(writer.head)

    def write(self, page: Page) -> None:
        self._file.write(self._writer.page(page))

    def close(self) -> None:
        self._file.write(self._writer.tail)
        self._file.flush()


@contextmanager
def open_sink(path: Path | None, writer: Writer | None) -> Iterator[Sink]:
    """A sink on `path`, or on standard output; `writer` is None for Parquet. Text is compressed where the name ends
    with `.gz` or `.zst`. The file has another name until all went well."""
    if path is None:
        if writer is None:
            raise ValueError("Parquet cannot be written to standard output: name a file with -o")
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        sink: Sink = TextSink(sys.stdout, writer)
        yield sink
        sink.close()
        return
    with replaced(path) as file:
        if writer is None:
            sink = ParquetSink(file)
            yield sink
            sink.close()
        else:
            with compressed(file, path.suffix) as inner:
                text = io.TextIOWrapper(inner, "utf-8", newline="\n")
                try:
                    sink = TextSink(text, writer)
                    yield sink
                    sink.close()
                finally:
                    # It must not close what is still to be flushed to the disk.
                    text.detach()


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
    if suffix == ".gz":
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as inner:
            yield inner  # type: ignore[misc]
    elif suffix == ".zst":
        import zstandard

        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as inner:
            yield inner
    else:
        yield file
