import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages

pytest.importorskip("fastwarc")


def record(number: int, kind: str, payload: bytes) -> bytes:
    content = "text/plain" if kind == "conversion" else "application/http; msgtype=response"
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: https://river.example/{number}\r\n"
        f"WARC-Date: 2026-01-02T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:{number:032}>\r\n"
        f"Content-Type: {content}\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload + b"\r\n\r\n"


def response(number: int, body: bytes, headers: str = "", status: str = "200 OK", kind: str = "text/html") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}\r\n"
    return record(number, "response", head.encode() + body)


def truncated(written: bytes) -> bytes:
    return written.replace(b"WARC-Date", b"WARC-Truncated: length\r\nWARC-Date")


def too_long(written: bytes, by: int = 90_000) -> bytes:
    return re.sub(rb"Content-Length: (\d+)", lambda found: b"Content-Length: %d" % (int(found[1]) + by), written)


def html(number: int) -> bytes:
    return f"<title>Page {number}</title><p>Skip to content<p>Story number {number}".encode()


def read(data: bytes, tmp_path: Path, name: str = "x.warc", **options: int) -> list[Page | PageError]:
    (tmp_path / name).write_bytes(data)
    return list(read_pages(str(tmp_path / name), **options))  # type: ignore[arg-type]


COMPRESS = {
    "x.warc": lambda data: data,
    "x.warc.gz": gzip.compress,
    "x.warc.zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("name", COMPRESS)
def test_html_responses_are_pages(tmp_path: Path, name: str) -> None:
    records = [record(0, "warcinfo", b"x"), response(1, html(1)), record(2, "request", b"GET / HTTP/1.1\r\n\r\n")]
    records += [response(3, html(3))]
    pages = read(b"".join(map(COMPRESS[name], records)), tmp_path, name)
    extra = {"date": "2026-01-02T00:00:00Z", "title": "Page 1", "link": [0, 0]}
    url = "https://river.example/1"
    expected = Page(f"<urn:uuid:{1:032}>", ["Skip to content", "Story number 1"], url, extra=extra)
    assert pages[0] == expected
    assert [page.url for page in pages if isinstance(page, Page)] == [url, "https://river.example/3"]


def test_wet_conversions_are_pages(tmp_path: Path) -> None:
    (page,) = read(record(1, "conversion", "One líne\nTwo\n".encode()), tmp_path, "x.wet")
    assert isinstance(page, Page)
    assert page.paragraphs == ["One líne", "Two"]


def test_what_is_no_html_page_is_passed_over(tmp_path: Path) -> None:
    records = [response(1, b"%PDF", kind="application/pdf"), response(2, html(2), status="404 Not Found")]
    assert read(b"".join([*records, response(3, html(3), kind="application/xhtml+xml")]), tmp_path)[0].url  # type: ignore[union-attr]
    assert read(b"".join(records), tmp_path) == []


def chunked(data: bytes) -> bytes:
    return (
        b"".join(b"%x\r\n%s\r\n" % (len(data[i : i + 7]), data[i : i + 7]) for i in range(0, len(data), 7))
        + b"0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("headers", "encode"),
    [
        ("Content-Encoding: gzip\r\n", gzip.compress),
        ("Content-Encoding: deflate\r\n", zlib.compress),
        ("Content-Encoding: zstd\r\n", zstandard.ZstdCompressor().compress),
        ("Transfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n", lambda data: chunked(gzip.compress(data))),
        # Crawlers store bodies decoded and keep the headers.
        ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n", lambda data: data),
    ],
)
def test_bodies_are_decoded(tmp_path: Path, headers: str, encode) -> None:  # type: ignore[no-untyped-def]
    (page,) = read(response(1, encode(html(1)), headers), tmp_path)
    assert isinstance(page, Page)
    assert page.paragraphs == ["Skip to content", "Story number 1"]


def test_the_charset_of_the_server_counts(tmp_path: Path) -> None:
    (page,) = read(response(1, "<p>Přehled".encode("cp1250"), kind="text/html; charset=windows-1250"), tmp_path)
    assert isinstance(page, Page)
    assert page.paragraphs == ["Přehled"]


def test_a_body_that_cannot_be_decoded_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    bad = response(1, b"\x1f\x8b" + b"nonsense" * 9, "Content-Encoding: gzip\r\n")
    error, page = read(bad + response(2, html(2)), tmp_path)
    assert isinstance(error, PageError)
    assert f"<urn:uuid:{1:032}>" in error.position
    assert isinstance(page, Page)


def test_bombs_are_stopped(tmp_path: Path) -> None:
    bomb = response(1, gzip.compress(b"\0" * 50_000_000), "Content-Encoding: gzip\r\n")
    error, page = read(bomb + response(2, html(2)), tmp_path, max_page_bytes=1_000_000)
    assert "larger than 1,000,000 bytes" in str(error)
    assert isinstance(page, Page)


def test_reading_goes_on_behind_a_damaged_record(tmp_path: Path) -> None:
    members = [gzip.compress(response(i, html(i))) for i in range(6)]
    members[2] = members[2][:30] + b"\0" * 20 + members[2][50:]
    items = read(b"".join(members), tmp_path, "x.warc.gz")
    urls = [item.url for item in items if isinstance(item, Page)]
    assert urls[:1] + urls[-3:] == [f"https://river.example/{i}" for i in (0, 3, 4, 5)]
    assert any(isinstance(item, PageError) and "offset" in item.position for item in items)


def test_a_file_cut_off_anywhere_gives_the_pages_before(tmp_path: Path) -> None:
    for name, compress in COMPRESS.items():
        members = [compress(response(i, html(i))) for i in range(3)]
        whole = len(members[0]) + len(members[1])
        data = b"".join(members)
        for size in [*range(whole + 1, len(data) - 1, 9), len(data) - 2]:
            items = read(data[:size], tmp_path, name)
            assert [isinstance(item, Page) for item in items[:2]] == [True, True]
            assert isinstance(items[-1], PageError), (name, size)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(st.data())
def test_a_spoiled_file_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(COMPRESS)))
    content = bytearray(b"".join(COMPRESS[name](response(i, html(i))) for i in range(3)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + 1] = data.draw(st.binary(max_size=3))
    for item in read(bytes(content), tmp_path, name):
        assert isinstance(item, Page) or item.cause


def test_a_stream_is_told_by_how_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(response(1, html(1)))))
    (page,) = read_pages("-")
    assert isinstance(page, Page)
    assert page.url == "https://river.example/1"


@pytest.mark.parametrize("name", COMPRESS)
def test_it_comes_through_a_pipe_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data = b"".join(COMPRESS[name](response(i, html(i))) for i in range(1, 4))
    expected = read(data, tmp_path, name)
    ends = os.pipe()
    with os.fdopen(ends[1], "wb") as writer:
        writer.write(data)
    with os.fdopen(ends[0], "rb") as reader:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(reader))
        assert list(read_pages("-")) == expected
    assert len(expected) == 3


def test_what_a_name_server_answered_is_no_page(tmp_path: Path) -> None:
    answer = record(1, "response", b"20260102\nriver.example. 300 IN A 192.0.2.1\n")
    answer = answer.replace(b"application/http; msgtype=response", b"text/dns")
    (page,) = read(answer + response(2, html(2)), tmp_path)
    assert isinstance(page, Page)


def test_brackets_around_an_address_are_not_of_it(tmp_path: Path) -> None:
    written = response(1, html(1)).replace(b"https://river.example/1", b"<https://river.example/1>")
    (page,) = read(written, tmp_path)
    assert isinstance(page, Page)
    assert page.url == "https://river.example/1"


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b"\r\n\r\n"])
def test_empty_lines_at_the_end_are_no_loss(tmp_path: Path, end: bytes) -> None:
    (page,) = read(response(1, html(1)) + end, tmp_path)
    assert isinstance(page, Page)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)], ids=["gzip", "deflate"]
)
def test_a_compressed_body_that_is_cut_off_is_told_unless_the_crawler_cut_it(
    tmp_path: Path, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(html(1) * 50)
    whole = response(1, body, f"Content-Encoding: {encoding}\r\n")
    cut = response(2, body[:-10], f"Content-Encoding: {encoding}\r\n")
    page, error, part = read(whole + cut + truncated(cut), tmp_path)
    assert isinstance(page, Page)
    assert isinstance(error, PageError)
    assert f"its {encoding} body is cut off after" in error.cause
    assert isinstance(part, Page)
    assert 50 < len(part.paragraphs) <= len(page.paragraphs)
    assert part.extra["truncated"] == "length"


def test_what_the_crawler_cut_is_told_with_the_page(tmp_path: Path) -> None:
    pages = read(truncated(response(1, html(1))) + response(2, html(2)), tmp_path)
    assert [page.extra.get("truncated") for page in pages if isinstance(page, Page)] == ["length", None]


def read_pipe(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Page | PageError]:
    ends = os.pipe()
    with os.fdopen(ends[1], "wb") as writer:
        writer.write(data)
    with os.fdopen(ends[0], "rb") as reader:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(reader))
        return list(read_pages("-", "warc"))


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("kind", ["text/html", "application/pdf"])
def test_a_record_that_states_too_much_swallows_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    before, after = COMPRESS[name](response(1, html(1))), COMPRESS[name](response(3, html(3)))
    wrong = COMPRESS[name](too_long(response(2, html(2), kind=kind)))
    first, error, last = read(before + wrong + after, tmp_path, name)
    assert isinstance(error, PageError)
    assert error.position == f"offset {len(before)}, record <urn:uuid:{2:032}>"
    assert "cut off: " in error.cause
    assert error.cause.endswith(f"reading goes on at offset {len(before + wrong)}")
    urls = [page.url for page in (first, last) if isinstance(page, Page)]
    assert urls == ["https://river.example/1", "https://river.example/3"]
    # Nobody goes back in a pipe.
    assert read_pipe(before + wrong + after, monkeypatch) == [
        first,
        PageError("-", error.position, error.cause.split(": reading")[0] + ": what came after it is lost"),
    ]


def test_nothing_in_a_large_record_hides_how_much_of_it_is_there(tmp_path: Path) -> None:
    error, page = read(too_long(response(1, html(1) * 90)) + response(2, html(2)), tmp_path, max_page_bytes=1000)
    assert "reading goes on" in str(error)
    assert isinstance(page, Page)


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_a_file_that_ends_inside_its_last_record_gives_one_error_there(tmp_path: Path, name: str) -> None:
    # As stored, the body looks like the beginning of a compressed record; and a page may be about WARC files.
    body = gzip.compress(html(2) + os.urandom(999)) + b"WARC/1.0\r\n" * 9
    members = [response(1, html(1)), response(2, body, "Content-Encoding: gzip\r\n")]
    cut = b"".join(map(COMPRESS[name], members))[:-50]
    page, error = read(cut, tmp_path, name)
    assert isinstance(page, Page)
    assert isinstance(error, PageError)
    assert error.position == f"offset {len(COMPRESS[name](members[0]))}, record <urn:uuid:{2:032}>"
    assert "cut off: " in error.cause
    assert error.cause.endswith("what came after it is lost")


def test_damage_is_told_once_and_not_again_where_nothing_begins(tmp_path: Path) -> None:
    members = [response(i, gzip.compress(html(i)), "Content-Encoding: gzip\r\n") for i in range(3)]
    members[1] = members[1].replace(b"WARC/1.0", b"XXXX/1.0")
    items = read(b"".join(members), tmp_path)
    assert [isinstance(item, Page) for item in items] == [True, False, True]


def test_an_error_message_quotes_no_page(tmp_path: Path) -> None:
    chunks = response(1, b"5\r\n<p>He\r\n" + b"word " * 9999, "Transfer-Encoding: chunked\r\n")
    endless = response(2, html(2), f"X: {'x' * 99_999}\r\n")
    damaged = b"word " * 9999 + b"\r\n\r\n"
    items = read(chunks + endless + damaged + response(3, html(3)), tmp_path)
    *errors, page = items
    assert [isinstance(item, PageError) and len(item.cause) < 400 for item in errors] == [True] * 3
    assert not any("\n" in str(error) for error in errors)
    assert isinstance(page, Page)


def test_a_cut_chunked_body_is_told_unless_the_crawler_cut_it(tmp_path: Path) -> None:
    cut = response(1, chunked(html(1) + b"<p>And more")[:-12], "Transfer-Encoding: chunked\r\n")
    error, page = read(cut + truncated(cut), tmp_path)
    assert "its chunked body is cut off" in str(error)
    assert isinstance(page, Page)
    assert page.paragraphs[:2] == ["Skip to content", "Story number 1"]
