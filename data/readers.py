"""Reading pages: which reader a source is for, and the one way in, `read_pages`."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from pagelabel.data.html import read_html
from pagelabel.data.jsonl import read_jsonl
from pagelabel.data.page import Page, PageError
from pagelabel.data.parquet import read_parquet
from pagelabel.data.sources import expand, is_remote, open_source
from pagelabel.data.streams import (
    COMPRESSED_SUFFIXES,
    MAX_PAGE_BYTES,
    Reader,
    ReadOptions,
    Stream,
    TextMode,
    open_stream,
    until_damaged,
    why_unreadable,
)
from pagelabel.data.text import read_text
from pagelabel.data.warc import read_warc

READERS: dict[str, Reader] = {
    "html": read_html,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "text": read_text,
    "warc": read_warc,
}
_SUFFIXES = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".parquet", ".arrow", ".arrows", ".feather"), "parquet"),
    **dict.fromkeys((".warc", ".wet"), "warc"),
}
# They uncompress by themselves, record by record or column by column.
_RAW = frozenset(("parquet", "warc"))
EXTRAS = {"pyarrow": "parquet", "fastwarc": "warc"}
_SNIFFED = 1024
_MARKUP = re.compile(rb"<[!?a-zA-Z]")
_ARRAY = re.compile(rb"\[\s*\{")
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_MAGICS = ((b"WARC/", "warc"), (b"PAR1", "parquet"), (b"ARROW1", "parquet"), (b"\xff\xff\xff\xff", "parquet"))


def read_pages(
    source: str | os.PathLike[str],
    reader: str | None = None,
    *,
    text_mode: TextMode = "auto",
    max_page_bytes: int = MAX_PAGE_BYTES,
    text_column: str = "text",
    opened: Callable[[str, io.BufferedReader], object] | None = None,
) -> Iterator[Page | PageError]:
    """The pages of a file, of the files of a folder or a glob, of remote storage, or of standard input ("-"); see
    `pagelabel.data.sources.expand`.

    The reader is the one named, or follows from the name: `.jsonl`, `.ndjson` and `.json` are JSON lines, `.html`,
    `.htm` and `.xhtml` are HTML, `.parquet`, `.arrow`, `.arrows` and `.feather` are columns, `.warc` and `.wet` are web
    archives, all else is text; `.gz` and `.zst` behind are uncompressed. Standard input and web addresses without such
    a name are told by how they begin. What cannot be read is yielded as a PageError, and reading goes on behind it.
    `opened` is told of each file that is opened, for progress. Raises ValueError at once for an unknown reader or
    option, and TypeError for a source that is no path.
    """
    options = ReadOptions(text_mode, max_page_bytes, text_column)
    return read_files(expand(os.fsdecode(source)), reader, options, opened)


def read_files(
    names: Iterable[str | PageError],
    reader: str | None,
    options: ReadOptions,
    opened: Callable[[str, io.BufferedReader], object] | None = None,
) -> Iterator[Page | PageError]:
    """As `read_pages`, of files that `pagelabel.data.sources.expand` has found: a name here is one file's."""
    if reader is not None and reader not in READERS:
        raise ValueError(f"unknown reader {reader!r}; readers are {', '.join(sorted(READERS))}")
    return _read(names, reader, options, opened or (lambda name, file: None))


def _read(
    names: Iterable[str | PageError],
    reader: str | None,
    options: ReadOptions,
    opened: Callable[[str, io.BufferedReader], object],
) -> Iterator[Page | PageError]:
    for name in names:
        if isinstance(name, PageError):
            yield name
        elif name == "-" and sys.stdin is None:
            yield PageError(name, "", "standard input is closed")
        elif name == "-":
            yield from _stream(_standard_input(), name, reader, options, None)
        else:
            yield from _file(name, reader, options, opened)


def _file(
    source: str, reader: str | None, options: ReadOptions, opened: Callable[[str, io.BufferedReader], object]
) -> Iterator[Page | PageError]:
    path = PurePath(source)
    compressed_as = COMPRESSED_SUFFIXES.get(path.suffix.lower())
    name = path.with_suffix("") if compressed_as else path
    chosen = reader or _SUFFIXES.get(name.suffix.lower(), None if is_remote(source) else "text")
    if compressed_as and chosen == "parquet":
        yield PageError(source, "", "columns are compressed in themselves, not as a whole: uncompress the file first")
        return
    try:
        file = open_source(source)
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name, or an address of no known kind.
        yield PageError(source, "", why_unreadable(error) if isinstance(error, OSError) else str(error))
        return
    with file:
        opened(source, file)
        yield from _stream(file, source, chosen, options, compressed_as)


def _stream(
    file: io.BufferedReader, source: str, reader: str | None, options: ReadOptions, compressed_as: str | None
) -> Iterator[Page | PageError]:
    try:
        # An empty file is none of what its name promises, whoever uncompresses it.
        raw = reader in _RAW and (compressed_as is None or file.peek(1))
        stream = file if raw else open_stream(file, compressed_as)
    except ValueError as error:
        yield PageError(source, "", str(error))
        return
    except OSError as error:
        yield PageError(source, "", why_unreadable(error))
        return
    yield from until_damaged(_pages(stream, source, reader, options), source)


def _pages(stream: Stream, source: str, reader: str | None, options: ReadOptions) -> Iterator[Page | PageError]:
    try:
        yield from READERS[reader or _sniffed(stream)](stream, source, options)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        yield PageError(source, "", f"reading it needs {error.name}: pip install 'pagelabel[{EXTRAS[error.name]}]'")


def _sniffed(stream: Stream) -> str:
    start = stream.peek(_SNIFFED)[:_SNIFFED]
    for magic, reader in _MAGICS:
        if start.startswith(magic):
            return reader
    if start.startswith(_UTF16):
        # Half of its bytes are NULs.
        start = start.replace(b"\0", b"")
    start = start.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"{") or _ARRAY.match(start):
        return "jsonl"
    return "html" if _MARKUP.match(start) else "text"


def _standard_input() -> io.BufferedReader:
    buffer = sys.stdin.buffer
    # Where tests or callers put other streams in place of stdin, they may lack `peek`.
    return buffer if isinstance(buffer, io.BufferedReader) else io.BufferedReader(buffer)  # type: ignore[arg-type]
