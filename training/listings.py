"""Index pages made of other pages' articles: headline and summary of each, one card below another, all `teaser`.

Of labelled pages, few are index pages, and a model that has seen few takes a list of summaries, as an extractor leaves
it without the menus, for an article. That its paragraphs tell of many things is what gives it away, so that is what
these pages teach; the card's trimmings change from page to page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.model.features import is_prose

_HEADLINE_WORDS = range(3, 21)
_PROSE_PARAGRAPHS = 3
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_NAMES = (
    "Ada Brandt",
    "Tom Okafor",
    "L. Moreau",
    "Priya Nair",
    "jkent",
    "Sam Ortega",
    "editor",
    "M. Halvorsen",
    "rosa",
)
_SECTIONS = ("News", "Opinion", "Sports", "Business", "Local", "World", "Features", "Health", "Books")
_HEADINGS = (
    "Latest",
    "Latest news",
    "Recent posts",
    "Top stories",
    "From the archive",
    "Blog",
    "All stories",
    "Updates",
)
_CLOSERS = ("Read more", "Continue reading →", "Full story", "Read more »", "[Read more…]", "More", "Keep reading")

Draw = Callable[[], str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Card:
    """What a list may show of an article: its headline and its first prose paragraphs."""

    headline: str
    prose: tuple[str, ...]


def card_of(page: Page) -> Card | None:
    """None where the page has no headline or no prose to show."""
    article = [t for t, label in zip(page.paragraphs, page.labels or (), strict=True) if label in ARTICLE_LABELS]
    prose = [text for text in article if is_prose(text, len(text.split()))]
    headline = next((text for text in article[:3] if len(text.split()) in _HEADLINE_WORDS), None)
    if headline is None or len(prose) < _PROSE_PARAGRAPHS:
        return None
    return Card(headline, tuple(prose[:_PROSE_PARAGRAPHS]))


def listing_pages(pages: Sequence[Page], count: int, seed: int, labels: Sequence[str]) -> list[Page]:
    """`count` index pages made of `pages` (views and pages that a model labelled are left out). Raises ValueError where
    the labels have no `teaser` and `promo`, or fewer than two pages can be shown on a card."""
    if not {"teaser", "promo"} <= set(labels):
        raise ValueError(f"augment.listings needs the labels teaser and promo, the config has {list(labels)}")
    hosts = [page for page in pages if "view" not in page.extra and "probabilities" not in page.extra]
    cards = [card for card in map(card_of, hosts) if card is not None]
    if len(cards) < 2:
        raise ValueError("augment.listings needs training pages with a headline and prose, there are fewer than two")
    rng = np.random.default_rng((seed, 7))
    return [_listing(f"listing-{i}", cards, hosts, rng) for i in range(count)]


def _listing(name: str, cards: Sequence[Card], hosts: Sequence[Page], rng: np.random.Generator) -> Page:
    texts: list[str] = []
    if rng.random() < 0.4:
        texts.append(_pick(_HEADINGS, rng))
    size = min(len(cards), int(rng.integers(3, 25)))
    show = _style(rng)
    for i in rng.choice(len(cards), size, replace=False):
        texts += show(cards[i])
    before, after = _furniture(hosts[int(rng.integers(len(hosts)))]) if rng.random() < 0.6 else ([], [])
    labels = ["promo"] * len(before) + ["teaser"] * len(texts) + ["promo"] * len(after)
    url, title = _about(str(_pick(hosts, rng).extra.get("site") or "example.com"), rng)
    return Page(name, [*before, *texts, *after], url, labels, extra={"title": title})


def _about(site: str, rng: np.random.Generator) -> tuple[str, str]:
    """Address and title of an index page of this site."""
    name, section = site.split(".")[0].title(), _pick(_SECTIONS, rng)
    return _pick(
        (
            (f"https://{site}/", name),
            (f"https://{site}/", f"{name} | {section}, {_pick(_SECTIONS, rng)} and more"),
            (f"https://{site}/", f"Welcome to {name}"),
            (f"https://{site}/{section.lower()}/", f"{section} - {name}"),
            (f"https://{site}/category/{section.lower()}/page/{rng.integers(2, 30)}", f"{section} Archives – {name}"),
            (f"https://{site}/blog", f"Blog | {name}"),
            (f"https://{site}/tag/{section.lower()}", f"Posts tagged {section.lower()}"),
            (f"https://{site}/search?q={section.lower()}", f"Search results for {section.lower()} | {name}"),
        ),
        rng,
    )


def _style(rng: np.random.Generator) -> Callable[[Card], list[str]]:
    """How one page shows its cards."""
    meta, closer = _meta(rng), _closer(rng)
    meta_place = int(rng.integers(3))
    paragraphs = int(rng.choice([0, 1, 1, 1, 2, 3]))
    cut = int(rng.integers(4))

    def show(card: Card) -> list[str]:
        summary = [_shortened(text, cut, rng) for text in card.prose[:paragraphs]]
        parts = [[card.headline], summary]
        parts.insert(meta_place, meta())
        return [text for part in [*parts, closer()] for text in part]

    return show


def _meta(rng: np.random.Generator) -> Callable[[], list[str]]:
    def date() -> str:
        return f"{_pick(_MONTHS, rng)} {rng.integers(1, 29)}, {rng.integers(2005, 2027)}"

    forms: tuple[Draw | None, ...] = (
        None,
        date,
        lambda: f"By {_pick(_NAMES, rng)} | {date()}",
        lambda: f"{_pick(_SECTIONS, rng)} / {date()}",
        lambda: f"{_pick(_SECTIONS, rng)} · {rng.integers(1, 23)} hours ago",
        lambda: f"Posted by {_pick(_NAMES, rng)} on {date()}",
    )
    return _line(forms, rng)


def _closer(rng: np.random.Generator) -> Callable[[], list[str]]:
    words = _pick(_CLOSERS, rng)
    forms: tuple[Draw | None, ...] = (
        None,
        lambda: words,
        lambda: f"{rng.integers(0, 90)} comments",
        lambda: f"{words} | Comment",
    )
    return _line(forms, rng)


def _line(forms: Sequence[Draw | None], rng: np.random.Generator) -> Callable[[], list[str]]:
    form = forms[int(rng.integers(len(forms)))]
    return lambda: [] if form is None else [form()]


def _shortened(text: str, cut: int, rng: np.random.Generator) -> str:
    words = text.split()
    if cut == 0 or len(words) < 12:
        return text
    if cut == 1:
        return text.split(". ")[0].rstrip(".") + "."
    return " ".join(words[: int(rng.integers(10, 45))]) + (" […]" if cut == 2 else "...")


def _furniture(page: Page) -> tuple[list[str], list[str]]:
    """The promo paragraphs before and behind the page's article."""
    pairs = list(zip(page.paragraphs, page.labels or (), strict=True))
    places = [i for i, (_, label) in enumerate(pairs) if label in ARTICLE_LABELS]
    first, last = (places[0], places[-1]) if places else (len(pairs), len(pairs))
    before = [text for text, label in pairs[:first] if label == "promo"]
    return before, [text for text, label in pairs[last + 1 :] if label == "promo"]


def _pick(choices: Sequence[T], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]
