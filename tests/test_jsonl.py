import io
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pagelabel.data.jsonl import _ARRAY, read_jsonl
from pagelabel.data.page import Page, PageError
from pagelabel.data.streams import ReadOptions

GOOD = '{"id": "good", "paragraphs": ["a"]}'


def read(data: bytes, limit: int = 1 << 20) -> list[Page | PageError]:
    return list(read_jsonl(io.BufferedReader(io.BytesIO(data)), "pages.jsonl", ReadOptions(max_page_bytes=limit)))


def read_one(line: str) -> Page | PageError:
    (item,) = read(line.encode("utf-8", "surrogatepass"))
    return item


def test_fields_are_kept_and_a_missing_id_is_file_and_line() -> None:
    known, nameless = read(
        b'{"id": 7, "url": "u", "paragraphs": [""], "labels": ["body"], "site": "s"}\n\n{"paragraphs": []}'
    )
    assert known == Page("7", [""], "u", ["body"], None, {"site": "s"})
    assert nameless == Page("pages.jsonl:3", [])


@pytest.mark.parametrize("between", ["", "\n", "   \n\t\r\n", "\r\n"])
def test_blank_lines_are_skipped(between: str) -> None:
    assert [type(item) for item in read(f"{GOOD}\n{between}{GOOD}".encode())] == [Page, Page]


def test_a_byte_order_mark_is_skipped_and_utf_16_is_told() -> None:
    assert isinstance(read_one("\ufeff" + GOOD), Page)
    (error,) = read(GOOD.encode("utf-16"))
    assert isinstance(error, PageError)
    assert "UTF-16" in error.cause


def test_broken_utf_8_becomes_replacement_characters() -> None:
    (page,) = read(b'{"id": "x", "paragraphs": ["caf\xe9 au lait", "ok"]}')
    assert page == Page("x", ["caf\ufffd au lait", "ok"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "not valid JSON"),
        ('{"id": "x", "paragraphs": ["a"', "not valid JSON"),
        (GOOD + GOOD, "not valid JSON"),
        ("\0" * 40, "not valid JSON"),
        ('{"paragraphs": ["a\nb"]}'.replace("\n", "\x01"), "not valid JSON"),
        ("[]", "expected a JSON object"),
        ('{"id": "x"}', "'paragraphs' and 'text' are missing"),
        ('{"paragraphs": "text"}', "list of strings"),
        ('{"paragraphs": ["a", NaN]}', "item 1 is null"),
        ('{"paragraphs": ["a"], "scores": [NaN]}', "item 0 is null"),
        ('{"paragraphs": ["a"], "paragraphs": ["b"]}', "'paragraphs' stands twice"),
        ('{"paragraphs": ["a"], "meta": {"k": 1, "k": 2}}', "'k' stands twice"),
        ('{"paragraphs": ["a"], "n": ' + "9" * 5000 + "}", "5,000 digits"),
        ('{"paragraphs": ["a"], "deep": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_page_is_told_with_its_cause(line: str, words: str) -> None:
    before, error, after = read(f"{GOOD}\n{line}\n{GOOD}".encode())
    assert isinstance(before, Page)
    assert isinstance(after, Page)
    assert isinstance(error, PageError)
    assert (error.source, error.position) == ("pages.jsonl", "line 2")
    assert words in error.cause


def test_numbers_that_json_does_not_have_become_null() -> None:
    page = read_one('{"paragraphs": [], "a": NaN, "b": [-Infinity, 1e999, 1.5, 2]}')
    assert isinstance(page, Page)
    assert page.extra == {"a": None, "b": [None, None, 1.5, 2]}


def test_nuls_and_lone_surrogates_in_strings_are_kept() -> None:
    assert read_one('{"id": "x", "paragraphs": ["a\\u0000b", "\\ud800"]}') == Page("x", ["a\0b", "\ud800"])


@settings(deadline=None)
@given(st.integers(50, 5000))
def test_a_line_over_the_limit_is_told_and_reading_goes_on(limit: int) -> None:
    exact = GOOD + " " * (limit - len(GOOD))
    items = read(f"{exact}\n{exact} \n{GOOD}\n{exact} ".encode(), limit)
    assert [type(item) for item in items] == [Page, PageError, Page, PageError]
    assert [item.position for item in items if isinstance(item, PageError)] == ["line 2", "line 4"]


lines = st.one_of(
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=40),
    st.text('{}[]":,0123456789.eE-nulltruefalse \\', max_size=40).map(str.encode),
).map(lambda line: line.replace(b"\n", b""))


@settings(deadline=None)
@given(st.lists(st.tuples(lines, st.lists(st.text(max_size=20), max_size=4)), max_size=10))
def test_no_good_line_is_lost_whatever_garbage_lies_between(rows: list[tuple[bytes, list[str]]]) -> None:
    # A file that begins as an array is told as one, whatever follows: see `test_an_array_is_told_once`.
    assume(not rows or not _ARRAY.match(rows[0][0].removeprefix(b"\xef\xbb\xbf")))
    data = b"\n".join(
        part
        for i, (garbage, paragraphs) in enumerate(rows)
        for part in (garbage, Page(f"p{i}", paragraphs).to_json().encode())
    )
    items = read(data)
    pages = [item for item in items if isinstance(item, Page) and item.id.startswith("p") and item.id[1:].isdigit()]
    assert pages == [Page(f"p{i}", paragraphs) for i, (_, paragraphs) in enumerate(rows)]
    assert len(items) == len(rows) + sum(
        bool(garbage.removeprefix(b"\xef\xbb\xbf" * (i == 0)).strip()) for i, (garbage, _) in enumerate(rows)
    )


def test_a_paragraph_of_10_mb_is_read() -> None:
    paragraph = "word " * 2_000_000
    assert read(json.dumps({"id": "x", "paragraphs": [paragraph]}).encode(), 1 << 24) == [Page("x", [paragraph])]


@pytest.mark.parametrize(
    "text", ['[{"paragraphs": ["a"]},\n{"paragraphs": ["b"]}]', '\n[\n  {"paragraphs": ["a"]}\n]\n']
)
def test_an_array_is_told_once(text: str) -> None:
    (error,) = read(text.encode())
    assert isinstance(error, PageError)
    assert "a JSON array: write one object a line" in error.cause
