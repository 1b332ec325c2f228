"""What turns logits into labels and probabilities: one temperature, and thresholds that protect the article."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from pagelabel.data.page import ARTICLE_LABELS, Page

_TEMPERATURES = np.geomspace(0.25, 6.0, 400)
_THRESHOLDS = (0.0, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
# Thresholds may cost at most this much macro-F1.
_MACRO_COST = 0.001


def fit_temperature(logits: npt.NDArray[np.float32], gold: npt.NDArray[np.int64]) -> float:
    """The temperature (Guo et al. 2017) with the least negative log-likelihood of `gold` [N] under `logits` [N, L]."""
    losses = [_loss(logits.astype(np.float64) / temperature, gold) for temperature in _TEMPERATURES]
    return round(float(_TEMPERATURES[int(np.argmin(losses))]), 4)


def _loss(logits: npt.NDArray[np.float64], gold: npt.NDArray[np.int64]) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(gold)), gold]))


def fit_thresholds(
    logits: npt.NDArray[np.float32], pages: Sequence[Page], labels: Sequence[str], temperature: float
) -> dict[str, float]:
    """One probability that every label but the article's must reach to be given, so that a paragraph leaves the
    article only where the model is sure: the one with the best word-weighted F1 of the article over `pages`, among
    those that cost neither form, whole pages and views, more than 0.1 points of macro-F1; the lowest of equals.
    `logits` are those of all paragraphs in order. Empty for label sets without body and quote.
    """
    if not set(ARTICLE_LABELS) <= set(labels):
        return {}
    index = {label: i for i, label in enumerate(labels)}
    gold = np.array([index[label] for page in pages for label in page.labels or ()])
    words = np.array([len(text.split()) for page in pages for text in page.paragraphs])
    article = [index[label] for label in ARTICLE_LABELS]
    scaled = logits.astype(np.float64) / temperature
    probabilities = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    view = np.array(["view" in page.extra for page in pages for _ in page.paragraphs])
    forms = [mask for mask in (view, ~view) if mask.any()]
    tried: list[tuple[float, list[float], float]] = []
    for threshold in _THRESHOLDS:
        limits = np.full(len(labels), threshold)
        limits[article] = 0.0
        given = np.where(probabilities >= limits, probabilities, -1.0).argmax(axis=1)
        macros = [_macro_f1(gold[mask], given[mask]) for mask in forms]
        kept, wanted = np.isin(given, article), np.isin(gold, article)
        article_f1 = 2 * words[kept & wanted].sum() / max(1, words[kept].sum() + words[wanted].sum())
        tried.append((float(article_f1), macros, threshold))
    floors = [macro - _MACRO_COST for macro in tried[0][1]]
    allowed = [row for row in tried if all(np.greater_equal(row[1], floors))]
    threshold = max(allowed, key=lambda row: (row[0], sum(row[1])))[2]
    return {label: threshold for label in labels if label not in ARTICLE_LABELS and threshold > 0}


def _macro_f1(gold: npt.NDArray[np.int64], given: npt.NDArray[np.int64]) -> float:
    return float(f1_score(gold, given, average="macro", labels=np.unique(gold), zero_division=0))
