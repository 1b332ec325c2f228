"""Scores against scikit-learn and against numbers worked out by hand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.metrics import calibration, coverage_curve, drop_doubt, score, score_by

PAIRS = st.lists(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), max_size=8), min_size=1, max_size=6
).filter(any)


def page(page_id, labels, scores=None, paragraphs=None, **extra):
    return Page(page_id, paragraphs or ["some words"] * len(labels), None, list(labels), scores, extra)


def paired(pairs):
    gold = [page(f"p{i}", [g for g, _ in rows]) for i, rows in enumerate(pairs)]
    given_ = [page(f"p{i}", [p for _, p in rows]) for i, rows in enumerate(pairs)]
    return gold, given_


def two_pages():
    gold = [
        page("a", ["body", "quote", "promo"], paragraphs=["one two three", "four five", "six"]),
        page("b", ["body", "teaser"], paragraphs=["one", "two three four"]),
    ]
    given_ = [
        page("a", ["body", "body", "promo"], [0.9, 0.6, 0.8], gold[0].paragraphs),
        page("b", ["promo", "teaser"], [0.5, 1.0], gold[1].paragraphs),
    ]
    return gold, given_


def test_report_by_hand():
    report = score(*two_pages(), LABELS)
    assert (report.pages, report.paragraphs, report.resampled) == (2, 5, 2)
    assert report.accuracy == pytest.approx(3 / 5)
    assert [s.f1 for s in report.labels] == pytest.approx([1 / 2, 0, 2 / 3, 1, 0])
    assert [s.support for s in report.labels] == [2, 1, 1, 1, 0]
    assert report.macro_labels == ("body", "quote", "promo", "teaser")
    assert report.macro_f1 == pytest.approx((1 / 2 + 0 + 2 / 3 + 1) / 4)
    assert report.confusion[0] == (1, 0, 1, 0, 0)
    assert report.confusion[1] == (1, 0, 0, 0, 0)


def test_article_counts_words_and_forgives_body_for_quote():
    article = score(*two_pages(), LABELS).article
    assert article.labels == ("body", "quote")
    assert article.words == 6
    assert article.precision == 1
    assert article.recall == pytest.approx(5 / 6)
    assert article.f1 == pytest.approx(10 / 11)


@pytest.mark.parametrize(("gold", "given_", "f1"), [("body", "body", 1), ("promo", "promo", 0), ("body", "promo", 0)])
def test_article_of_one_kind_only(gold, given_, f1):
    assert score([page("a", [gold])], [page("a", [given_])], LABELS).article.f1 == f1


def test_no_article_without_its_labels():
    report = score([page("a", ["x", "y"])], [page("a", ["x", "x"])], ("x", "y"))
    assert report.article is None
    assert score([page("a", ["x", "y"])], [page("a", ["x", "x"])], ("x", "y"), article=("x",)).article.recall == 1


@settings(deadline=None, max_examples=50)
@given(PAIRS)
def test_macro_f1_is_sklearns_over_the_labels_in_gold(pairs):
    gold, given_ = paired(pairs)
    report = score(gold, given_, LABELS, resamples=20)
    truth = [g for rows in pairs for g, _ in rows]
    guess = [p for rows in pairs for _, p in rows]
    present = sorted(set(truth))
    assert report.macro_f1 == pytest.approx(f1_score(truth, guess, labels=present, average="macro", zero_division=0))
    assert sorted(report.macro_labels) == present
    assert sum(map(sum, report.confusion)) == len(truth)
    low, high = report.macro_interval
    assert 0 <= low <= high <= 1


@settings(deadline=None, max_examples=50)
@given(PAIRS, st.integers(0, 5))
def test_interval_is_the_bootstrap_over_pages(pairs, seed):
    pairs = [rows for rows in pairs if rows]
    gold, given_ = paired(pairs)
    rng = np.random.default_rng(seed)
    macro = []
    for _ in range(10):
        drawn = [pairs[i] for i in rng.integers(len(pairs), size=len(pairs))]
        truth = [g for rows in drawn for g, _ in rows]
        guess = [p for rows in drawn for _, p in rows]
        macro.append(f1_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0))
    found = score(gold, given_, LABELS, resamples=10, seed=seed).macro_interval
    assert found == pytest.approx(tuple(np.quantile(macro, [0.025, 0.975])))


def test_views_of_a_page_are_resampled_together():
    gold = [page(f"p#{v}", ["body", "promo"], page="p") for v in range(3)]
    given_ = [page(f"p#{v}", [guess, "promo"]) for v, guess in enumerate(["body", "promo", "promo"])]
    report = score(gold, given_, LABELS)
    assert (report.pages, report.resampled) == (3, 1)
    assert report.macro_interval == pytest.approx((report.macro_f1, report.macro_f1))


def test_interval_is_wider_for_fewer_pages_and_the_seed_decides_it():
    rng = np.random.default_rng(0)
    rows = [[(LABELS[g], LABELS[g if rng.random() < 0.7 else 0]) for g in rng.integers(5, size=10)] for _ in range(200)]
    many = score(*paired(rows), LABELS)
    few = score(*paired(rows[:20]), LABELS)
    width = [high - low for low, high in (many.macro_interval, few.macro_interval)]
    assert width[0] < width[1]
    assert many.macro_interval[0] < many.macro_f1 < many.macro_interval[1]
    assert score(*paired(rows), LABELS, seed=0).macro_interval == many.macro_interval
    assert score(*paired(rows), LABELS, seed=1).macro_interval != many.macro_interval


def test_a_thousand_resamples_of_a_thousand_pages_are_quick():
    gold, given_ = paired([[("body", "body"), ("promo", "teaser")]] * 1000)
    start = time.process_time()
    score(gold, given_, LABELS)
    assert time.process_time() - start < 5


def test_label_that_only_predictions_have():
    report = score([page("a", ["body", "body"])], [page("a", ["body", "donation"])], LABELS)
    assert report.macro_labels == ("body",)
    assert report.macro_f1 == pytest.approx(2 / 3)


def test_calibration_by_hand():
    found = calibration(np.array([0.0, 0.2, 0.25, 1.0]), np.array([True, False, True, True]), bins=5)
    assert [b.count for b in found.bins] == [2, 1, 0, 0, 1]
    assert found.bins[0].accuracy == pytest.approx(0.5)
    assert found.bins[0].mean_score == pytest.approx(0.1)
    assert (found.bins[2].accuracy, found.bins[2].mean_score) == (None, None)
    assert found.error == pytest.approx((2 * 0.4 + 0.75 + 0) / 4)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_calibration_bins_hold_their_scores(rows):
    scores = np.array([s for s, _ in rows])
    found = calibration(scores, np.array([r for _, r in rows]))
    assert len(found.bins) == 15
    assert sum(b.count for b in found.bins) == len(rows)
    assert 0 <= found.error <= 1
    assert (found.bins[0].low, found.bins[-1].high) == (0, 1)
    for b in found.bins:
        assert b.count == np.sum((scores > b.low) & (scores <= b.high)) + (b.low == 0) * np.sum(scores == 0)
        # Denormal scores underflow in the mean, so the bin's edge is compared with a margin.
        assert b.mean_score is None or b.low - 1e-12 <= b.mean_score <= b.high + 1e-12


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1), st.integers(1, 50))
def test_calibration_error_of_one_score(value, count):
    right = np.arange(count) % 2 == 0
    assert calibration(np.full(count, value), right).error == pytest.approx(abs(value - right.mean()))


def test_empty_pages_count_as_pages_only():
    gold, given_ = two_pages()
    report = score([*gold, Page("empty", [])], [*given_, Page("empty", [])], LABELS)
    assert (report.pages, report.paragraphs, report.resampled) == (3, 5, 2)
    assert report.macro_interval == score(gold, given_, LABELS).macro_interval


@pytest.mark.parametrize(
    ("gold", "given_", "message"),
    [
        ([page("a", ["body"])], [page("a", ["body", "body"])], "page 'a' has 1 paragraphs, its labelled form 2"),
        ([page("a", ["body"])], [page("b", ["body"])], "page 'a' was paired with the labels of page 'b'"),
        ([page("a", ["body"]), page("b", ["body"])], [page("a", ["body"])], "page 'b' has no partner"),
        ([Page("a", ["x"])], [page("a", ["body"])], "page 'a' has no gold labels"),
        ([page("a", ["body"])], [Page("a", ["x"])], "page 'a' has no given labels"),
        ([page("a", ["advert"])], [page("a", ["body"])], "page 'a', paragraph 0: gold label 'advert' is none of body"),
        ([page("a", ["body"])], [page("a", ["advert"])], "page 'a', paragraph 0: given label 'advert'"),
        ([page("a", ["body"])], [Page("a", ["x"], None, [])], "page 'a' has 0 given labels for 1 paragraphs"),
        ([page("a", ["body"])], [page("a", ["body"], [1.5])], "page 'a': expected 1 scores from 0 to 1"),
        ([page("a", ["body"])], [page("a", ["body"], [float("nan")])], "page 'a': expected 1 scores"),
        (two_pages()[0], [two_pages()[1][0], two_pages()[0][1]], "page 'b' has no scores"),
        ([Page("a", [])], [Page("a", [])], "without a single paragraph"),
        ([], [], "nothing to score: 0 pages"),
    ],
)
def test_errors_name_the_page(gold, given_, message):
    with pytest.raises(ValueError, match=message):
        score(gold, given_, LABELS)


def test_resamples_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        score(*two_pages(), LABELS, resamples=0)


def test_score_by_key():
    gold, given_ = two_pages()
    gold[0].extra["kind"] = "article"
    gold += [page("c", ["body"] * 4, kind="forum"), Page("d", [], extra={"kind": "empty"})]
    given_ += [page("c", ["body"] * 4, [0.9] * 4), Page("d", [])]
    found = score_by(gold, given_, LABELS, "kind")
    assert list(found) == ["forum", "article", "none"]
    assert (found["forum"].paragraphs, found["forum"].macro_f1, found["forum"].accuracy) == (4, 1, 1)
    assert found["none"].f1 == {"body": 0, "quote": None, "promo": None, "teaser": 1, "donation": None}
    with pytest.raises(ValueError, match="page 'd' has no partner"):
        score_by(gold, given_[:-1], LABELS, "kind")


def test_coverage_curve():
    rows = coverage_curve(*two_pages(), [0, 0.55, 0.7, 1.01])
    assert [row.coverage for row in rows] == pytest.approx([1, 0.8, 0.6, 0])
    assert [row.accuracy for row in rows] == pytest.approx([0.6, 0.75, 1, None])
    assert [row.labels for row in rows] == [4, 4, 3, 0]
    assert rows[0].macro_f1 == pytest.approx(score(*two_pages(), LABELS).macro_f1)
    assert (rows[2].macro_f1, rows[3].macro_f1) == (1, None)
    gold, _ = two_pages()
    with pytest.raises(ValueError, match="needs scores"):
        coverage_curve(gold, gold, [0.5])


def test_drop_doubt():
    gold, given_ = two_pages()
    gold[0].extra.update(doubt=[1], link=[0, 0, 0], kind="article")
    kept, labelled = drop_doubt(gold, given_)
    assert kept[0].labels == ["body", "promo"]
    assert kept[0].extra == {"kind": "article"}
    assert labelled[0].scores == [0.9, 0.8]
    assert labelled[1] == given_[1]
    assert gold[0].labels == ["body", "quote", "promo"]
    assert score(kept, labelled, LABELS).paragraphs == 4


@pytest.mark.parametrize("doubt", [[3], [-1], ["1"], [[0]], 2])
def test_drop_doubt_outside_the_page(doubt):
    gold, given_ = two_pages()
    gold[0].extra["doubt"] = doubt
    with pytest.raises(ValueError, match="page 'a': 'doubt' should be a list of indexes within its 3"):
        drop_doubt(gold, given_)


@given(PAIRS)
def test_confusion_is_that_of_scikit_learn(pairs):
    gold, given_ = ([row[i] for rows in pairs for row in rows] for i in range(2))
    expected = confusion_matrix(gold, given_, labels=LABELS)
    assert np.array_equal(score(*paired(pairs), LABELS, resamples=1).confusion, expected)


def test_a_single_label_makes_no_warning():
    gold, given_ = [page("a", ["promo"] * 3)], [page("a", ["promo"] * 3, [0.9, 0.8, 0.6])]
    assert score(gold, given_, ("promo",)).confusion == ((3,),)
    assert [row.macro_f1 for row in coverage_curve(gold, given_, [0, 0.7, 0.95])] == [1, 1, None]
