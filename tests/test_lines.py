"""Lines of hard-wrapped paragraphs, joined before a page is read."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.page import Page
from pagelabel.model.lines import Lines, runs_of

SENTENCE = "The council voted on the bridge on Monday, and the work begins in the spring of next year, if it begins."
LINES = textwrap.wrap(SENTENCE, 45)


def sizes(texts: list[str]) -> list[int]:
    return Lines.of(Page("p", texts)).sizes


def test_a_wrapped_paragraph_is_read_as_one() -> None:
    lines = Lines.of(Page("p", ["Home", "News", *LINES, "Share"]))
    assert lines.page.paragraphs == ["Home", "News", SENTENCE, "Share"]
    assert lines.sizes == [1, 1, len(LINES), 1]
    assert lines.spread("abcd") == ["a", "b", *["c"] * len(LINES), "d"]


def test_without_join_each_line_is_read_by_itself() -> None:
    page = Page("p", LINES)
    assert Lines.of(page, join=False) == (page, [1] * len(LINES))


@pytest.mark.parametrize(
    "texts",
    [
        ["home", "about us", "contact us", "terms of use and privacy"],
        ["He left.", "she stayed in the house by the river for years"],
        ["These are the things that the council has decided today:", "that the bridge is built, and the road closed"],
        ["The council voted on the bridge on Monday, and the work", "The mayor did not vote on it at all, she said"],
        ["A headline that stops without a full stop, as they often do", "share this"],
        ["The council voted on the bridge on Monday. “It begins!”", "a neighbour said so to the newspaper on Friday"],
        ["", "and so it goes on from nothing at all to something more"],
        ["The council voted on the bridge on Monday, and the work", "", "begins in the spring of next year, if at all"],
        [],
    ],
)
def test_what_may_end_there_is_not_joined(texts: list[str]) -> None:
    assert sizes(texts) == [1] * len(texts)


def test_a_short_last_line_that_ends_the_sentence_is_joined() -> None:
    assert sizes(["The council voted on the bridge on Monday, and work begins", "next year."]) == [2]


def test_where_sentences_begin_in_lower_case_nothing_is_joined() -> None:
    page = ["so the recount is over.", "i want to write about how we got here.", "previously: how to lose a recount"]
    page += ["what happens now is that the eleven becomes forty.", "hit the tip jar if you want it to keep sitting"]
    page += ["older: the council tax leaflet, annotated at last"]
    assert sizes(page) == [1] * 6
    assert sizes(LINES) == [len(LINES)]
    assert sizes([*page, *LINES]) == [1] * (6 + len(LINES))


def test_links_are_the_mean_by_characters() -> None:
    page = Page("p", ["Home", "a" * 59, "b" * 29], extra={"link": [100, 30, 0], "title": "T"})
    joined = Lines.of(page).page
    assert joined.link == [100, 20]
    assert joined.title == "T"
    assert page.link == [100, 30, 0]


def test_links_of_another_length_are_not_those_of_what_is_joined() -> None:
    page = Page("p", ["Home", *LINES], extra={"link": [100, 0]})
    assert Lines.of(page).page.link is None


def test_white_space_around_lines_does_not_count() -> None:
    lines = Lines.of(Page("p", [f"  {line}\t" for line in LINES]))
    assert lines.page.paragraphs == [SENTENCE]


@given(
    st.lists(st.one_of(st.text(max_size=60), st.sampled_from([*LINES, "and so on,", "a" * 24, "x" * 39])), max_size=12)
)
def test_nothing_is_lost_and_what_is_joined_stays_as_it_is(texts: list[str]) -> None:
    runs = runs_of(texts)
    assert [i for run in runs for i in run] == list(range(len(texts)))
    lines = Lines.of(Page("p", texts))
    assert sum(lines.sizes) == len(texts)
    assert " ".join(lines.page.paragraphs).split() == " ".join(texts).split()
    assert Lines.of(lines.page) == (lines.page, [1] * len(lines.sizes))
