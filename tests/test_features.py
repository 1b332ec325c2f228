import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.model.features import _QUOTE, FEATURE_NAMES, page_features, quoted_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("“We did it,” she said.", 3 / 5),
        ('"We did it," she said.', 3 / 5),
        ("« Nous y voilà », dit-il.", 3 / 6),
        ("„Wir sind da“, sagte er.", 3 / 5),
        ("‘It’s fine,’ he said.", 2 / 4),
        ("'It's fine,' he said.", 2 / 4),
        ("“This goes on in the next paragraph.", 1.0),
        ("The boys' hats and the dogs' tails", 0.0),
        ("It’s the mayor’s 1990s’ hat", 0.0),
        ('A 12" pipe in the wall', 0.0),
        ("rock 'n roll", 0.0),
        ("", 0.0),
        ("No marks at all", 0.0),
    ],
)
def test_quoted_share_counts_words_inside_quotation_marks(text: str, share: float) -> None:
    assert quoted_share(text) == pytest.approx(share)


def test_features_see_the_whole_paragraph_and_its_place() -> None:
    prose = "The council met on Monday and voted to close the old bridge for a year while it is repaired."
    rows = page_features(["Menu", prose, "MENU 24", "Menu"])
    column = {name: rows[:, i] for i, name in enumerate(FEATURE_NAMES)}
    assert column["repeated"].tolist() == [1, 0, 0, 1]
    assert column["upper"][2] == 1.0
    assert column["stop"].tolist() == [0, 1, 0, 0]
    assert column["prose_after"][0] > 0
    assert column["prose_before"][0] == 0
    assert column["prose_before"][3] > 0
    assert column["since_prose"][0] == 1.0
    assert column["until_prose"][3] == 1.0
    assert column["since_prose"][2] < column["since_prose"][3] < 1.0
    assert column["position"].tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875])


@given(st.lists(st.text(max_size=80), max_size=20))
def test_features_of_any_text_are_numbers_from_0_to_1(paragraphs: list[str]) -> None:
    rows = page_features(paragraphs)
    assert rows.shape == (len(paragraphs), len(FEATURE_NAMES))
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert ((rows >= 0) & (rows <= 1)).all()


# Letters, digits and spaces of several scripts, some of which are asked one by one, and marks.
_TEXT = st.text(st.sampled_from("aZßÉж٣²4 .\t\n\x1c\u2003\u3000\xa0'\"“”‘’«»„漢Ａ𝐀Ⓐ\ud800\0"), max_size=60)


@given(st.lists(_TEXT, min_size=1, max_size=8))
def test_counts_of_many_texts_are_those_of_each(texts: list[str]) -> None:
    column = dict(zip(FEATURE_NAMES, page_features(texts).T, strict=True))
    for i, text in enumerate(texts):
        words = text.split()
        expected = {
            "words": min(1, math.log2(1 + len(words)) / 8),
            "capitalised": sum(word[0].isupper() for word in words) / max(1, len(words)),
            "upper": min(1, sum(map(str.isupper, text)) / max(1, sum(map(str.isalpha, text)))),
            "digits": sum(map(str.isdigit, text)) / max(1, len(text)),
            "quoted": quoted_share(text),
            "repeated": float(texts.count(text) > 1),
        }
        assert {name: float(column[name][i]) for name in expected} == pytest.approx(expected, abs=1e-6)


def test_many_long_texts_are_counted_in_blocks() -> None:
    texts = [f"{i} " + "Word word “word” " * 2000 for i in range(60)]
    rows = page_features(texts)
    assert rows[:, FEATURE_NAMES.index("capitalised")] == pytest.approx(1 / 3, abs=1e-3)
    assert rows[0, :8] == pytest.approx(page_features(texts[:1])[0, :8])


@given(_TEXT)
def test_quotes_are_found_from_mark_to_mark(text: str) -> None:
    inside = sum(len(match.group().strip("“”„«»\"‘’'").split()) for match in _QUOTE.finditer(text))
    assert quoted_share(text) == pytest.approx(min(1.0, inside / max(1, len(text.split()))))


@pytest.mark.parametrize("text", ["'a " * 40_000, "“" * 200_000, '"x ' * 50_000, "‘b " * 40_000, "w " * 500_000])
def test_hostile_text_takes_bounded_time(text: str) -> None:
    start = time.perf_counter()
    page_features([text])
    assert time.perf_counter() - start < 5
