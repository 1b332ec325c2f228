import gzip
import io
import os
import random
import sys
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages
from pagelabel.data.streams import bounded_lines, open_stream

RANDOM = random.Random(0)
LINES = [Page(f"p{i}", [RANDOM.randbytes(20).hex()]).to_json() + "\n" for i in range(3000)]
DATA = "".join(LINES).encode()


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


SKIPPABLE_FRAME = b"\x50\x2a\x4d\x18\x04\0\0\0skip"


def cause(item: Page | PageError) -> str:
    assert isinstance(item, PageError)
    return item.cause


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(DATA),
        gzip.compress(DATA[:5000]) + gzip.compress(DATA[5000:]),
        zst(DATA),
        zst(DATA[:5000]) + SKIPPABLE_FRAME + zst(b"") + zst(DATA[5000:]),
        SKIPPABLE_FRAME + zst(DATA),
        DATA,
    ],
)
def test_compression_is_told_by_content(packed: bytes) -> None:
    assert open_stream(io.BufferedReader(io.BytesIO(packed))).read() == DATA


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(share=st.floats(0, 1, exclude_max=True), pack=st.sampled_from([gzip.compress, zst]))
def test_a_cut_file_gives_its_pages_in_order_and_then_one_error(tmp_path: Path, share: float, pack: object) -> None:
    packed = pack(DATA)  # type: ignore[operator]
    file = tmp_path / f"cut.jsonl.{'gz' if pack is gzip.compress else 'zst'}"
    file.write_bytes(packed[: int(len(packed) * share)])
    *pages, error = read_pages(str(file))
    assert [page.to_json() + "\n" for page in pages] == LINES[: len(pages)]
    assert any(word in cause(error) for word in ("truncated", "empty", "none"))


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_damage_inside_a_file_is_told(tmp_path: Path, pack: object) -> None:
    packed = bytearray(pack(DATA))  # type: ignore[operator]
    place = len(packed) * 9 // 10
    packed[place : place + 200] = b"\xff" * 200
    (tmp_path / "x.jsonl").write_bytes(packed)
    items = list(read_pages(str(tmp_path / "x.jsonl")))
    assert any("damaged" in item.cause for item in items if isinstance(item, PageError))
    assert items[0] == Page("p0", items[0].paragraphs)  # type: ignore[union-attr]


@pytest.mark.parametrize("junk", [b"junk behind it", b"\x28\xb5\x2f\xfd"])
def test_junk_behind_a_zstandard_file_is_told(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "x.jsonl.zst").write_bytes(zst(DATA) + junk)
    *pages, error = read_pages(str(tmp_path / "x.jsonl.zst"))
    assert len(pages) == len(LINES)
    assert "damaged" in cause(error) or "truncated" in cause(error)


@pytest.mark.parametrize("name", ["x.txt.gz", "x.txt.zst"])
def test_a_name_that_promises_compression_is_held_to_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"plain text")
    (error,) = read_pages(str(tmp_path / name))
    assert "promises" in cause(error)
    (tmp_path / name).write_bytes(b"")
    (error,) = read_pages(str(tmp_path / name))
    assert "empty" in cause(error)


def test_a_cut_page_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(DATA)[:-2000])
    (error,) = read_pages(str(tmp_path / "x.txt.gz"))
    assert "truncated" in cause(error)


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_a_bomb_stays_out_of_memory(tmp_path: Path, pack: object) -> None:
    bomb = b'{"paragraphs": ["' + b"x" * 300_000_000 + b'"]}\n{"id": "after", "paragraphs": []}\n'
    (tmp_path / "bomb.jsonl").write_bytes(pack(bomb))  # type: ignore[operator]
    del bomb
    tracemalloc.start()
    error, page = read_pages(str(tmp_path / "bomb.jsonl"), max_page_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "longer than 1,000,000 bytes" in cause(error)
    assert page == Page("after", [])
    assert peak < 100_000_000


def test_compressed_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(zst(b'{"id": "x", "paragraphs": []}'))))
    assert list(read_pages("-")) == [Page("x", [])]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_a_folder_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("text")
    (tmp_path / "c.txt").symlink_to(tmp_path / "gone")
    pipe, page, link = read_pages(str(tmp_path))
    assert cause(pipe) == "not a regular file"
    assert page == Page(str(tmp_path / "b.txt"), ["text"])
    assert "no such file" in cause(link)


def test_names_that_no_file_can_have_are_told() -> None:
    for name in ("", "\0", "x" * 5000):
        (error,) = read_pages(name)
        assert cause(error)


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_bounded_lines_are_all_lines(data: bytes, limit: int) -> None:
    expected = [line if len(line.removesuffix(b"\n")) <= limit else None for line in io.BytesIO(data)]
    found = list(bounded_lines(io.BufferedReader(io.BytesIO(data)), limit))
    assert found == list(enumerate(expected, 1))
