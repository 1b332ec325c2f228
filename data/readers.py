"""Reading pages: which reader a source is for, and the one way in, `read_pages`."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pagelabel.data.html import read_html
from pagelabel.data.jsonl import read_jsonl
from pagelabel.data.page import Page, PageError
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

READERS: dict[str, Reader] = {"html": read_html, "jsonl": read_jsonl, "text": read_text}
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".html": "html", ".htm": "html", ".xhtml": "html"}
_SNIFFED = 1024
_MARKUP = re.compile(rb"<[!?a-zA-Z]")


def read_pages(
    source: str,
    reader: str | None = None,
    *,
    text_mode: TextMode = "auto",
    max_page_bytes: int = MAX_PAGE_BYTES,
) -> Iterator[Page | PageError]:
    """The pages of a file, of the files of a folder (sorted, folders in folders too), or of standard input ("-").

    The reader is the one named, or follows from the name: `.jsonl`, `.ndjson` and `.json` are JSON lines, `.html`,
    `.htm` and `.xhtml` are HTML, all else is text; `.gz` and `.zst` behind are uncompressed. Standard input is told by
    how it begins. What cannot be read is yielded as a PageError, and reading goes on behind it. Raises ValueError at
    once for an unknown reader or option.
    """
    if reader is not None and reader not in READERS:
        raise ValueError(f"unknown reader {reader!r}; readers are {', '.join(sorted(READERS))}")
    options = ReadOptions(text_mode, max_page_bytes)
    return _read(source, reader, options)


def _read(source: str, reader: str | None, options: ReadOptions) -> Iterator[Page | PageError]:
    if source == "-":
        yield from _stream(_standard_input(), source, reader, options, None)
    elif os.path.isdir(source):
        yield from _folder(source, reader, options)
    else:
        yield from _file(source, reader, options)


def _folder(folder: str, reader: str | None, options: ReadOptions) -> Iterator[Page | PageError]:
    broken: list[OSError] = []
    empty = True
    for place, folders, files in os.walk(folder, onerror=broken.append):
        folders.sort()
        for name in sorted(files):
            empty = False
            path = os.path.join(place, name)
            if os.path.exists(path) and not os.path.isfile(path):
                # Opening a pipe that nobody writes to would wait forever.
                yield PageError(path, "", "not a regular file")
            else:
                yield from _file(path, reader, options)
    for error in broken:
        yield PageError(str(error.filename), "", why_unreadable(error))
    if empty and not broken:
        yield PageError(folder, "", "the folder has no files")


def _file(source: str, reader: str | None, options: ReadOptions) -> Iterator[Page | PageError]:
    path = Path(source)
    compressed_as = COMPRESSED_SUFFIXES.get(path.suffix.lower())
    name = path.with_suffix("") if compressed_as else path
    chosen = reader or _SUFFIXES.get(name.suffix.lower(), "text")
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name.
        yield PageError(source, "", why_unreadable(error) if isinstance(error, OSError) else str(error))
        return
    with file:
        yield from _stream(file, source, chosen, options, compressed_as)


def _stream(
    file: io.BufferedReader, source: str, reader: str | None, options: ReadOptions, compressed_as: str | None
) -> Iterator[Page | PageError]:
    try:
        stream = open_stream(file, compressed_as)
    except ValueError as error:
        yield PageError(source, "", str(error))
        return
    except OSError as error:
        yield PageError(source, "", why_unreadable(error))
        return
    yield from until_damaged(_pages(stream, source, reader, options), source)


def _pages(stream: Stream, source: str, reader: str | None, options: ReadOptions) -> Iterator[Page | PageError]:
    yield from READERS[reader or _sniffed(stream)](stream, source, options)


def _sniffed(stream: Stream) -> str:
    start = stream.peek(_SNIFFED)[:_SNIFFED].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"{"):
        return "jsonl"
    return "html" if _MARKUP.match(start) else "text"


def _standard_input() -> io.BufferedReader:
    buffer = sys.stdin.buffer
    # Where tests or callers put other streams in place of stdin, they may lack `peek`.
    return buffer if isinstance(buffer, io.BufferedReader) else io.BufferedReader(buffer)  # type: ignore[arg-type]
