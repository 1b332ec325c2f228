import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.training.augment import augmented, crop, only_furniture, runs, strip_furniture
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


@given(st.integers(2, 80), st.integers(0, 1000))
def test_a_crop_is_consecutive_and_less_than_the_page(size: int, seed: int) -> None:
    kept = crop(list(range(size)), np.random.default_rng(seed))
    assert 1 <= len(kept) < size
    assert kept == list(range(kept[0], kept[0] + len(kept)))


def test_stripping_takes_most_of_the_furniture() -> None:
    labels = [2, 3, 0, 2, 0, 3, 4, 2, 1, 3] * 10
    rng = np.random.default_rng(0)
    kept = [i for _ in range(50) for i in strip_furniture(labels, ARTICLE, rng)]
    furniture = sum(labels[i] not in ARTICLE for i in kept) / (50 * sum(label not in ARTICLE for label in labels))
    assert 0 < furniture < 0.5


def test_rare_furniture_is_drawn_as_often_as_common_furniture() -> None:
    labels = [2, 0] * 20 + [4]
    rng = np.random.default_rng(0)
    drawn = [labels[only_furniture(labels, ARTICLE, rng)[0]] for _ in range(400)]
    assert 0.4 < drawn.count(4) / len(drawn) < 0.6


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 1000))
def test_a_page_of_a_few_paragraphs_stays_whole(labels: list[int], seed: int) -> None:
    config = AugmentConfig(crop=0.5, strip_furniture=0.3, only_furniture=0.2)
    assert augmented(labels, ARTICLE, config, np.random.default_rng(seed)) == list(range(len(labels)))
