"""The parts of pages that an epoch of the fast model reads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages

pytest.importorskip("torch")


from pagelabel.data.page import Page
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.fast_examples import Rows, learn_words
from pagelabel.training.fast_parts import epoch_parts, furniture_runs, swapped
from pagelabel.training.pages import load_pages


def test_an_epoch_takes_every_page_and_cuts_long_ones(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = [*toy_pages(10), Page("long", ["Menu"] * 2000, labels=["promo"] * 2000)]
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 0.5)
    parts = [part for batch in epoch_parts(rows.rows, config, 0) for part in batch]
    assert {part.row.group for part in parts} == {page.id for page in pages}
    assert max(part.size for part in parts) <= config.optim.page_paragraphs
    again = [part for batch in epoch_parts(rows.rows, config, 0) for part in batch]
    assert [part[1:] for part in parts] == [part[1:] for part in again]


def test_furniture_of_other_pages_takes_the_place_of_the_own(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = load_pages(config.data.train, config.labels)
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 1.0)
    row, article = rows.rows[0], frozenset({0, 1})
    donors = furniture_runs(rows.rows[1:], article)
    kept = list(range(len(row.labels)))
    made = swapped(row, kept, donors, 1.0, np.random.default_rng(1))
    own = [text for text, label in zip(row.paragraphs, row.labels, strict=True) if label in article]
    assert [text for text, label in zip(made.paragraphs, made.labels, strict=True) if label in article] == own
    known = {(text, label) for r in rows.rows for text, label in zip(r.paragraphs, r.labels, strict=True)}
    assert set(zip(made.paragraphs, made.labels, strict=True)) <= known
    assert made.paragraphs != row.paragraphs
    assert len(made.paragraphs) == len(made.texts) == len(made.labels) == len(made.targets) == len(made.weights)
    assert swapped(row, kept, donors, 0.0, np.random.default_rng(1)).paragraphs == row.paragraphs


def test_a_page_whose_links_are_known_gets_furniture_whose_links_are_known(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = toy_pages(6)
    plain = [replace(page, id=f"plain-{page.id}", extra={}) for page in pages]
    rows = Rows(pages + plain, learn_words(pages, replace(config.words, links=True)), config.labels, 1.0)
    assert [row.linked for row in rows.rows] == [True] * 6 + [False] * 6
    donors = furniture_runs(rows.rows, frozenset({0, 1}))
    rng = np.random.default_rng(0)
    for _ in range(20):
        made = swapped(rows.rows[0], list(range(len(rows.rows[0].labels))), donors, 1.0, rng)
        assert made.linked
    # Links that are not read are as links that are not known: every page may give to every other.
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 1.0)
    assert not any(row.linked for row in rows.rows)
