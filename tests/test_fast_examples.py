"""Training batches of the fast model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages, toy_views

pytest.importorskip("torch")


from pagelabel.data.page import Page
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.fast_examples import Noise, Part, Rows, learn_words


def test_links_of_a_batch_are_hidden_at_times(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = [*toy_pages(3), *toy_views(toy_pages(1))]
    words = learn_words(pages, replace(config.words, links=True))
    rows = Rows(pages, words, config.labels, 1.0)
    parts = [Part.whole(row) for row in rows.rows]

    def known(hide_links: float) -> list[bool]:
        batch = rows.batch(parts, Noise(hide_links=hide_links), np.random.default_rng(0))
        return batch.features[..., -1].any(-1).tolist()

    assert known(0.0) == [True] * 3 + [False] * 2
    assert known(1.0) == [False] * 5
    batch = rows.batch(parts[:1], Noise(), np.random.default_rng(0))
    about = len(rows.rows[0].about)
    assert batch.features[0, about : about + 9, -2].tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_features_of_a_part_are_those_of_all_that_is_kept_of_its_page(fast_config: Path) -> None:
    config = load_fast_config(fast_config)
    pages = toy_pages(2)
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 1.0)
    row = rows.rows[0]
    kept = [i for i in range(len(row.labels)) if i != 1]
    about = len(row.about)
    whole = rows.batch([Part(row, kept, 0, len(kept))], Noise(), np.random.default_rng(0))
    part = rows.batch([Part(row, kept, 2, 5)], Noise(), np.random.default_rng(0))
    assert (part.features[0, about : about + 3] == whole.features[0, about + 2 : about + 5]).all()
    assert (part.targets[0, about : about + 3] == whole.targets[0, about + 2 : about + 5]).all()
    assert part.mask.sum() == about + 3


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
    for wrong in ([[0.6, 0.4]], [[1, 0, 0, 0, 0]] * 2, "soft", [None]):
        soft.extra["probabilities"] = wrong
        with pytest.raises(ValueError, match="page 'b': 'probabilities' should be 1 lists of 5 numbers"):
            Rows([soft], words, config.labels, 0.5)
