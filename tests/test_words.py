import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.model.words import EMPTY, PACKED_PARAGRAPHS, WordConfig, Words, packed


@pytest.fixture
def words() -> Words:
    return Words(["council", "the", "voted"], WordConfig(head_words=4, tail_words=2, buckets=16))


def test_words_have_ids_whatever_their_case(words: Words) -> None:
    assert words.ids("The COUNCIL voted") == [2, 1, 3]


def test_unknown_words_with_the_same_ending_share_an_id(words: Words) -> None:
    swimming, running, bridge = (words.ids(word)[0] for word in ("swimming", "running", "bridge"))
    assert swimming == running != bridge
    assert min(swimming, bridge) > len(words.vocabulary)


def test_numbers_share_ids_by_length(words: Words) -> None:
    assert words.ids("2026") == words.ids("1999") != words.ids("7")
    assert words.ids("1234567890") == words.ids("123456")


def test_a_paragraph_without_words_has_one(words: Words) -> None:
    assert words.ids("") == words.ids(" \n") == [EMPTY]


def test_a_long_paragraph_is_its_head_and_tail(words: Words) -> None:
    long = "the the the the " + "voted " * 1000 + "council council"
    assert words.ids(long) == [2, 2, 2, 2, 1, 1]
    assert words.ids("the the the the council voted") == [2, 2, 2, 2, 1, 3]
    assert Words(["the"], WordConfig(head_words=2, tail_words=0)).ids("the " * 99) == [1, 1]


@given(st.text())
def test_any_text_has_ids_in_range(text: str) -> None:
    words = Words(["a", "b"], WordConfig(head_words=3, tail_words=2, buckets=8))
    ids = words.ids(text)
    assert 1 <= len(ids) <= 5
    assert all(0 <= i < words.size for i in ids)


@given(st.integers(0, 500), st.integers(1, 60), st.integers(0, 20))
def test_every_paragraph_is_read_in_one_window(total: int, core: int, context: int) -> None:
    words = Words([], WordConfig(window_paragraphs=core + 2 * context, context_paragraphs=context))
    read = []
    for first, start, stop, end in words.spans(total):
        assert first <= start < stop <= end <= total
        assert end - first <= core + 3 * context
        assert start - first >= min(context, start)
        assert end - stop >= min(context, total - stop)
        read += range(start, stop)
    assert read == list(range(total))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30)))
def test_packed_paragraphs_have_all_their_words(pieces: list[list[int]]) -> None:
    found: dict[int, list[int]] = {}
    for rows, words, places in packed(pieces):
        assert places.shape[0] == len(rows)
        assert len(set(words.tolist())) == len(words)
        for row, place in zip(rows.tolist(), places, strict=True):
            filled = place[place > 0]
            assert (place[len(filled) :] == 0).all()
            found[row] = words[filled - 1].tolist()
    assert [found[i] for i in range(len(pieces))] == pieces


@pytest.mark.parametrize(
    "values",
    [{"head_words": 0}, {"tail_words": -1}, {"buckets": 0}, {"window_paragraphs": 20, "context_paragraphs": 10}],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="_"):
        WordConfig(**values)


def test_settings_survive_a_round_trip() -> None:
    config = WordConfig(head_words=9)
    assert WordConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="head_words"):
        WordConfig.from_dict({"head_words": 9})


def test_a_word_may_stand_once_only() -> None:
    with pytest.raises(ValueError, match="twice"):
        Words(["a", "a"], WordConfig())


def test_a_long_page_is_read_in_parts_of_bounded_size() -> None:
    pieces = [[1 + i % 7] * (1 + i % 3) for i in range(3 * PACKED_PARAGRAPHS + 5)]
    parts = packed(pieces)
    assert max(len(rows) for rows, _, _ in parts) == PACKED_PARAGRAPHS
    assert sorted(np.concatenate([rows for rows, _, _ in parts]).tolist()) == list(range(len(pieces)))
    for rows, words, places in parts:
        given = [[int(words[p - 1]) for p in line if p] for line in places]
        assert given == [pieces[i] for i in rows]
