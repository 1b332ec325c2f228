"""Scores of labelled pages against gold labels: what `pagelabel evaluate` prints and the model card tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.training.report import ArticleScore, Bin, Calibration, CoverageRow, GroupScore, LabelScore, Report

BINS = 15
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Flat:
    """All paragraphs in one row: label indexes, scores (None where no page has any) and the page of each."""

    gold: Ints
    given: Ints
    scores: Floats | None
    page: Ints


def score(
    pages: Sequence[Page],
    predicted: Sequence[Page],
    labels: Sequence[str],
    *,
    article: Sequence[str] = ARTICLE_LABELS,
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Compare the labels of `predicted` with the gold labels of `pages` (the same pages in the same order).

    Macro-F1 averages over the labels that occur in gold: a label that nothing has can be neither right nor wrong, and
    where it is given by mistake the label it stands for loses recall. Its interval is the bootstrap percentile
    interval (Efron 1979) over pages by the same rule in each resample; records with the same `extra["page"]` (views
    of one page) are drawn together, because their errors are not independent. Calibration needs `scores` and is None
    without; its bins are those of Guo et al. 2017. The article is scored only if all of its labels are in `labels`.

    Raises ValueError that names the page where the two differ in length or id, gold or given labels are missing, a
    label is not in `labels`, or a score is missing or not in 0..1; and where there is no paragraph at all.
    """
    if resamples < 1:
        raise ValueError(f"resamples should be at least 1, found {resamples}")
    flat = _flatten(pages, predicted, labels)
    ids = range(len(labels))
    per_label = zip(*precision_recall_fscore_support(flat.gold, flat.given, labels=ids, zero_division=0), strict=True)
    rows = tuple(
        LabelScore(label, float(p), float(r), float(f), int(n))
        for label, (p, r, f, n) in zip(labels, per_label, strict=True)
    )
    counts = _page_counts(pages, flat, len(labels))
    return Report(
        pages=len(pages),
        paragraphs=len(flat.gold),
        macro_f1=float(np.mean([row.f1 for row in rows if row.support])),
        macro_interval=_macro_interval(counts, len(labels), resamples, seed),
        macro_labels=tuple(row.label for row in rows if row.support),
        resampled=len(counts),
        accuracy=float(accuracy_score(flat.gold, flat.given)),
        labels=rows,
        article=_article(pages, flat, labels, article) if set(article) <= set(labels) else None,
        confusion=tuple(tuple(map(int, row)) for row in counts.sum(axis=0).reshape(len(labels), len(labels))),
        calibration=None if flat.scores is None else calibration(flat.scores, flat.gold == flat.given),
    )


def score_by(
    pages: Sequence[Page], predicted: Sequence[Page], labels: Sequence[str], key: str
) -> dict[str, GroupScore]:
    """Scores by value of `extra[key]` ("none" where a page lacks it), the largest group first. Errors as `score`."""
    groups: dict[str, list[int]] = {}
    for i, page in enumerate(pages):
        value = page.extra.get(key)
        groups.setdefault("none" if value is None else str(value), []).append(i)
    _check_pairs(pages, predicted)
    found: dict[str, GroupScore] = {}
    for name, members in groups.items():
        if not any(pages[i].paragraphs for i in members):
            continue
        report = score([pages[i] for i in members], [predicted[i] for i in members], labels, resamples=1)
        f1 = {s.label: s.f1 if s.support else None for s in report.labels}
        found[name] = GroupScore(report.pages, report.paragraphs, report.macro_f1, report.accuracy, f1)
    return dict(sorted(found.items(), key=lambda item: -item[1].paragraphs))


def coverage_curve(pages: Sequence[Page], predicted: Sequence[Page], thresholds: Iterable[float]) -> list[CoverageRow]:
    """What is kept, and how good it is, where only labels with at least each score count. Errors as `score`."""
    labels = sorted({label for page in (*pages, *predicted) for label in page.labels or ()})
    flat = _flatten(pages, predicted, labels)
    if flat.scores is None:
        raise ValueError("the coverage curve needs scores, and the labelled pages have none")
    rows = []
    for threshold in thresholds:
        kept = flat.scores >= threshold
        accuracy = macro = None
        if kept.any():
            gold, given = flat.gold[kept], flat.given[kept]
            accuracy = float(accuracy_score(gold, given))
            macro = float(f1_score(gold, given, average="macro", labels=np.unique(gold), zero_division=0))
        present = len(np.unique(flat.gold[kept]))
        rows.append(CoverageRow(float(threshold), float(kept.mean()), accuracy, macro, present))
    return rows


def drop_doubt(pages: Sequence[Page], predicted: Sequence[Page]) -> tuple[list[Page], list[Page]]:
    """Both lists without the paragraphs in the gold pages' `extra["doubt"]` (indexes), ready for `score`.

    Lists in `extra` are left out of the result, as their indexes and lengths would no longer fit. Raises ValueError
    that names the page where an index is outside it, and where the two lists do not belong together.
    """
    _check_pairs(pages, predicted)
    kept: tuple[list[Page], list[Page]] = ([], [])
    for page, other in zip(pages, predicted, strict=True):
        doubt = page.extra.get("doubt") or []
        count = len(page.paragraphs)
        if not isinstance(doubt, list) or any(i not in range(count) for i in doubt):
            raise ValueError(f"page {page.id!r}: 'doubt' should be a list of indexes within its {count} paragraphs")
        for out, p in zip(kept, (page, other), strict=True):
            out.append(_without(p, set(doubt)))
    return kept


def calibration(scores: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Expected calibration error over equal-width bins (low, high]; a score of 0 falls in the first.

    `scores` and `right` (whether that label is the gold one) have one item a paragraph, at least one.
    """
    edges = np.arange(bins + 1) / bins
    place = np.searchsorted(edges[1:-1], scores, side="left")
    counts = np.bincount(place, minlength=bins)
    filled = np.maximum(counts, 1)
    confidence = np.bincount(place, weights=scores, minlength=bins) / filled
    accuracy = np.bincount(place, weights=right, minlength=bins) / filled
    error = float(np.sum(counts * np.abs(confidence - accuracy)) / len(scores))
    rows = zip(edges[:-1], edges[1:], counts, confidence, accuracy, strict=True)
    return Calibration(
        error,
        tuple(
            Bin(float(low), float(high), int(n), *((float(c), float(a)) if n else (None, None)))
            for low, high, n, c, a in rows
        ),
    )


def _check_pairs(pages: Sequence[Page], predicted: Sequence[Page]) -> None:
    for page, other in zip(pages, predicted, strict=False):
        if page.id != other.id:
            raise ValueError(f"page {page.id!r} was paired with the labels of page {other.id!r}: keep the order")
        if len(page.paragraphs) != len(other.paragraphs):
            raise ValueError(
                f"page {page.id!r} has {len(page.paragraphs)} paragraphs, its labelled form {len(other.paragraphs)}"
            )
    if len(pages) != len(predicted):
        longer = max(pages, predicted, key=len)
        first = longer[min(len(pages), len(predicted))].id
        raise ValueError(f"{len(pages)} gold pages and {len(predicted)} labelled ones: page {first!r} has no partner")


def _flatten(pages: Sequence[Page], predicted: Sequence[Page], labels: Sequence[str]) -> _Flat:
    _check_pairs(pages, predicted)
    index = {label: i for i, label in enumerate(labels)}
    gold = [i for page in pages for i in _label_ids(page, index, "gold")]
    if not gold:
        raise ValueError(f"nothing to score: {len(pages)} pages without a single paragraph")
    given = [i for page in predicted for i in _label_ids(page, index, "given")]
    sizes = [len(page.paragraphs) for page in pages]
    return _Flat(np.array(gold), np.array(given), _scores(predicted), np.repeat(np.arange(len(pages)), sizes))


def _label_ids(page: Page, index: dict[str, int], kind: str) -> list[int]:
    if not page.paragraphs:
        return []
    if page.labels is None:
        raise ValueError(f"page {page.id!r} has no {kind} labels")
    if len(page.labels) != len(page.paragraphs):
        raise ValueError(f"page {page.id!r} has {len(page.labels)} {kind} labels for {len(page.paragraphs)} paragraphs")
    for i, label in enumerate(page.labels):
        if label not in index:
            raise ValueError(f"page {page.id!r}, paragraph {i}: {kind} label {label!r} is none of {', '.join(index)}")
    return [index[label] for label in page.labels]


def _scores(predicted: Sequence[Page]) -> Floats | None:
    pages = [page for page in predicted if page.paragraphs]
    if all(page.scores is None for page in pages):
        return None
    found: list[float] = []
    for page in pages:
        if page.scores is None:
            raise ValueError(f"page {page.id!r} has no scores, while other pages have")
        if len(page.scores) != len(page.paragraphs) or not all(0 <= s <= 1 for s in page.scores):
            raise ValueError(f"page {page.id!r}: expected {len(page.paragraphs)} scores from 0 to 1")
        found += page.scores
    return np.array(found)


def _page_counts(pages: Sequence[Page], flat: _Flat, n: int) -> Floats:
    """Confusion counts, one row of n * n for each page that has paragraphs; the views of a page share its row."""
    names = [page.group for page in pages]
    _, row_of_page = np.unique(names, return_inverse=True)
    counts = np.zeros((row_of_page.max() + 1, n * n))
    np.add.at(counts, (row_of_page[flat.page], flat.gold * n + flat.given), 1)
    return counts[counts.any(axis=1)]


def _macro_f1(confusion: npt.NDArray[Any]) -> Any:
    """Macro-F1 over the labels that occur in gold, of confusion matrices [..., gold, given]."""
    gold = confusion.sum(axis=-1)
    either = gold + confusion.sum(axis=-2)
    f1 = 2 * np.diagonal(confusion, axis1=-2, axis2=-1) / np.maximum(either, 1)
    return np.where(gold > 0, f1, 0).sum(axis=-1) / (gold > 0).sum(axis=-1)


def _macro_interval(counts: Floats, n: int, resamples: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    pages = len(counts)
    drawn = (np.bincount(rng.integers(pages, size=pages), minlength=pages) @ counts for _ in range(resamples))
    macro = _macro_f1(np.stack(list(drawn)).reshape(resamples, n, n))
    low, high = np.quantile(macro, [0.025, 0.975])
    return float(low), float(high)


def _article(pages: Sequence[Page], flat: _Flat, labels: Sequence[str], article: Sequence[str]) -> ArticleScore:
    words = np.array([len(text.split()) for page in pages for text in page.paragraphs])
    ids = [labels.index(label) for label in article]
    gold, given = np.isin(flat.gold, ids), np.isin(flat.given, ids)
    precision, recall, f1, _ = precision_recall_fscore_support(
        gold, given, average="binary", sample_weight=words, zero_division=0
    )
    return ArticleScore(tuple(article), float(precision), float(recall), float(f1), int(words[gold].sum()))


def _without(page: Page, dropped: set[int]) -> Page:
    return replace(
        page,
        paragraphs=[x for i, x in enumerate(page.paragraphs) if i not in dropped],
        labels=None if page.labels is None else [x for i, x in enumerate(page.labels) if i not in dropped],
        scores=None if page.scores is None else [x for i, x in enumerate(page.scores) if i not in dropped],
        extra={key: value for key, value in page.extra.items() if not isinstance(value, list)},
    )
