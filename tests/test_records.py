"""Records to pages."""

from __future__ import annotations

from typing import Any

import pytest

from pagelabel.data.page import Page
from pagelabel.data.records import page_of_record
from pagelabel.data.streams import ReadOptions

OPTIONS = ReadOptions()


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": ["news", "politics", "en"]},
        {"labels": "news"},
        {"labels": [3, 4]},
        {"labels": None},
        {"scores": 0.93},
        {"scores": [True, False]},
    ],
)
def test_labels_of_a_whole_text_do_not_stand_in_the_way(fields: dict[str, Any]) -> None:
    page = page_of_record({"id": "a", "text": "One.\nTwo.", **fields}, "x", OPTIONS)
    assert page == Page("a", ["One.", "Two."], extra={"text": "One.\nTwo."}, source_field="text")


def test_labels_of_the_paragraphs_of_a_text_are_its_own() -> None:
    page = page_of_record({"text": "One.\nTwo.", "labels": ["body", "promo"], "scores": [1, 0.5]}, "x", OPTIONS)
    assert (page.labels, page.scores) == (["body", "promo"], [1, 0.5])
    with pytest.raises(ValueError, match="'labels' has 3 items for 2 paragraphs"):
        page_of_record({"paragraphs": ["One.", "Two."], "labels": ["a", "b", "c"]}, "x", OPTIONS)


@pytest.mark.parametrize(
    ("text", "paragraphs", "cut"),
    [
        ("One.\n\n  Two.\n", ["One.", "Two."], True),
        ("A line that\ngoes on", ["A line that goes on"], True),
        ("One.\nTwo.\nThree.", ["One.", "Two."], False),
        ("One.\nTwo.", ["One.", "Three."], False),
        ("One.", [], False),
        ("", [], True),
        ("One.", ["", "One."], False),
    ],
)
def test_a_text_beside_its_paragraphs_is_known_again(text: str, paragraphs: list[str], cut: bool) -> None:
    page = page_of_record({"text": text, "paragraphs": paragraphs}, "x", OPTIONS)
    assert page.paragraphs == paragraphs
    assert page.source_text == (text if cut else None)


def test_paragraphs_that_are_null_are_as_none() -> None:
    assert page_of_record({"text": "One.", "paragraphs": None}, "x", OPTIONS).paragraphs == ["One."]
    with pytest.raises(ValueError, match="'paragraphs' should be a list of strings, found null"):
        page_of_record({"paragraphs": None}, "x", OPTIONS)


@pytest.mark.parametrize(("value", "words"), [(None, "found null"), (5, "found a number"), ([], "found a list")])
def test_a_text_that_is_none_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=f"field 'text' should be a string, {words}"):
        page_of_record({"text": value}, "x", OPTIONS)


@pytest.mark.parametrize("column", ["id", "url", "labels", "scores", "paragraphs"])
def test_a_field_of_its_own_is_no_text(column: str) -> None:
    with pytest.raises(ValueError, match="is a field of its own"):
        ReadOptions(text_column=column)


@pytest.mark.parametrize("given", [{"labels": ["news", "sport"]}, {"labels": "news"}, {"scores": [None]}])
def test_labels_that_are_given_anew_are_no_reason_to_refuse_a_page(given: dict[str, object]) -> None:
    record = {"paragraphs": ["One."], "kept": 1, **given}
    with pytest.raises(ValueError, match=next(iter(given))):
        page_of_record(record, "x", OPTIONS)
    page = page_of_record(record, "x", ReadOptions(labelled=False))
    assert (page.labels, page.scores, page.extra) == (None, None, {"kept": 1})
