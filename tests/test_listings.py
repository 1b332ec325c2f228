"""Index pages made of articles."""

import pytest

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.listings import Card, card_of, listing_pages

_PROSE = [f"The council met for the {n} time this year and spoke about the bridge for two hours." for n in "abcd"]


def article(name: str) -> Page:
    texts = ["Home", "Sports", f"Bridge {name} opens again", "By A. Reporter", *_PROSE, "Privacy"]
    return Page(name, texts, labels=["promo", "promo", *["body"] * 6, "promo"])


def test_a_card_shows_headline_and_prose() -> None:
    assert card_of(article("x")) == Card("Bridge x opens again", tuple(_PROSE[:3]))
    assert card_of(Page("menu", ["Home"], labels=["promo"])) is None
    assert card_of(Page("short", ["A headline of five words", "Gone."], labels=["body", "body"])) is None


def test_listing_pages_are_cards_between_furniture() -> None:
    pages = [article(str(i)) for i in range(9)]
    made = listing_pages(pages, 40, 3, LABELS)
    assert len({page.id for page in made}) == 40
    headlines = {f"Bridge {i} opens again" for i in range(9)}
    for page in made:
        assert page.labels is not None
        assert set(page.labels) <= {"teaser", "promo"}
        shown = [t for t, label in zip(page.paragraphs, page.labels, strict=True) if label == "teaser"]
        assert len(headlines & set(shown)) >= 3
        assert [t for t, label in zip(page.paragraphs, page.labels, strict=True) if label == "promo"] in (
            [],
            ["Home", "Sports", "Privacy"],
        )
    assert {page.labels[0] for page in made if page.labels} == {"teaser", "promo"}
    assert made == listing_pages(pages, 40, 3, LABELS)
    assert made != listing_pages(pages, 40, 4, LABELS)


def test_views_and_pages_labelled_by_a_model_are_not_shown() -> None:
    view, pseudo = article("view"), article("pseudo")
    view.extra["view"] = "some extractor"
    pseudo.extra["probabilities"] = []
    made = listing_pages([view, pseudo, article("1"), article("2")], 20, 1, LABELS)
    assert not any("view" in text or "pseudo" in text for page in made for text in page.paragraphs)


def test_it_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="teaser and promo"):
        listing_pages([article("1"), article("2")], 1, 1, ("keep", "drop"))
    with pytest.raises(ValueError, match="fewer than two"):
        listing_pages([article("1")], 1, 1, LABELS)
