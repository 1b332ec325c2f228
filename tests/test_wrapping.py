"""Training pages as they are read: some are hard-wrapped, and lines that go on are joined."""

import textwrap

import numpy as np
import pytest

from pagelabel.data.page import Page
from pagelabel.training.wrapping import as_read, joined, wrapped

SENTENCE = "The council voted on the bridge on Monday, and the work begins in the spring of next year, if it begins."
LINES = textwrap.wrap(SENTENCE, 45)


def page(name: str = "p") -> Page:
    extra = {
        "link": [100.0, 0.0, 50.0],
        "doubt": [2],
        "weights": [1.0, 0.5, 0.2],
        "probabilities": [[0.0, 1.0], [0.9, 0.1], [0.4, 0.6]],
        "states": np.array([[1, 2], [3, 4], [5, 6]], np.float16),
    }
    return Page(name, ["Home", SENTENCE, "Share"], None, ["promo", "body", "promo"], None, extra)


def test_lines_have_all_that_their_paragraph_had() -> None:
    cut = wrapped(page(), 45)
    assert cut.paragraphs == ["Home", *LINES, "Share"]
    assert cut.labels == ["promo", *["body"] * 3, "promo"]
    assert cut.link == [100, 0, 0, 0, 50]
    assert cut.extra["doubt"] == [4]
    assert cut.extra["weights"] == pytest.approx([1.0, 0.5, 0.5, 0.5, 0.2])
    assert np.array(cut.extra["probabilities"][1:4]) == pytest.approx(np.array([[0.9, 0.1]] * 3))
    assert cut.extra["states"].tolist() == [[1, 2], [3, 4], [3, 4], [3, 4], [5, 6]]


def test_what_was_wrapped_and_is_joined_is_what_it_was() -> None:
    again = joined(wrapped(page(), 45))
    assert (again.paragraphs, again.labels, again.link) == (page().paragraphs, page().labels, page().link)
    assert again.extra["weights"] == pytest.approx(page().extra["weights"])
    assert np.array(again.extra["probabilities"]) == pytest.approx(np.array(page().extra["probabilities"]))
    assert again.extra["states"].dtype == np.float16


@pytest.mark.parametrize("given", [[[0.5, 0.5]], [[0.5, 0.5], [1.0], [0.2, 0.8]], "much", 3])
def test_a_field_of_another_length_names_the_page(given: object) -> None:
    wrong = page("odd")
    wrong.extra["probabilities"] = given
    with pytest.raises(ValueError, match="page 'odd': 'probabilities' should be numbers for each of its 3 paragraphs"):
        wrapped(wrong, 45)


def test_the_label_of_joined_lines_is_that_of_most_characters() -> None:
    mixed = Page("p", ["a" * 60, "b" * 30, "c" * 40], labels=["body", "quote", "quote"], extra={"doubt": [0]})
    made = joined(mixed)
    assert made.labels == ["quote"]
    assert made.extra["doubt"] == [0]


def test_a_page_without_such_lines_is_left_alone() -> None:
    one = page()
    assert joined(one) is one


def test_empty_paragraphs_and_long_words_are_kept() -> None:
    cut = wrapped(Page("p", ["", "x" * 200, " "], labels=["promo", "body", "promo"]), 45)
    assert cut.paragraphs == ["", "x" * 200, " "]


def test_a_share_of_the_pages_is_wrapped_by_the_seed() -> None:
    pages = [page(str(i)) for i in range(200)]
    cut = as_read(pages, join=False, wrap=0.25, seed=3)
    changed = [len(one.paragraphs) > 3 for one in cut]
    assert 0.15 < np.mean(changed) < 0.35
    assert [one.paragraphs for one in as_read(pages, join=False, wrap=0.25, seed=3)] == [one.paragraphs for one in cut]
    assert [len(one.paragraphs) > 3 for one in as_read(pages, join=False, wrap=0.25, seed=4)] != changed
    assert [one.paragraphs for one in as_read(pages, join=True)] == [one.paragraphs for one in pages]
