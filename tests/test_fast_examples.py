"""Training batches of the fast model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages, toy_views

pytest.importorskip("torch")


from pagelabel.data.page import Page
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.fast_examples import Noise, Rows, epoch_parts, furniture_runs, learn_words, swapped
from pagelabel.training.pages import load_pages


def test_links_of_a_batch_are_hidden_at_times(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = [*toy_pages(3), *toy_views(toy_pages(1))]
    words = learn_words(pages, replace(config.words, links=True))
    rows = Rows(pages, words, config.labels, 1.0)
    parts = [(row, range(len(row.labels))) for row in rows.rows]

    def known(hide_links: float) -> list[bool]:
        batch = rows.batch(parts, Noise(hide_links=hide_links), np.random.default_rng(0))
        return batch.features[..., -1].any(-1).tolist()

    assert known(0.0) == [True] * 3 + [False] * 2
    assert known(1.0) == [False] * 5
    batch = rows.batch(parts[:1], Noise(), np.random.default_rng(0))
    about = len(rows.rows[0].about)
    assert batch.features[0, about : about + 9, -2].tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_an_epoch_takes_every_page_and_cuts_long_ones(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = [*toy_pages(10), Page("long", ["Menu"] * 2000, labels=["promo"] * 2000)]
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 0.5)
    parts = [part for batch in epoch_parts(rows.rows, config, 0) for part in batch]
    assert {row.group for row, _ in parts} == {page.id for page in pages}
    assert max(len(kept) for _, kept in parts) <= config.optim.page_paragraphs
    again = [part for batch in epoch_parts(rows.rows, config, 0) for part in batch]
    assert [kept for _, kept in parts] == [kept for _, kept in again]


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


def test_targets_are_those_of_the_teacher_where_it_gave_any(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    page = Page("a", ["One", "Two"], labels=["body", "promo"], extra={"doubt": [1]})
    soft = Page("b", ["One"], labels=["body"], extra={"probabilities": [[0.6, 0.4, 0, 0, 0]], "weights": [0.6]})
    words = learn_words([page, soft], config.words)
    hard_row, soft_row = Rows([page, soft], words, config.labels, 0.5).rows
    assert hard_row.targets.tolist() == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    assert hard_row.weights.tolist() == [1.0, 0.5]
    assert soft_row.targets[0].tolist() == pytest.approx([0.6, 0.4, 0, 0, 0])
    assert soft_row.weights.tolist() == pytest.approx([0.6])
