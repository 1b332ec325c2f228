import io
import json
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages
from hypothesis import given, settings
from hypothesis import strategies as st

from pagelabel.cli import main
from pagelabel.columns import ParquetSink
from pagelabel.data.page import Page
from pagelabel.data.readers import read_pages

pq = pytest.importorskip("pyarrow.parquet")


def rows(pages: list[Page]) -> list[dict[str, object]]:
    file = io.BytesIO()
    sink = ParquetSink(file)
    for page in pages:
        sink.write(page)
    sink.close()
    return pq.read_table(io.BytesIO(file.getvalue())).to_pylist()  # type: ignore[no-any-return]


def test_plain_fields_become_columns_and_others_json() -> None:
    extra = {"crawl": 7, "lang": "en", "share": 0.5, "seen": True, "tags": ["a"]}
    (row,) = rows([Page("a", ["One"], "u", ["body"], [0.5], extra)])
    assert {name: row[name] for name in ("crawl", "lang", "share", "seen")} == {
        "crawl": 7,
        "lang": "en",
        "share": 0.5,
        "seen": True,
    }
    assert json.loads(str(row["extra"])) == {"tags": ["a"]}
    assert (row["id"], row["url"], row["paragraphs"], row["labels"], row["scores"]) == (
        "a",
        "u",
        ["One"],
        ["body"],
        [0.5],
    )


def test_fields_that_come_later_or_change_their_type_are_kept() -> None:
    first = [Page(str(i), ["x"], extra={"n": i}) for i in range(500)]
    later = [
        Page("s", ["x"], extra={"n": "seven"}),
        Page("m", ["x"], extra={"new": 1}),
        Page("h", [], extra={"n": 1 << 70}),
    ]
    found = rows(first + later)
    assert [row["n"] for row in found[:500]] == list(range(500))
    assert [json.loads(str(row["extra"])) for row in found[500:]] == [{"n": "seven"}, {"new": 1}, {"n": 1 << 70}]


def test_no_pages_make_a_file_without_rows() -> None:
    assert rows([]) == []


TEXT = st.text(st.characters(codec="utf-8"), max_size=9)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT, st.lists(TEXT))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=6))
def test_no_field_is_lost(extras: list[dict[str, object]]) -> None:
    found = rows([Page("p", ["x"], extra=extra) for extra in extras])
    for row, extra in zip(found, extras, strict=True):
        columns = {key: row[key] for key in "abc" if row.get(key) is not None}
        assert columns | json.loads(str(row["extra"] or "{}")) == {k: v for k, v in extra.items() if v is not None}


def test_what_the_command_writes_reads_back(tiny_bundle: Path, tmp_path: Path) -> None:
    pages = toy_pages(5)
    source = write_pages(tmp_path / "in.jsonl", pages)
    out = tmp_path / "out.parquet"
    assert main(["label", "--model", str(tiny_bundle), source, "--to", "parquet", "-o", str(out)]) == 0
    back = [page for page in read_pages(str(out)) if isinstance(page, Page)]
    assert [page.paragraphs for page in back] == [page.paragraphs for page in pages]
    assert [page.labels for page in back] == [page.labels for page in pages]
    assert [page.extra["site"] for page in back] == [page.extra["site"] for page in pages]


def test_a_field_whose_name_is_no_unicode_is_kept() -> None:
    (row,) = rows([Page("a", ["One"], extra={"\ud800": "x"})])
    assert json.loads(str(row["extra"])) == {"\ud800": "x"}


def test_links_and_other_fields_come_back_as_they_were(tmp_path: Path) -> None:
    pages = [
        Page("a", ["x", "y"], labels=["body", "promo"], scores=[0.5, 1.0], extra={"link": [0, 62.5], "tags": ["t"]}),
        Page("b", ["x"], labels=["body"], scores=[0.5], extra={"link": "no list"}),
        Page("c", ["x"], labels=["body"], scores=[0.5]),
    ]
    for name in ("1.parquet", "2.parquet"):
        with (tmp_path / name).open("wb") as file:
            sink = ParquetSink(file)
            for page in pages:
                sink.write(page)
            sink.close()
        pages = [page for page in read_pages(str(tmp_path / name)) if isinstance(page, Page)]
        assert [page.link for page in pages] == [[0, 62.5], None, None]
        assert pages[0].extra["tags"] == ["t"]
        assert "extra" not in pages[0].extra
        assert pages[1].extra["link"] == "no list"
