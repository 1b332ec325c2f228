import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.training.augment import augmented, only_furniture, runs, strip_furniture
from pagelabel.training.config import AugmentConfig

ARTICLE = frozenset({0, 1})
pages = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(pages, st.integers(0, 1000))
def test_what_is_kept_is_a_part_of_the_page_in_order_and_never_none(labels: list[int], seed: int) -> None:
    config = AugmentConfig(crop=0.3, strip_furniture=0.4, only_furniture=0.3)
    kept = augmented(labels, ARTICLE, config, np.random.default_rng(seed))
    assert kept
    assert kept == sorted(set(kept))
    assert 0 <= kept[0] <= kept[-1] < len(labels)


@given(pages, st.integers(0, 1000))
def test_stripping_furniture_keeps_the_whole_article(labels: list[int], seed: int) -> None:
    kept = strip_furniture(labels, ARTICLE, np.random.default_rng(seed))
    assert {i for i, label in enumerate(labels) if label in ARTICLE} <= set(kept)


@given(pages, st.integers(0, 1000))
def test_furniture_alone_is_one_run_of_one_label(labels: list[int], seed: int) -> None:
    kept = only_furniture(labels, ARTICLE, np.random.default_rng(seed))
    assert len({labels[i] for i in kept}) <= 1
    assert not {labels[i] for i in kept} & ARTICLE
    if set(labels) <= ARTICLE:
        assert kept == []


def test_without_shares_a_page_stays_whole() -> None:
    config = AugmentConfig(crop=0.0, strip_furniture=0.0, only_furniture=0.0)
    assert augmented([2, 0, 0, 3, 4], ARTICLE, config, np.random.default_rng(0)) == [0, 1, 2, 3, 4]


def test_runs() -> None:
    assert runs([2, 2, 0, 2]) == [[0, 1], [2], [3]]
