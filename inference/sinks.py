"""Where labelled pages are written: a file that appears when it is whole, or standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from pagelabel.columns import ParquetSink
from pagelabel.data.page import Page
from pagelabel.data.written import compressed, replaced
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
        if sys.stdout is None:
            raise ValueError("standard output is closed: name a file with -o")
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
