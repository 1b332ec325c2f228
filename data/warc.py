"""Pages from WARC and WET files, record by record."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pagelabel.data.bodies import decoded_body
from pagelabel.data.html import page_of_html
from pagelabel.data.page import Page, PageError
from pagelabel.data.streams import GZIP_MAGIC, ReadOptions, Stream
from pagelabel.data.text import decode, paragraphs_of_text

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

_HTML_TYPES = ("text/html", "application/xhtml+xml", "application/xhtml")
_HTTP = "application/http"
_BITE = 1 << 20
# How a record begins in a file: compressed each on its own, or plain.
_BEGINNINGS = re.compile(rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|WARC/1\.\d\r\n")
_LONGEST_BEGINNING = 10
_GZIP_BITS = 31
# How the last record of a plain file ends; some writers add an empty line or two.
_END = re.compile(rb"\r\n\r\n\s*\Z")
_LONGEST_END = 16
# fastwarc's messages may quote all that it did not understand.
_LONGEST_CAUSE = 300


class _CutOffError(ValueError):
    """A record that ends before the length that it states."""


def read_warc(stream: Stream, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    """The HTML responses (status 200) of a WARC file, and the text conversions of a WET file, in order.

    A page's id is its WARC-Record-ID, its url the WARC-Target-URI, `extra["date"]` the WARC-Date, and
    `extra["truncated"]` why the crawler stored a part only, where it did (WARC-Truncated). Other records are passed
    over. A record that cannot be read yields a PageError at "offset N, record ID" (N in the file as it is stored; no
    ID where there is none), and reading goes on with the next one that can be found. Behind a record that is damaged,
    or shorter than it states, one can be found only in a stream that can be sought in.
    """
    from fastwarc.warc import ArchiveIterator

    offset, position = 0, "offset 0"
    # fastwarc seeks where there is a method for it.
    seekable = _is_seekable(stream)
    whole: Any = stream if seekable else _Once(stream)
    while True:
        told = False
        try:
            # All kinds of records: one that is cut off has none.
            for record in ArchiveIterator(whole, parse_http=False):
                offset = record.stream_pos
                position = f"offset {offset}" + (f", record {record.record_id}" if record.record_id else "")
                item = _item(record, source, position, options)
                told = isinstance(item, PageError)
                if item is not None:
                    yield item
            if not told and seekable and _cut_off(stream, offset):
                yield PageError(source, position, "the file is cut off at this record or behind it")
            return
        except _CutOffError as error:
            cause = str(error)
        except (OSError, ValueError, EOFError) as error:
            cause = f"damaged at this record or behind it ({_one_line(error)})"
        after = _next_record(stream, offset + 1) if seekable else None
        lost = "what came after it is lost" if after is None else f"reading goes on at offset {after}"
        yield PageError(source, position, f"{cause}: {lost}")
        if after is None:
            return
        stream.seek(after)
        offset, position = after, f"offset {after}"


class _Once:
    """A stream to be read once, from front to back: it has no `seek`, and tells where it is."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._place = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._place += len(data)
        return data

    def tell(self) -> int:
        return self._place


def _is_seekable(stream: Stream) -> bool:
    """Whether one can go back in it: a GzipFile always says so, also of what comes through a pipe."""
    below: Any = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream
    return bool(below.seekable())


def _cut_off(stream: Stream, offset: int) -> bool:
    """Whether the file ends before the record at `offset`, or one behind it, does: fastwarc passes over that."""
    stream.seek(offset)
    data = stream.read(_BITE)
    if not data.startswith(GZIP_MAGIC):
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(offset, end - _LONGEST_END))
        return data.startswith(b"WARC/") and not _END.search(stream.read(_LONGEST_END))
    member = zlib.decompressobj(_GZIP_BITS)
    while data:
        member.decompress(data, _BITE)
        data = member.unconsumed_tail
        if member.eof:
            data = member.unused_data or stream.read(_BITE)
            if not data.startswith(GZIP_MAGIC[: len(data)]):
                return False
            member = zlib.decompressobj(_GZIP_BITS) if data else member
        elif not data:
            data = stream.read(_BITE)
    return not member.eof


def _next_record(stream: Stream, offset: int) -> int | None:
    """Where the next whole WARC header begins: what looks like the beginning of one may be a compressed body."""
    while True:
        stream.seek(offset)
        data = stream.read(_BITE)
        for found in _BEGINNINGS.finditer(data):
            if _is_record(stream, offset + found.start()):
                return offset + found.start()
        if len(data) <= _LONGEST_BEGINNING:
            return None
        offset += len(data) - _LONGEST_BEGINNING


def _is_record(stream: Any, offset: int) -> bool:
    from fastwarc.warc import ArchiveIterator

    stream.seek(offset)
    try:
        first = next(ArchiveIterator(stream, parse_http=False), None)
    except (OSError, ValueError, EOFError):
        return False
    return first is not None and _has_header(first)


def _has_header(record: WarcRecord) -> bool:
    return None not in (record.headers.get("WARC-Type"), record.headers.get("Content-Length"))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_CAUSE]


def _item(record: WarcRecord, source: str, position: str, options: ReadOptions) -> Page | PageError | None:
    try:
        return _page(record, options)
    except _CutOffError:
        raise
    except ValueError as error:
        return PageError(source, position, _one_line(error))


def _page(record: WarcRecord, options: ReadOptions) -> Page | None:
    if not _has_header(record):
        raise ValueError("its WARC header is cut off")
    kind = record.headers.get("WARC-Type")
    conversion = kind == "conversion"
    # Not what a name server answered, for one.
    http = kind == "response" and (record.headers.get("Content-Type") or _HTTP).lower().startswith(_HTTP)
    status = _status(record) if http else None
    wanted = conversion or (status == 200 and (record.http_content_type or "text/html").lower() in _HTML_TYPES)
    limit = options.max_page_bytes
    data = _block(record, limit + 1 if wanted else 0)
    if http and status is None:
        raise ValueError("its HTTP header is missing or cut off")
    if not wanted:
        return None
    if len(data) > limit:
        raise ValueError(f"larger than {limit:,} bytes, the most a page may have")
    page_id = record.record_id or f"{record.stream_pos}"
    fields = {"date": record.headers.get("WARC-Date"), "truncated": record.headers.get("WARC-Truncated")}
    extra = {name: value for name, value in fields.items() if value is not None}
    url = record.headers.get("WARC-Target-URI")
    # The standard's grammar has brackets around it, and some writers took it at its word.
    url = url and url.strip("<>")
    if conversion:
        return Page(page_id, paragraphs_of_text(decode(data), options.text_mode), url, extra=extra)
    transfer, encoding = (record.http_headers.get(f"{name}-Encoding") or "" for name in ("Transfer", "Content"))
    data = decoded_body(data, transfer, encoding, limit, "truncated" in extra)
    page = page_of_html(data, page_id, record.http_charset)
    return Page(page_id, page.paragraphs, url or page.url, extra={**extra, **page.extra})


def _status(record: WarcRecord) -> int | None:
    try:
        record.parse_http()
    except OSError as error:
        # Where it is the file that is damaged, the rest of the record says so.
        while record.reader.read(_BITE):
            pass
        raise ValueError(f"its HTTP header cannot be read ({error})") from error
    return record.http_headers.status_code if record.http_headers is not None else None


def _block(record: WarcRecord, most: int) -> bytes:
    """The first `most` bytes of a record; it is read to its end, which alone shows whether all of it is there."""
    promised, there = record.content_length, 0
    data = bytearray()
    while part := record.reader.read(_BITE):
        there += len(part)
        data += part[: most - len(data)]
    if there < promised:
        raise _CutOffError(f"cut off: {there:,} of {promised:,} bytes are there")
    return bytes(data)
