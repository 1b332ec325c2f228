import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.page import Page
from pagelabel.data.records import page_of_record
from pagelabel.data.spans import paragraph_spans, spans_in
from pagelabel.data.streams import ReadOptions
from pagelabel.data.text import paragraphs_of_text

WRAPPED = """The council voted on Monday to build a new bridge over the river, the first in
forty years, and said that the work would begin in the spring of the coming year and
take eighteen months, a well-
known figure in the town.

Donate to our newsroom
"""


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_without_a_text_spans_index_the_joined_paragraphs() -> None:
    page = Page("p", ["One", "", "Three è"])
    joined = "\n".join(page.paragraphs)
    assert [joined[start:end] for start, end in paragraph_spans(page)] == page.paragraphs


def test_spans_of_a_hard_wrapped_text_take_in_its_line_ends() -> None:
    page = page_of_record({"id": "x", "text": WRAPPED}, "x", ReadOptions("paragraphs"))
    assert len(page.paragraphs) == 2
    spans = [WRAPPED[start:end] for start, end in paragraph_spans(page)]
    assert list(map(squeezed, spans)) == list(map(squeezed, page.paragraphs))
    assert spans[0].startswith("The council")
    assert spans[0].endswith("in the town.")
    assert spans[1] == "Donate to our newsroom"


@given(st.lists(st.text(st.sampled_from("ab \t.é\u00a0—-\n\r\u2028"), max_size=30), max_size=12), st.booleans())
def test_every_paragraph_of_any_text_is_found_in_order(parts: list[str], wrapped: bool) -> None:
    text = "\n\n".join(parts)
    paragraphs = paragraphs_of_text(text, "paragraphs" if wrapped else "auto")
    spans = spans_in(text, paragraphs, "p")
    assert [squeezed(text[start:end]) for start, end in spans] == list(map(squeezed, paragraphs))
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@given(st.text())
def test_any_text_has_a_span_for_each_paragraph(text: str) -> None:
    page = page_of_record({"text": text}, "x", ReadOptions())
    assert len(paragraph_spans(page)) == len(page.paragraphs)


def test_paragraphs_of_another_text_are_refused() -> None:
    page = Page("p", ["Other words"], extra={"text": "One line"}, source_field="text")
    with pytest.raises(ValueError, match="page 'p': paragraph 0"):
        paragraph_spans(page)


def test_a_text_survives_beside_its_paragraphs() -> None:
    page = page_of_record({"id": "x", "text": "One\nTwo", "source": "s"}, "x", ReadOptions())
    assert page.paragraphs == ["One", "Two"]
    assert json.loads(page.to_json()) == {"id": "x", "paragraphs": ["One", "Two"], "text": "One\nTwo", "source": "s"}


def test_a_mark_that_was_wrongly_decoded_is_part_of_its_span() -> None:
    text = " He waited\x85 \nthen left.\n"
    page = Page("p", paragraphs_of_text(text), extra={"text": text}, source_field="text")
    assert page.paragraphs == ["He waited…", "then left."]
    assert [text[start:end] for start, end in paragraph_spans(page)] == ["He waited\x85", "then left."]
