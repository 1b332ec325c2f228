"""What turns logits into labels and probabilities: one temperature, how labels follow each other, and thresholds that
protect the article."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.flat import Logits
from pagelabel.model.bundle import BundleConfig

_TEMPERATURES = np.geomspace(0.25, 6.0, 400)
_THRESHOLDS = (0.0, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
# Thresholds may cost at most this much macro-F1; this much where labels do harm behind an extractor without.
_MACRO_COST, _HARM_COST = 0.001, 0.01
# A loss that is no more than this is none: intervals of what labels gain are one to five points wide.
_HARM = 0.001
_STRENGTHS = (0.0, 0.1, 0.2, 0.3)
# Of the macro-F1 of both forms together: less is not worth a second rule in every port.
_LEAST_GAIN = 0.002


def fit_temperature(logits: npt.NDArray[np.float32], gold: npt.NDArray[np.int64]) -> float:
    """The temperature (Guo et al. 2017) with the least negative log-likelihood of `gold` [N] under `logits` [N, L]."""
    losses = [cross_entropy(logits.astype(np.float64) / temperature, gold) for temperature in _TEMPERATURES]
    return round(float(_TEMPERATURES[int(np.argmin(losses))]), 4)


def cross_entropy(logits: npt.NDArray[np.float64], gold: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of `gold` [N] under `logits` [N, L]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(gold)), gold]))


def fit_decisions(config: BundleConfig, logits: Sequence[Logits], pages: Sequence[Page]) -> BundleConfig:
    """`config` with the temperature, transitions and thresholds that are best for `logits` of labelled `pages`."""
    gold = np.array([config.labels.index(label) for page in pages for label in page.labels or ()])
    config = replace(config, temperature=fit_temperature(np.concatenate(logits), gold))
    config = replace(config, transitions=fit_transitions(config, logits, pages))
    return replace(config, thresholds=fit_thresholds(config, logits, pages))


def fit_transitions(
    config: BundleConfig, logits: Sequence[Logits], pages: Sequence[Page]
) -> tuple[tuple[float, ...], ...]:
    """A weight for each label behind each other: how much more often than by chance they are neighbours in `pages`
    (pointwise mutual information, whole pages and views counting alike), times the strength of those tried that gives
    the best macro-F1 of both forms; none where that gains nothing.

    The network sees neighbours too, so they count less than their frequency says. To choose the strength, each half of
    the pages is decided with the neighbours of the other half.
    """
    halves = [half(page) for page in pages]
    others = [
        _association([p for p, h in zip(pages, halves, strict=True) if h != side], config.labels) for side in (0, 1)
    ]
    gains = []
    for strength in _STRENGTHS:
        configs = [replace(config, transitions=_scaled(other, strength), thresholds={}) for other in others]
        given = [configs[side].decide(rows)[0] for side, rows in zip(halves, logits, strict=True)]
        gains.append(sum(macro_f1s(pages, given, config.labels)))
    best = int(np.argmax(gains))
    if gains[best] < gains[0] + _LEAST_GAIN:
        return ()
    return _scaled(_association(pages, config.labels), _STRENGTHS[best])


def half(page: Page) -> int:
    """0 or 1; views are in the half of their page."""
    return hashlib.sha256(page.group.encode()).digest()[0] % 2


def _association(pages: Sequence[Page], labels: Sequence[str]) -> npt.NDArray[np.float64]:
    index = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((2, len(labels), len(labels)))
    for page in pages:
        ids = np.array([index[label] for label in page.labels or ()], dtype=np.int64)
        np.add.at(counts[int(page.view is not None)], (ids[:-1], ids[1:]), 1)
    found = [form / form.sum() for form in counts if form.sum()]
    # One more of each in 20,000, so that what never was seen is only unlikely.
    shares = sum(found, np.full(counts.shape[1:], 1 / 20_000))
    shares /= shares.sum()
    return np.asarray(np.log(shares / shares.sum(axis=1, keepdims=True) / shares.sum(axis=0)))


def _scaled(association: npt.NDArray[np.float64], strength: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(value), 4) for value in row) for row in association * strength) if strength else ()


def fit_thresholds(config: BundleConfig, logits: Sequence[Logits], pages: Sequence[Page]) -> dict[str, float]:
    """One probability that every label but the article's must reach to be given, so that a paragraph leaves the
    article only where the model is sure. `logits` are those of each page. Empty for label sets without body and quote.

    It is the one with the best word-weighted F1 of the article over `pages`, among those that cost neither form, whole
    pages and views, more than 0.1 points of macro-F1; the lowest of equals. Where keeping what is labelled article
    would then be worse than keeping all that some extractor left, by more than 0.1 points, it is the one with the best
    such gain behind the extractor with the worst, among those that cost neither form more than a point.
    """
    if not set(ARTICLE_LABELS) <= set(config.labels):
        return {}
    others = [label for label in config.labels if label not in ARTICLE_LABELS]
    words = [[len(text.split()) for text in page.paragraphs] for page in pages]
    tried = [_Tried.of(config, others, threshold, logits, pages, words) for threshold in _THRESHOLDS]

    def allowed(cost: float) -> list[_Tried]:
        floors = [macro - cost for macro in tried[0].macro_f1s]
        return [one for one in tried if all(np.greater_equal(one.macro_f1s, floors))]

    best = max(allowed(_MACRO_COST), key=lambda one: (one.article_f1, sum(one.macro_f1s)))
    if best.worst_gain < -_HARM:
        best = max(allowed(_HARM_COST), key=lambda one: one.worst_gain)
    return dict.fromkeys(others, best.threshold) if best.threshold else {}


class _Tried(NamedTuple):
    threshold: float
    macro_f1s: list[float]
    article_f1: float
    worst_gain: float

    @classmethod
    def of(
        cls,
        config: BundleConfig,
        others: Sequence[str],
        threshold: float,
        logits: Sequence[Logits],
        pages: Sequence[Page],
        words: Sequence[Sequence[int]],
    ) -> _Tried:
        some = replace(config, thresholds=dict.fromkeys(others, threshold) if threshold else {})
        given = [some.decide(rows)[0] for rows in logits]
        found: dict[object, Counter[tuple[bool, bool]]] = defaultdict(Counter)
        for page, counts, labels in zip(pages, words, given, strict=True):
            for count, gold, label in zip(counts, page.labels or (), labels, strict=True):
                found[page.extra.get("view")][gold in ARTICLE_LABELS, label in ARTICLE_LABELS] += count
        total = sum(found.values(), Counter[tuple[bool, bool]]())
        gains = [_article_f1(part) - _article_f1(_all_kept(part)) for view, part in found.items() if view]
        return cls(threshold, macro_f1s(pages, given, config.labels), _article_f1(total), min(gains, default=0.0))


def _article_f1(words: Counter[tuple[bool, bool]]) -> float:
    """Of words by (belongs to the article, is kept)."""
    right, wrong, lost = words[True, True], words[False, True], words[True, False]
    return 2 * right / max(1, 2 * right + wrong + lost)


def _all_kept(words: Counter[tuple[bool, bool]]) -> Counter[tuple[bool, bool]]:
    return Counter({(gold, True): words[gold, True] + words[gold, False] for gold in (True, False)})


def macro_f1s(pages: Sequence[Page], given: Sequence[Sequence[str]], labels: Sequence[str]) -> list[float]:
    """Macro-F1 of each form that there is: views, and whole pages."""
    return [
        float(f1_score(gold, found, average="macro", labels=np.unique(gold), zero_division=0))
        for gold, found in _by_form(pages, given, labels)
    ]


def accuracies(pages: Sequence[Page], given: Sequence[Sequence[str]], labels: Sequence[str]) -> list[float]:
    """Accuracy of each form, as in `macro_f1s`."""
    return [float(np.mean(gold == found)) for gold, found in _by_form(pages, given, labels)]


def _by_form(
    pages: Sequence[Page], given: Sequence[Sequence[str]], labels: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    for view in (True, False):
        some = [i for i, page in enumerate(pages) if (page.view is not None) == view]
        gold = np.array([labels.index(label) for i in some for label in pages[i].labels or ()])
        if len(gold):
            yield gold, np.array([labels.index(label) for i in some for label in given[i]])
