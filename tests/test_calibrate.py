import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.export.calibrate import fit_decisions, fit_temperature, fit_thresholds, fit_transitions
from pagelabel.model.bundle import BundleConfig
from pagelabel.model.encoding import EncodingConfig
from pagelabel.model.labels import LABELS

ALLOWED = 0.001


def config(temperature: float = 1.0, labels: tuple[str, ...] = LABELS) -> BundleConfig:
    return BundleConfig(labels, EncodingConfig(), temperature, {}, {}, {})


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 4.0])
def test_the_temperature_of_made_up_logits_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(8_000, 5)) * 2
    gold = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    assert fit_temperature((true * temperature).astype(np.float32), gold) == pytest.approx(temperature, rel=0.05)


def test_logits_of_any_size_have_a_temperature() -> None:
    gold = np.array([0, 1, 1])
    for size in (0.0, 1e30):
        logits = np.array([[size, 0], [0, size], [size, 0]], dtype=np.float32)
        assert 0 < fit_temperature(logits, gold) < 10


def made_up(seed: int, shaky: float = 0.15) -> tuple[npt.NDArray[np.float32], Page]:
    """A page of long article paragraphs and short others; the logits take some of the article for promo."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(LABELS, size=400, p=[0.5, 0.1, 0.2, 0.12, 0.08]).tolist()
    page = Page("a", ["word " * (30 if label in ARTICLE_LABELS else 3) for label in labels], None, labels)
    gold = np.array([LABELS.index(label) for label in labels])
    logits = rng.normal(size=(400, 5)).astype(np.float32)
    logits[np.arange(400), gold] += 3
    wrong = np.flatnonzero((gold == 0) & (rng.random(400) < shaky))
    logits[wrong, 2] = logits[wrong, 0] + 0.3
    return 2 * logits, page


def scores(logits: npt.NDArray[np.float32], page: Page, thresholds: dict[str, float]) -> tuple[float, float]:
    """Macro-F1, and word-weighted F1 of the article, of the labels that a bundle with these thresholds gives."""
    given, _ = BundleConfig(LABELS, EncodingConfig(), 1.0, thresholds, {}, {}).decide(logits)
    gold = page.labels or []
    macro = f1_score(gold, given, average="macro", labels=sorted(set(gold)), zero_division=0)
    article = f1_score(
        [label in ARTICLE_LABELS for label in gold],
        [label in ARTICLE_LABELS for label in given],
        sample_weight=[len(text.split()) for text in page.paragraphs],
    )
    return macro, article


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_thresholds_never_cost_more_than_allowed_and_never_harm_the_article(seed: int, shaky: float) -> None:
    logits, page = made_up(seed, shaky)
    before = scores(logits, page, {})
    after = scores(logits, page, fit_thresholds(config(), [logits], [page]))
    assert after[0] >= before[0] - ALLOWED - 1e-9
    assert after[1] >= before[1] - 1e-9


def test_thresholds_bring_back_an_article_that_the_model_doubts() -> None:
    logits, page = made_up(0)
    thresholds = fit_thresholds(config(), [logits], [page])
    assert set(thresholds) == {"promo", "teaser", "donation"}
    assert scores(logits, page, thresholds)[1] > scores(logits, page, {})[1] + 0.01


def test_where_thresholds_gain_nothing_there_are_none() -> None:
    labels = list(LABELS) * 4
    page = Page("a", ["word"] * len(labels), None, labels)
    logits = 20 * np.eye(5, dtype=np.float32)[[LABELS.index(label) for label in labels]]
    assert fit_thresholds(config(), [logits], [page]) == {}


def test_thresholds_are_of_calibrated_probabilities() -> None:
    logits, page = made_up(0)
    assert fit_thresholds(config(8.0), [logits * 8], [page]) == fit_thresholds(config(), [logits], [page])


def test_thresholds_may_cost_more_where_labels_do_harm_behind_an_extractor() -> None:
    doubt = np.array([0.9, 0.2, 1.0, 0.2, 0.2], dtype=np.float32)
    labels = [label for label in LABELS for _ in range(300)]
    logits = 5 * np.eye(5, dtype=np.float32)[[LABELS.index(label) for label in labels]]
    # Six of 300 right labels hang on a doubt that thresholds do not allow: 0.4 points of macro-F1.
    logits[600:606] = doubt
    page = Page("p", ["word"] * len(labels), None, labels)
    view = Page("p#x", page.paragraphs, None, labels, extra={"page": "p", "view": "x"})
    assert fit_thresholds(config(), [logits, logits], [page, view]) == {}
    # So does a paragraph as long as all of the others together, which is of the article.
    long = Page("v#x", ["word " * 5000], None, ["body"], extra={"page": "v", "view": "x"})
    thresholds = fit_thresholds(config(), [logits, logits, doubt[None]], [page, view, long])
    assert thresholds == dict.fromkeys(("promo", "teaser", "donation"), 0.4)


@pytest.mark.parametrize(("lost", "threshold"), [(1, None), (9, 0.4)])
def test_a_loss_that_nobody_could_measure_is_no_harm(lost: int, threshold: float | None) -> None:
    doubt = np.array([0.9, 0.2, 1.0, 0.2, 0.2], dtype=np.float32)
    labels = [label for label in LABELS for _ in range(300)]
    logits = 5 * np.eye(5, dtype=np.float32)[[LABELS.index(label) for label in labels]]
    logits[600:606] = doubt
    page = Page("p", ["word"] * len(labels), None, labels)
    view = Page("v#x", ["word " * 1000, "word " * lost], None, ["body"] * 2, extra={"page": "v", "view": "x"})
    # All of the view is article: what is labelled otherwise is lost, a word of 1,001 or nine of 1,009.
    found = fit_thresholds(config(), [logits, np.stack([logits[0], doubt])], [page, view])
    assert found == ({} if threshold is None else dict.fromkeys(("promo", "teaser", "donation"), threshold))


def test_labels_without_an_article_have_no_thresholds() -> None:
    page = Page("a", ["word"] * 2, None, ["keep", "drop"])
    assert fit_thresholds(config(labels=("keep", "drop")), [np.eye(2, dtype=np.float32)], [page]) == {}


def in_runs(seed: int, noise: float) -> tuple[list[npt.NDArray[np.float32]], list[Page]]:
    """Pages whose labels come in runs of five, and logits that are often wrong about one of a run."""
    rng = np.random.default_rng(seed)
    logits, pages = [], []
    for number in range(12):
        labels = np.repeat(rng.choice(LABELS, size=20), 5).tolist()
        found = rng.normal(size=(100, 5)) * noise
        found[np.arange(100), [LABELS.index(label) for label in labels]] += 2
        logits.append(found.astype(np.float32))
        extra = {"view": "x", "page": str(number)} if number % 2 else {}
        pages.append(Page(str(number), ["word"] * 100, None, labels, None, extra))
    return logits, pages


def accuracy(found: BundleConfig, logits: list[npt.NDArray[np.float32]], pages: list[Page]) -> float:
    pairs = [
        pair
        for rows, page in zip(logits, pages, strict=True)
        for pair in zip(found.decide(rows)[0], page.labels or (), strict=True)
    ]
    return float(np.mean([given == gold for given, gold in pairs]))


def test_labels_that_come_in_runs_are_decided_together() -> None:
    logits, pages = in_runs(0, 1.5)
    fitted = fit_decisions(config(), logits, pages)
    weights = np.array(fitted.transitions)
    assert (weights.argmax(axis=1) == np.arange(5)).all()
    unseen = in_runs(1, 1.5)
    plain = fit_decisions(config(), *unseen)
    assert (
        accuracy(fitted, *unseen)
        > accuracy(BundleConfig(LABELS, EncodingConfig(), plain.temperature, {}, {}, {}), *unseen) + 0.05
    )


@pytest.mark.parametrize("count", [1, 2])
def test_a_dev_set_may_be_tiny(count: int) -> None:
    logits, pages = in_runs(0, 1.5)
    one = Page("one", ["word"], None, ["body"])
    rows = [np.zeros((1, 5), dtype=np.float32), *logits][:count]
    fitted = fit_decisions(config(), rows, [one, *pages][:count])
    assert fitted.decide(rows[0])[0] == ["body"]


def test_where_the_model_is_right_already_there_are_no_transitions() -> None:
    logits, pages = in_runs(0, 0.01)
    assert fit_transitions(config(), logits, pages) == ()


def test_neighbours_that_tell_nothing_have_no_transitions() -> None:
    rows, pages = zip(*[made_up(seed, 0.0) for seed in range(8)], strict=True)
    pages = tuple(Page(str(i), page.paragraphs, None, page.labels) for i, page in enumerate(pages))
    assert fit_transitions(config(), rows, pages) == ()
