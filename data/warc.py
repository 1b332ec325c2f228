"""Pages from WARC and WET files, record by record."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pagelabel.data.html import page_of_html
from pagelabel.data.page import Page, PageError
from pagelabel.data.streams import ReadOptions, Stream
from pagelabel.data.text import decode, paragraphs_of_text

if TYPE_CHECKING:
    from fastwarc.warc import WarcRecord

_HTML_TYPES = ("text/html", "application/xhtml+xml", "application/xhtml")
_HTTP = "application/http"
_BITE = 1 << 20
# How a record begins in a file: compressed each on its own, or plain.
_BEGINNINGS = re.compile(rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|WARC/1\.\d\r\n")
_LONGEST_BEGINNING = 10
_GZIP, _GZIP_BITS, _ZLIB_BITS = b"\x1f\x8b", 31, 15
# How the last record of a plain file ends; some writers add an empty line or two.
_END = re.compile(rb"\r\n\r\n\s*\Z")
_LONGEST_END = 16


def read_warc(stream: Stream, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    """The HTML responses (status 200) of a WARC file, and the text conversions of a WET file, in order.

    A page's id is its WARC-Record-ID, its url the WARC-Target-URI, `extra["date"]` the WARC-Date, and
    `extra["truncated"]` why the crawler stored a part only, where it did (WARC-Truncated). Other records are passed
    over. A record that cannot be read yields a PageError at "offset N" (in the file as it is stored), and reading goes
    on with the next one that can be found.
    """
    from fastwarc.warc import ArchiveIterator

    offset = 0
    # fastwarc seeks where there is a method for it.
    seekable = _is_seekable(stream)
    whole: Any = stream if seekable else _Once(stream)
    while True:
        told = False
        try:
            # All kinds of records: one that is cut off has none.
            for record in ArchiveIterator(whole, parse_http=False):
                offset = record.stream_pos
                for item in _pages(record, source, options):
                    told = isinstance(item, PageError)
                    yield item
            if not told and seekable and _cut_off(stream, offset):
                yield PageError(source, f"offset {offset}", "the file is cut off at this record or behind it")
            return
        except (OSError, ValueError, EOFError) as error:
            after = _next_beginning(stream, offset + 1) if seekable else None
            lost = "what came after it is lost" if after is None else f"reading goes on at offset {after}"
            yield PageError(source, f"offset {offset}", f"damaged at this record or behind it ({error}): {lost}")
            if after is None:
                return
            stream.seek(after)
            offset = after


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
    if not data.startswith(_GZIP):
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(offset, end - _LONGEST_END))
        return data.startswith(b"WARC/") and not _END.search(stream.read(_LONGEST_END))
    member = zlib.decompressobj(_GZIP_BITS)
    while data:
        member.decompress(data, _BITE)
        data = member.unconsumed_tail
        if member.eof:
            data = member.unused_data or stream.read(_BITE)
            if not data.startswith(_GZIP[: len(data)]):
                return False
            member = zlib.decompressobj(_GZIP_BITS) if data else member
        elif not data:
            data = stream.read(_BITE)
    return not member.eof


def _next_beginning(stream: Stream, offset: int) -> int | None:
    stream.seek(offset)
    rest = b""
    while bite := stream.read(_BITE):
        data = rest + bite
        found = _BEGINNINGS.search(data)
        if found:
            return offset - len(rest) + found.start()
        offset += len(bite)
        rest = data[-_LONGEST_BEGINNING:]
    return None


def _pages(record: WarcRecord, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    position = f"offset {record.stream_pos}"
    if record.record_id is not None:
        position += f", record {record.record_id}"
    try:
        page = _page(record, options)
    except (ValueError, OSError) as error:
        yield PageError(source, position, str(error))
    else:
        if page is not None:
            yield page


def _page(record: WarcRecord, options: ReadOptions) -> Page | None:
    limit = options.max_page_bytes
    kind = record.headers.get("WARC-Type")
    if kind is None or record.headers.get("Content-Length") is None:
        raise ValueError("its WARC header is cut off")
    conversion = kind == "conversion"
    if not conversion and kind != "response":
        return None
    if not conversion:
        if not (record.headers.get("Content-Type") or _HTTP).lower().startswith(_HTTP):
            # What a name server answered, for one.
            return None
        record.parse_http()
        status = record.http_headers.status_code if record.http_headers is not None else None
        if status is None:
            raise ValueError("its HTTP header is missing or cut off")
        if status != 200 or (record.http_content_type or "text/html").lower() not in _HTML_TYPES:
            return None
    # It counts down as the record is read.
    promised = record.content_length
    data = _read(record.reader, limit)
    if len(data) < promised:
        raise ValueError(f"cut off: {len(data):,} of {promised:,} bytes are there")
    if not conversion:
        data = _decoded(data, record, limit)
    page_id = record.record_id or f"{record.stream_pos}"
    fields = {"date": record.headers.get("WARC-Date"), "truncated": record.headers.get("WARC-Truncated")}
    extra = {name: value for name, value in fields.items() if value is not None}
    url = record.headers.get("WARC-Target-URI")
    # The standard's grammar has brackets around it, and some writers took it at its word.
    url = url and url.strip("<>")
    if conversion:
        return Page(page_id, paragraphs_of_text(decode(data), options.text_mode), url, extra=extra)
    page = page_of_html(data, page_id, record.http_charset)
    return Page(page_id, page.paragraphs, url or page.url, extra={**extra, **page.extra})


def _decoded(data: bytes, record: WarcRecord, limit: int) -> bytes:
    """The body as the server meant it: chunks joined, compression undone, never more than `limit` bytes."""
    from fastwarc.stream_io import BrotliReader, ChunkedReader, ZstdReader

    headers = record.http_headers
    # Crawlers often store the body decoded and leave the headers as they were.
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower() and re.match(rb"[0-9a-fA-F]+\s*[;\r\n]", data):
        data = _read(ChunkedReader(io.BytesIO(data)), limit)
    encoding = (headers.get("Content-Encoding") or "").strip().lower()
    if encoding in ("gzip", "x-gzip") and data.startswith(b"\x1f\x8b"):
        return _inflated(data, _GZIP_BITS, limit)
    if encoding == "deflate" and data[:1] == b"\x78":
        return _inflated(data, _ZLIB_BITS, limit)
    if encoding == "br":
        return _read(BrotliReader(io.BytesIO(data)), limit)
    if encoding == "zstd" and data.startswith(b"\x28\xb5\x2f\xfd"):
        return _read(ZstdReader(io.BytesIO(data)), limit)
    return data


def _inflated(data: bytes, bits: int, limit: int) -> bytes:
    member = zlib.decompressobj(bits)
    try:
        out = member.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"its compressed body is damaged: {error}") from error
    if len(out) > limit:
        raise ValueError(f"larger than {limit:,} bytes, the most a page may have")
    if not member.eof:
        raise ValueError(f"its compressed body is cut off after {len(out):,} bytes")
    return out


def _read(reader: object, limit: int) -> bytes:
    parts, size = [], 0
    while part := reader.read(min(_BITE, limit + 1 - size)):  # type: ignore[attr-defined]
        parts.append(part)
        size += len(part)
        if size > limit:
            raise ValueError(f"larger than {limit:,} bytes, the most a page may have")
    return b"".join(parts)
