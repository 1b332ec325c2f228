import gzip
import io
import json
import os
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagelabel.data.html import page_of_html
from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import READERS, read_files, read_pages
from pagelabel.data.sources import expand
from pagelabel.data.streams import ReadOptions
from pagelabel.data.text import paragraphs_of_text

PAGES = Path(__file__).parent / "pages"
NO_FIXTURE_CHECK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def split(items: list[Page | PageError]) -> tuple[list[Page], list[PageError]]:
    return [i for i in items if isinstance(i, Page)], [i for i in items if isinstance(i, PageError)]


@pytest.mark.parametrize("folder", sorted(PAGES.iterdir()), ids=lambda folder: folder.name)
def test_golden_pages_read_as_expected(folder: Path) -> None:
    (page,) = read_pages(str(folder / "source.html"))
    assert isinstance(page, Page)
    expected = json.loads((folder / "expected.jsonl").read_text(encoding="utf-8"))
    assert page.paragraphs == expected["paragraphs"]
    assert page.url == expected.get("url")


@NO_FIXTURE_CHECK
@given(st.lists(st.one_of(st.just(b""), st.binary(max_size=30).filter(lambda line: b"\n" not in line)), max_size=12))
def test_good_lines_are_read_whatever_stands_between(tmp_path: Path, garbage: list[bytes]) -> None:
    lines = []
    for i, bad in enumerate(garbage):
        lines += [json.dumps({"id": f"p{i}", "paragraphs": ["a"]}).encode(), bad]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    pages, _ = split(list(read_pages(str(tmp_path / "x.jsonl"))))
    assert [page.id for page in pages if page.id.startswith("p")][: len(garbage)] == [
        f"p{i}" for i in range(len(garbage))
    ]


@NO_FIXTURE_CHECK
@given(st.binary(max_size=300), st.sampled_from(sorted(READERS)))
def test_any_bytes_are_pages_or_errors(tmp_path: Path, data: bytes, reader: str) -> None:
    (tmp_path / "any.bin").write_bytes(data)
    for item in read_pages(str(tmp_path / "any.bin"), reader):
        if isinstance(item, Page):
            assert all(paragraph == paragraph.strip() for paragraph in item.paragraphs) or reader == "jsonl"
        else:
            assert item.cause


@given(st.lists(st.lists(st.from_regex(r"\A[a-z]{1,12}\Z"), min_size=1, max_size=40), max_size=8))
def test_no_word_of_a_text_is_lost_or_moved(blocks: list[list[str]]) -> None:
    text = "\n\n".join(" ".join(words) for words in blocks)
    for mode in ("auto", "lines", "paragraphs"):
        found = " ".join(paragraphs_of_text(text, mode)).split()  # type: ignore[arg-type]
        assert found == text.split()


def test_hard_wrapped_text_is_joined_at_blank_lines() -> None:
    line = "the council met on monday and voted to close the old bridge"
    text = "\n\n".join("\n".join([line] * 4 + ["for a year."]) for _ in range(3))
    joined = paragraphs_of_text(text)
    assert len(joined) == 3
    assert len(paragraphs_of_text(text, "lines")) == 15
    assert paragraphs_of_text("one\ntwo\nthree") == ["one", "two", "three"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_detected(tmp_path: Path, encoding: str) -> None:
    text = "Café “Zürich” opens – at last\nThe naïve façade of a small house, after all these years\n" * 3
    (tmp_path / "t.txt").write_bytes(text.encode(encoding))
    (page,) = read_pages(str(tmp_path / "t.txt"))
    assert isinstance(page, Page)
    assert page.paragraphs[0] == "Café “Zürich” opens – at last"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_are_read_and_a_cut_is_told(tmp_path: Path, suffix: str) -> None:
    data = "".join(json.dumps({"id": str(i), "paragraphs": [f"{i * 7919}"] * 40}) + "\n" for i in range(2000)).encode()
    packed = gzip.compress(data) if suffix == ".gz" else zstandard.ZstdCompressor().compress(data)
    whole, cut = tmp_path / f"whole.jsonl{suffix}", tmp_path / f"cut.jsonl{suffix}"
    whole.write_bytes(packed)
    cut.write_bytes(packed[: len(packed) // 2])
    pages, errors = split(list(read_pages(str(whole))))
    assert len(pages) == 2000
    assert not errors
    pages, errors = split(list(read_pages(str(cut))))
    assert [page.id for page in pages] == [str(i) for i in range(len(pages))]
    assert len(errors) in (1, 2)
    assert "truncated" in errors[-1].cause


def test_a_page_over_the_limit_is_an_error_and_reading_goes_on(tmp_path: Path) -> None:
    big = json.dumps({"id": "big", "paragraphs": ["x" * 5000]})
    small = json.dumps({"id": "small", "paragraphs": ["x"]})
    (tmp_path / "a.jsonl").write_text(f"{big}\n{small}\n")
    pages, errors = split(list(read_pages(str(tmp_path / "a.jsonl"), max_page_bytes=1000)))
    assert [page.id for page in pages] == ["small"]
    assert errors[0].position == "line 1"


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(b"a" * 50_000_000))
    (error,) = read_pages(str(tmp_path / "bomb.txt.gz"), max_page_bytes=1_000_000)
    assert isinstance(error, PageError)
    assert "larger than" in error.cause


def test_a_folder_is_read_in_order_and_what_is_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_text("two")
    (tmp_path / "a.html").write_text("<p>one</p>")
    pages, errors = split(list(read_pages(str(tmp_path))))
    assert sorted(page.paragraphs[0] for page in pages) == ["one", "two"]
    assert not errors
    for gone in (tmp_path / "gone.txt", tmp_path / "empty"):
        if gone.name == "empty":
            gone.mkdir()
        (error,) = read_pages(str(gone))
        assert isinstance(error, PageError)
        assert error.source == str(gone)


def test_standard_input_is_told_by_how_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    for data, paragraphs in [
        (b'{"paragraphs": ["a"]}\n', ["a"]),
        (b"<!doctype html><p>b</p>", ["b"]),
        (b"c\nd\n", ["c", "d"]),
        ("<p>é</p>".encode("utf-16"), ["é"]),
        ("<html><p>some text</p></html>".encode("utf-16-le"), ["some text"]),
    ]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        (page,) = read_pages("-")
        assert isinstance(page, Page)
        assert page.paragraphs == paragraphs


def test_hidden_parts_scripts_and_styles_are_left_out_and_buttons_stay() -> None:
    html = b"""<html><head><title>T</title><style>p {}</style></head><body><script>x()</script>
    <p hidden>gone</p><p style="display: none">gone</p><p>seen</p><button>Donate now</button></body></html>"""
    page = page_of_html(html, "x")
    assert page.paragraphs == ["seen", "Donate now"]
    assert page.extra["title"] == "T"


@pytest.mark.parametrize(
    "html",
    [b"", b"<html>", b"\0\0<p>a\0b</p>", b"<frameset><frame></frameset>", b"<div>" * 100_000, b"<ul><li>" * 20_000],
)
def test_odd_html_is_a_page_or_an_error(tmp_path: Path, html: bytes) -> None:
    (tmp_path / "odd.html").write_bytes(html)
    (item,) = read_pages(str(tmp_path / "odd.html"))
    assert isinstance(item, Page | PageError)


def test_an_unknown_reader_or_option_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="unknown reader"):
        read_pages("x", "pdf")
    with pytest.raises(ValueError, match="text_mode"):
        read_pages("x", text_mode="words")  # type: ignore[arg-type]


def test_a_source_can_be_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    for source in (tmp_path, tmp_path / "a.txt"):
        assert list(read_pages(source)) == list(read_pages(str(source)))
    with pytest.raises(TypeError, match="PathLike object, not list"):
        read_pages(["a.txt"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x.jsonl", "x.warc"])
def test_an_empty_file_holds_no_pages_and_an_empty_compressed_one_is_told(tmp_path: Path, name: str) -> None:
    if name == "x.warc":
        pytest.importorskip("fastwarc")
    for suffix in ("", ".gz", ".zst"):
        (tmp_path / (name + suffix)).write_bytes(b"")
    assert list(read_pages(str(tmp_path / name))) == []
    for suffix in (".gz", ".zst"):
        (error,) = read_pages(str(tmp_path / (name + suffix)))
        assert "it is empty" in str(error)


def test_names_of_files_are_not_patterns(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    for name in ("a[1].jsonl", "b.jsonl", "c*.jsonl"):
        (tmp_path / name).write_text('{"id": "x", "text": "Menu"}\n')
    source = f"file://{tmp_path}"
    assert [page.id for page in read_files(expand(source), None, ReadOptions()) if isinstance(page, Page)] == [
        "x",
        "x",
        "x",
    ]
    assert [page.id for page in read_pages(source) if isinstance(page, Page)] == ["x", "x", "x"]
    assert len(list(read_pages(os.fsencode(tmp_path / "b.jsonl")))) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x.parquet.gz", "x.feather.zst"])
def test_columns_that_are_compressed_as_a_whole_are_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    (error,) = read_pages(tmp_path / name)
    assert isinstance(error, PageError)
    assert "uncompress the file first" in error.cause
