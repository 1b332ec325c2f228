import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pagelabel.data.page import Page, PageError, as_unicode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
known = {"id", "url", "paragraphs", "labels", "scores"}


@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=8), st.floats(0, 1)), max_size=6),
    st.dictionaries(st.text(max_size=8).filter(lambda key: key not in known), json_values, max_size=4),
)
def test_a_page_survives_a_round_trip_with_fields_that_pagelabel_does_not_know(
    rows: list[tuple[str, str, float]], extra: dict[str, Any]
) -> None:
    page = Page("a", [r[0] for r in rows], "https://x.example", [r[1] for r in rows], [r[2] for r in rows], extra)
    line = page.to_json()
    line.encode("utf-8")
    assert "\n" not in line
    assert Page.from_record(json.loads(line), "other") == page


def test_lone_surrogates_are_written_escaped() -> None:
    page = Page("a", ["\ud800é"])
    page.to_json().encode("utf-8")
    assert Page.from_record(json.loads(page.to_json()), "b") == page


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "found a list"),
        (None, "found null"),
        ({}, "'paragraphs' is missing"),
        ({"paragraphs": "text"}, "found a string"),
        ({"paragraphs": ["a", None]}, "item 1 is null"),
        ({"paragraphs": ["a"], "id": [1]}, "'id' should be a string"),
        ({"paragraphs": ["a"], "url": 7}, "'url' should be a string"),
        ({"paragraphs": ["a"], "labels": ["body", "body"]}, "2 items for 1 paragraphs"),
        ({"paragraphs": ["a"], "labels": [3]}, "item 0 is a number"),
        ({"paragraphs": ["a"], "scores": [True]}, "item 0 is true/false"),
        ({"paragraphs": ["a"], "labels": "body"}, "'labels' should be a list of strings, found a string"),
        ({"paragraphs": ["a"], "scores": 0.5}, "'scores' should be a list of numbers, found a number"),
        ({"paragraphs": ["a"], "scores": []}, "'scores' has 0 items for 1 paragraphs"),
        ({"paragraphs": ["a"], "scores": [float("inf")]}, "'scores'.* item 0"),
        ({"paragraphs": ["a"], "scores": [float("nan")]}, "'scores'.* item 0"),
        ({"paragraphs": ["a"], "scores": [10**400]}, "'scores'.* item 0"),
        ({"paragraphs": ["a"], "id": True}, "'id' should be a string, found true/false"),
    ],
)
def test_a_record_that_is_no_page_is_refused_in_words(record: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Page.from_record(record, "x")


def is_type(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))


WELL_TYPED = {
    "id": lambda value: value is None or is_type(value, str) or is_type(value, int),
    "url": lambda value: value is None or is_type(value, str),
    "paragraphs": lambda value: isinstance(value, list) and all(is_type(item, str) for item in value),
    "labels": lambda value: value is None or (isinstance(value, list) and all(is_type(item, str) for item in value)),
    "scores": lambda value: (
        value is None or (isinstance(value, list) and all(is_type(item, int) or is_type(item, float) for item in value))
    ),
}


@given(st.sampled_from(sorted(WELL_TYPED)), json_values)
def test_every_wrong_type_is_a_value_error_that_names_the_field(field: str, value: Any) -> None:
    assume(not WELL_TYPED[field](value))
    with pytest.raises(ValueError, match=f"field '{field}'"):
        Page.from_record({"paragraphs": ["a"], field: value}, "x")


@given(json_values)
def test_any_json_is_a_page_or_a_value_error(value: Any) -> None:
    for record in (value, {"paragraphs": value}, {"paragraphs": [], "id": value}, {"paragraphs": [], "labels": value}):
        try:
            page = Page.from_record(record, "x")
        except ValueError:
            continue
        assert isinstance(page.id, str)


def test_a_missing_id_is_named_by_the_reader_and_a_number_becomes_text() -> None:
    assert Page.from_record({"paragraphs": []}, "file:3").id == "file:3"
    assert Page.from_record({"paragraphs": [], "id": 7}, "file:3").id == "7"


def test_text_is_the_article_unless_asked_otherwise() -> None:
    page = Page("a", ["one", "two", "three"], None, ["body", "promo", "quote"])
    assert page.text() == "one\nthree"
    assert page.text(keep=("promo",)) == "two"
    with pytest.raises(ValueError, match="no labels"):
        Page("a", ["one"]).text()


def test_an_error_names_source_position_and_cause() -> None:
    error = PageError("crawl.jsonl", "line 7", "not valid JSON")
    assert str(error) == "crawl.jsonl: line 7: not valid JSON"
    assert str(PageError("crawl.jsonl", "", "gone")) == "crawl.jsonl: gone"
    assert json.loads(error.to_json()) == {"source": "crawl.jsonl", "position": "line 7", "cause": "not valid JSON"}


def test_fields_that_are_not_set_are_not_written() -> None:
    assert json.loads(Page("a", ["one"]).to_json()) == {"id": "a", "paragraphs": ["one"]}


def test_a_page_is_a_view_only_where_its_record_says_of_what() -> None:
    whole, view = Page("a", []), Page("b", [], extra={"page": "a", "view": "readability"})
    assert (whole.group, whole.view) == ("a", None)
    assert (view.group, view.view) == ("a", "readability")
    # Columns of a table that a page has nothing in.
    assert (Page("a", [], extra={"page": None, "view": None}).group, Page("a", [], extra={"view": None}).view) == (
        "a",
        None,
    )
    assert (Page("a", [], extra={"page": 7}).group, Page("a", [], extra={"view": 3}).view) == ("7", "3")


def test_lone_surrogates_are_replaced_and_nothing_else() -> None:
    assert as_unicode("a \ud83d b") == "a ? b"
    assert as_unicode("é 😀 a\x00") == "é 😀 a\x00"
