"""Opening what pages are read from: files and stdin, plain or compressed, never more than a page in memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pagelabel.data.page import FIELDS, Page, PageError

TextMode: TypeAlias = Literal["auto", "lines", "paragraphs"]

GZIP_MAGIC = b"\x1f\x8b"
# A frame, or one of the sixteen kinds of skippable frame that may come before it.
ZSTD_MAGICS = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16)))
COMPRESSED_SUFFIXES = {".gz": "gzip", ".zst": "Zstandard"}

MAX_PAGE_BYTES = 64 * 1024 * 1024

# A kibibyte of Zstandard can hold 32 MiB: larger bites would let a bomb fill the memory in one call.
_ZSTD_BITE = 1024
_DISCARD_BITE = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader is told: how text is cut into paragraphs, how many (uncompressed) bytes a page may have, which
    field or column of a record holds its text where it has no `paragraphs`, and whether its `labels` and `scores` are
    read: where they are given anew, wrong ones are no reason to refuse the page."""

    text_mode: TextMode = "auto"
    max_page_bytes: int = MAX_PAGE_BYTES
    text_column: str = "text"
    labelled: bool = True

    def __post_init__(self) -> None:
        if self.text_mode not in ("auto", "lines", "paragraphs"):
            raise ValueError(f"text_mode should be 'auto', 'lines' or 'paragraphs', found {self.text_mode!r}")
        if self.text_column in FIELDS:
            raise ValueError(f"text_column: {self.text_column!r} is a field of its own, and no text to cut")
        if self.max_page_bytes < 1:
            raise ValueError(f"max_page_bytes should be at least 1, found {self.max_page_bytes}")


Stream: TypeAlias = io.BufferedReader | gzip.GzipFile
"""Uncompressed bytes, with `peek`."""

Reader: TypeAlias = Callable[[Stream, str, ReadOptions], Iterator[Page | PageError]]
"""Reads the pages of a stream; the string is the name that pages and errors carry. Bad content raises nothing."""


def open_stream(file: io.BufferedReader, compressed_as: str | None = None) -> Stream:
    """`file` uncompressed, if its first bytes say that it is compressed, else as it is.

    `compressed_as` is the compression that its name promises. Raises ValueError where the content breaks that promise,
    and OSError where the file cannot be read.
    """
    start = file.peek(4)[:4]
    if start.startswith(GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(ZSTD_MAGICS):
        return io.BufferedReader(_ZstdStream(file))
    if compressed_as is not None:
        raise ValueError(f"the name promises {compressed_as} data, but {'there is none' if start else 'it is empty'}")
    return file


def until_damaged(pages: Iterator[Page | PageError], source: str) -> Iterator[Page | PageError]:
    """`pages`, ended by a PageError if the data below them turn out truncated, damaged or unreadable."""
    try:
        yield from pages
    except EOFError:
        yield PageError(source, "", "the compressed data is truncated: what came after the last page read is lost")
    except (zlib.error, gzip.BadGzipFile, DamagedError) as error:
        yield PageError(source, "", f"the compressed data is damaged ({error}): what came after the last page is lost")
    except OSError as error:
        yield PageError(source, "", why_unreadable(error))


def why_unreadable(error: OSError) -> str:
    """The cause of an OSError in plain words, without the file's name."""
    if isinstance(error, FileNotFoundError):
        # fsspec says so of a web address whatever the server answers, and where there is none.
        cause = error.__cause__
        if type(cause).__module__.startswith("aiohttp") and getattr(cause, "status", None) != 404:
            return f"cannot be read: {cause}"
        return "no such file or directory"
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def read_whole(stream: Stream, limit: int) -> bytes:
    """All of the stream. Raises ValueError if that is more than `limit` bytes; it reads no further than that."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"larger than {limit:,} bytes, the most a page may have")
    return data


def bounded_lines(stream: Stream, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """The numbered lines of the stream; None in place of one longer than `limit` bytes, which is not kept in memory."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) <= limit or line.endswith(b"\n"):
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(_DISCARD_BITE)
        yield number, None


class DamagedError(OSError):
    """Zstandard data that cannot be uncompressed."""


class _ZstdStream(io.RawIOBase):
    """Zstandard frames, uncompressed. Unlike `zstandard.stream_reader` it raises EOFError where the data is cut off."""

    def __init__(self, compressed: io.BufferedReader) -> None:
        import zstandard

        self._compressed = compressed
        self._decompressor = zstandard.ZstdDecompressor()
        self._error = zstandard.ZstdError
        self._frame = self._decompressor.decompressobj()
        self._frame_begun = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            bite = self._frame.unused_data or self._compressed.read(_ZSTD_BITE)
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
                self._frame_begun = False
            if not bite:
                if self._frame_begun:
                    raise EOFError("the last Zstandard frame is incomplete")
                return 0
            self._frame_begun = True
            try:
                self._ready = memoryview(self._frame.decompress(bite))
            except self._error as error:
                raise DamagedError(str(error)) from error
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size
