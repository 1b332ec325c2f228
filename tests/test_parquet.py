import datetime
import decimal
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(table: object, file: Path) -> str:
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    else:
        make = pa.ipc.new_stream if file.suffix == ".arrows" else pa.ipc.new_file
        with pa.OSFile(str(file), "wb") as out, make(out, table.schema) as writer:  # type: ignore[attr-defined]
            writer.write_table(table)
    return str(file)


SUFFIXES = [".parquet", ".arrow", ".arrows", ".feather"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_pages_with_their_columns(tmp_path: Path, suffix: str) -> None:
    table = pa.table(
        {
            "id": ["a", "b"],
            "paragraphs": [["One", "Two"], []],
            "url": ["https://river.example", None],
            "labels": [["body", "promo"], None],
            "crawl": [7, None],
        }
    )
    first, second = read_pages(write(table, tmp_path / f"x{suffix}"))
    labels = ["body", "promo"]
    assert first == Page("a", ["One", "Two"], "https://river.example", labels, None, {"crawl": 7})
    assert second == Page("b", [], extra={"crawl": None})


def test_a_text_column_is_cut_into_paragraphs_and_kept(tmp_path: Path) -> None:
    file = write(pa.table({"content": ["One\nTwo", "Three"]}), tmp_path / "x.parquet")
    pages = list(read_pages(file, text_column="content"))
    assert [page.paragraphs for page in pages if isinstance(page, Page)] == [["One", "Two"], ["Three"]]
    assert [page.source_text for page in pages if isinstance(page, Page)] == ["One\nTwo", "Three"]
    assert [page.id for page in pages if isinstance(page, Page)] == [f"{file}:0", f"{file}:1"]


def test_values_that_json_lacks_become_text(tmp_path: Path) -> None:
    row = {
        "text": "One",
        "when": datetime.datetime(2026, 1, 2, 3, 4),
        "day": datetime.date(2026, 1, 2),
        "price": decimal.Decimal("1.50"),
        "raw": b"\x00\xff",
        "score": float("nan"),
        "nested": {"a": [1, None], "b": datetime.date(2026, 1, 2)},
    }
    (page,) = read_pages(write(pa.Table.from_pylist([row]), tmp_path / "x.parquet"))
    assert isinstance(page, Page)
    assert page.extra == {
        "text": "One",
        "when": "2026-01-02T03:04:00",
        "day": "2026-01-02",
        "price": "1.50",
        "raw": "AP8=",
        "score": None,
        "nested": {"a": [1, None], "b": "2026-01-02"},
    }
    page.to_json()


def test_bad_rows_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    file = write(pa.table({"paragraphs": [["a"], None, ["b", None], ["c"]]}), tmp_path / "x.parquet")
    items = list(read_pages(file))
    assert [isinstance(item, Page) for item in items] == [True, False, False, True]
    assert [item.position for item in items if isinstance(item, PageError)] == ["row 1", "row 2"]


def test_a_row_that_is_too_large_is_told(tmp_path: Path) -> None:
    file = write(pa.table({"text": ["short", "x" * 10_000, "short"]}), tmp_path / "x.parquet")
    items = list(read_pages(file, max_page_bytes=1000))
    assert [isinstance(item, PageError) for item in items] == [False, True, False]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_off_anywhere_is_an_error_and_no_crash(tmp_path: Path, suffix: str) -> None:
    file = Path(write(pa.table({"text": [f"page {i}" for i in range(200)]}), tmp_path / f"x{suffix}"))
    data = file.read_bytes()
    for size in range(0, len(data) - 1, max(1, len(data) // 40)):
        file.write_bytes(data[:size])
        items = list(read_pages(str(file)))
        complete_stream = suffix == ".arrows" and len(items) == 200
        assert complete_stream or isinstance(items[-1], PageError)


def test_offsets_that_point_anywhere_are_an_error(tmp_path: Path) -> None:
    file = Path(write(pa.table({"text": ["ab", "cd"]}), tmp_path / "x.arrow"))
    data = file.read_bytes()
    offsets = struct.pack("<3i", 0, 2, 4)
    assert data.count(offsets) == 1
    file.write_bytes(data.replace(offsets, struct.pack("<3i", 0, -5, 1 << 30)))
    (error,) = read_pages(str(file))
    assert isinstance(error, PageError)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.text()), max_size=20), st.sampled_from(SUFFIXES))
def test_as_many_pages_and_errors_as_rows(tmp_path: Path, texts: list[str | None], suffix: str) -> None:
    texts = [text and text.encode("utf-8", "ignore").decode() for text in texts]
    table = pa.table({"text": pa.array(texts, pa.string())})
    items = list(read_pages(write(table, tmp_path / f"x{suffix}")))
    assert [isinstance(item, PageError) for item in items] == [text is None for text in texts]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    file = write(pa.table({"text": ["x"]}), tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (error,) = read_pages(file)
    assert "pip install 'pagelabel[parquet]'" in str(error)


def test_text_without_its_mark_is_text(tmp_path: Path) -> None:
    columns = {
        "id": pa.array([b"a"]),
        "url": pa.array([b"https://river.example"], pa.large_binary()),
        "paragraphs": pa.array([["Größe".encode(), b"Two"]], pa.list_(pa.binary())),
        "digest": pa.array([b"\xff\x00"]),
    }
    (page,) = read_pages(write(pa.table(columns), tmp_path / "bytes.parquet"))
    extra = {"digest": "/wA="}
    assert page == Page("a", ["Größe", "Two"], "https://river.example", extra=extra)
    (cut,) = read_pages(write(pa.table({"text": [b"One\n\nTwo"]}), tmp_path / "text.parquet"))
    assert isinstance(cut, Page)
    assert cut.paragraphs == ["One", "Two"]


def test_a_column_that_stands_there_twice_is_told(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["text", "text", "id"])
    pq.write_table(table, tmp_path / "twice.parquet")
    (found,) = read_pages(str(tmp_path / "twice.parquet"))
    assert isinstance(found, PageError)
    assert "the column 'text' stands there twice" in found.cause


def test_a_column_that_is_not_read_may_stand_there_twice(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["text", "n", "n"])
    pq.write_table(table, tmp_path / "twice.parquet")
    (page,) = read_pages(str(tmp_path / "twice.parquet"))
    assert isinstance(page, Page)
    assert page.extra == {"text": "a", "n": 2}


def test_ids_that_are_whole_numbers_with_gaps_are_ids(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": pa.array([3.0, None, 1.5]), "text": ["x", "y", "z"]}), tmp_path / "ids.parquet")
    first, second, third = read_pages(str(tmp_path / "ids.parquet"))
    assert isinstance(first, Page)
    assert isinstance(second, Page)
    assert (first.id, second.id.endswith("ids.parquet:1")) == ("3", True)
    assert isinstance(third, PageError)
