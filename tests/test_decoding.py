import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagelabel.model.decoding import best_path

Matrix = npt.NDArray[np.float64]


def total(path: tuple[int, ...] | list[int], scores: Matrix, transitions: Matrix) -> float:
    steps = sum(transitions[a, b] for a, b in itertools.pairwise(path))
    return float(sum(scores[i, label] for i, label in enumerate(path)) + steps)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.floats(0, 3), st.floats(0, 0.4))
def test_no_other_sequence_scores_more(seed: int, count: int, strength: float, forbidden: float) -> None:
    rng = np.random.default_rng(seed)
    scores, transitions = 4 * rng.normal(size=(count, 3)), strength * rng.normal(size=(3, 3))
    scores[:, 1:][rng.random((count, 2)) < forbidden] = -np.inf
    every = itertools.product(range(3), repeat=count)
    best = max(total(path, scores, transitions) for path in every)
    assert total(best_path(scores, transitions).tolist(), scores, transitions) == pytest.approx(best)


def test_without_transitions_each_has_its_best_label() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 5))
    assert (best_path(scores, np.zeros((5, 5))) == scores.argmax(axis=1)).all()
    assert best_path(np.empty((0, 5)), np.ones((5, 5))).tolist() == []


def test_a_doubtful_paragraph_goes_with_its_neighbours_and_a_sure_one_does_not() -> None:
    transitions = np.array([[0.5, -0.5], [-0.5, 0.5]])
    scores = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.9, 0.1], [0.001, 0.999]]))
    assert best_path(scores, transitions).tolist() == [0, 0, 0, 0, 1]


def test_a_page_of_a_hundred_thousand_paragraphs_is_decided_whole() -> None:
    scores = np.random.default_rng(1).normal(size=(100_000, 5))
    transitions = np.eye(5) * 1.5
    path = best_path(scores, transitions)
    changes = np.count_nonzero(np.diff(path))
    assert changes < 0.75 * np.count_nonzero(np.diff(scores.argmax(axis=1)))
