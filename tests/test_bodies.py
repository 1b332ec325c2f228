import gzip
import io
import random
import time
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.bodies import decoded_body

HTML = "".join(f"<p>Story {i} of {i * 7919 % 1000}: the mayor résigned</p>\n" for i in range(400)).encode()
LIMIT = 1_000_000


def brotli(data: bytes) -> bytes:
    stream_io = pytest.importorskip("fastwarc.stream_io")
    out = io.BytesIO()
    # It writes all when it is closed, and closes what it writes to.
    out.close = lambda: None  # type: ignore[method-assign]
    writer = stream_io.BrotliWriter(out)
    writer.write(data)
    writer.close()
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    pytest.importorskip("fastwarc")
    return zstandard.ZstdCompressor().compress(data)


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


def chunked(data: bytes, size: int = 700) -> bytes:
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CODERS = [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate), ("br", brotli), ("zstd", zstd)]
IDS = ["gzip", "deflate", "raw", "br", "zstd"]


@pytest.mark.parametrize(("encoding", "encode"), CODERS, ids=IDS)
def test_what_is_encoded_is_decoded(encoding: str, encode) -> None:  # type: ignore[no-untyped-def]
    assert decoded_body(encode(HTML), "", f" {encoding.upper()} ", LIMIT) == HTML
    assert decoded_body(chunked(encode(HTML)), "chunked", encoding, LIMIT) == HTML


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "utf-8"])
@pytest.mark.parametrize(
    "stored",
    [
        HTML,
        b"",
        b"x^2 is plain",
        "Bez značek, ale text".encode(),
        "<p>Přehled zpráv</p>".encode("cp1250"),
        "<p>Přehled</p>".encode("utf-16"),
    ],
)
def test_what_was_stored_decoded_is_taken_as_it_is(encoding: str, stored: bytes) -> None:
    pytest.importorskip("fastwarc")
    assert decoded_body(stored, "chunked", encoding, LIMIT) == stored


def test_members_of_a_gzip_body_follow_each_other_up_to_the_limit() -> None:
    members = gzip.compress(HTML[:5000]) + gzip.compress(b"") + gzip.compress(HTML[5000:])
    for behind in (b"", b"\0" * 9, b"\r\njunk"):
        assert decoded_body(members + behind, "", "gzip", LIMIT) == HTML
    with pytest.raises(ValueError, match="larger than 20,000 bytes"):
        decoded_body(gzip.compress(b"a" * 15_000) * 2, "", "gzip", 20_000)
    with pytest.raises(ValueError, match="its gzip body is cut off after 5,000 bytes"):
        decoded_body(gzip.compress(HTML[:5000]) + gzip.compress(HTML)[:12], "", "gzip", LIMIT)


def test_very_many_members_take_no_copies_of_all_behind_them() -> None:
    begun = time.perf_counter()
    assert decoded_body(gzip.compress(b"") * 200_000, "", "gzip", LIMIT) == b""
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize(("encoding", "encode"), CODERS[:4], ids=IDS[:4])
def test_a_body_that_is_cut_off_is_told_unless_the_crawler_cut_it(encoding: str, encode) -> None:  # type: ignore[no-untyped-def]
    cut = encode(HTML)[:-300]
    with pytest.raises(ValueError, match=rf"its {encoding} body is cut off .*after \d+,\d+ bytes"):
        decoded_body(cut, "", encoding, LIMIT)
    part = decoded_body(cut, "", encoding, LIMIT, truncated=True)
    assert HTML.startswith(part)
    assert len(part) > len(HTML) // 2


def test_a_body_of_which_nothing_can_be_decoded_is_told_whoever_cut_it() -> None:
    for truncated in (False, True):
        with pytest.raises(ValueError, match="its zstd body is cut off or damaged"):
            decoded_body(zstd(HTML)[:40], "", "zstd", LIMIT, truncated)


@pytest.mark.parametrize(("encoding", "encode"), CODERS, ids=IDS)
def test_a_damaged_body_is_told(encoding: str, encode) -> None:  # type: ignore[no-untyped-def]
    data = encode(HTML)
    half = len(data) // 2
    with pytest.raises(ValueError, match=rf"its {encoding} body is .*damaged \("):
        decoded_body(data[:half] + random.Random(0).randbytes(9999), "", encoding, LIMIT)


@pytest.mark.parametrize(("encoding", "encode"), CODERS, ids=IDS)
def test_bombs_are_stopped(encoding: str, encode) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="larger than 1,000,000 bytes"):
        decoded_body(encode(b"\0" * 20_000_000), "", encoding, LIMIT)


def test_chunks_are_joined_as_servers_write_them() -> None:
    for data in (
        b"5;name=value\r\nhello\r\n6 \r\n world\r\n0\r\nTrailer: x\r\n\r\n",
        b"5\nhello\n6\n world\n0\n\n",
        b"00000005\r\nhello\r\n6\r\n world\r\n",
    ):
        assert decoded_body(data, "Chunked", "", LIMIT) == b"hello world"


@pytest.mark.parametrize(
    ("data", "how", "part"),
    [
        (b"5\r\nhello\r\n6\r\n wor", "cut off after 9 bytes", b"hello wor"),
        (b"5\r\nhello\r\n6", "cut off after 5 bytes", b"hello"),
        (b"5\r\nhello\r\n" + b"no size\r\n" * 99, "damaged after 5 bytes", b"hello"),
        (b"5\r\nhello, there is no size", "damaged after 5 bytes", b"hello"),
    ],
)
def test_broken_chunks_are_told_unless_the_crawler_cut_the_body(data: bytes, how: str, part: bytes) -> None:
    with pytest.raises(ValueError, match=f"^its chunked body is {how}$"):
        decoded_body(data, "chunked", "", LIMIT)
    assert decoded_body(data, "chunked", "", LIMIT, truncated=True) == part


@given(st.binary(max_size=300), st.sampled_from(["", "chunked"]), st.sampled_from(["", *IDS]), st.booleans())
def test_any_bytes_are_a_body_or_an_error(data: bytes, transfer: str, encoding: str, truncated: bool) -> None:
    pytest.importorskip("fastwarc")
    try:
        assert len(decoded_body(data, transfer, encoding, 1000, truncated)) <= 1000
    except ValueError as error:
        cause = str(error)
    else:
        return
    assert len(cause) < 200
