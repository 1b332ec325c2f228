"""Bodies of HTTP responses as the server meant them: chunks joined, compression undone."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator

from pagelabel.data.streams import GZIP_MAGIC
from pagelabel.data.text import decode

_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15
_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
# What zlib makes of so much is a few MiB at most, so a bomb is stopped in time, and members of a few bytes each cost no
# copies of all that follows them.
_BITE = 4096
# A reader that fails keeps what it had decoded of the bite asked for.
_SMALL_BITE = 64
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_PART_OF_ONE = re.compile(rb"[0-9a-fA-F]{0,16}[ \t]*(?:;[^\r\n]*)?\r?\Z")
# Nothing at the beginning of their data tells them from other data.
_UNMARKED = ("br", "deflate")
_MARKUP = re.compile(r"<[!?/a-zA-Z]")


class _BrokenError(Exception):
    """A body that cannot be decoded from here on; its text says how it is broken."""


def decoded_body(data: bytes, transfer: str, encoding: str, limit: int, truncated: bool = False) -> bytes:
    """A stored body without the `Transfer-Encoding` and the `Content-Encoding` that its headers tell (may be empty).

    Crawlers often store bodies decoded and leave the headers as they were, so data that are not encoded as told are
    taken as they are. Of a body that the crawler `truncated`, what can be decoded is returned. Raises ValueError where
    that is nothing, where any other body is cut off or damaged, and for more than `limit` bytes.
    """
    if "chunked" in transfer.lower() and _CHUNK_SIZE.match(data):
        data = _joined(_chunks(data), data, "chunked", limit, truncated)
    encoding = encoding.strip().lower()
    parts = _parts(data, encoding)
    return data if parts is None else _joined(parts, data, encoding, limit, truncated)


def _joined(parts: Iterator[bytes], data: bytes, encoding: str, limit: int, truncated: bool) -> bytes:
    body = bytearray()
    try:
        for part in parts:
            body += part
            if len(body) > limit:
                raise ValueError(f"larger than {limit:,} bytes, the most a page may have")
    except _BrokenError as error:
        if encoding in _UNMARKED and _is_text(data):
            return data
        if not (truncated and body):
            raise ValueError(f"its {encoding} body is {error} after {len(body):,} bytes") from error
    return bytes(body)


def _parts(data: bytes, encoding: str) -> Iterator[bytes] | None:
    """The decoded data, piece by piece; None where they are not encoded, or in a way that is not known."""
    if encoding in ("gzip", "x-gzip") and data.startswith(GZIP_MAGIC):
        return _inflated(data, _GZIP_BITS)
    if encoding == "deflate":
        # Many servers took its name at its word, and send no header.
        has_header = data[:1] == b"\x78" and int.from_bytes(data[:2]) % 31 == 0
        return _inflated(data, _ZLIB_BITS if has_header else _RAW_BITS)
    if encoding == "br" or (encoding == "zstd" and data.startswith(_ZSTD_FRAME)):
        return _read(data, encoding)
    return None


def _chunks(data: bytes) -> Iterator[bytes]:
    place = 0
    while begun := _CHUNK_SIZE.match(data, place):
        size = int(begun[1], 16)
        if size == 0:
            return
        yield data[begun.end() : begun.end() + size]
        place = begun.end() + size
        if place > len(data):
            raise _BrokenError("cut off")
        place += 2 if data.startswith(b"\r\n", place) else data.startswith(b"\n", place)
    # Some servers leave out the empty chunk at the end: nothing is lost with it.
    if place < len(data):
        raise _BrokenError("cut off" if _PART_OF_ONE.match(data, place) else "damaged")


def _inflated(data: bytes, bits: int) -> Iterator[bytes]:
    place = 0
    while True:
        member = zlib.decompressobj(bits)
        while not member.eof:
            bite = data[place : place + _BITE]
            if not bite:
                raise _BrokenError("cut off")
            try:
                yield member.decompress(bite)
            except zlib.error as error:
                raise _BrokenError(f"damaged ({error})") from error
            place += len(bite) - len(member.unused_data)
        # As gunzip does: members follow each other, and anything else behind them is ignored.
        if bits != _GZIP_BITS or not data.startswith(GZIP_MAGIC, place):
            return


def _read(data: bytes, encoding: str) -> Iterator[bytes]:
    from fastwarc.stream_io import BrotliReader, ZstdReader

    reader = BrotliReader(io.BytesIO(data)) if encoding == "br" else ZstdReader(io.BytesIO(data))
    try:
        while part := reader.read(_SMALL_BITE):
            yield part
    except OSError as error:
        # The reader does not tell which.
        raise _BrokenError(f"cut off or damaged ({error})") from error


def _is_text(data: bytes) -> bool:
    try:
        if _MARKUP.search(decode(data)):
            return True
        data.decode()
    except ValueError:
        return False
    return True
