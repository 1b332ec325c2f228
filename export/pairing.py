"""What makes two models a pair: the second's weight, and where it is sure enough to be alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pagelabel.data.page import Page
from pagelabel.export.calibrate import accuracies, cross_entropy, fit_temperature, fit_transitions, macro_f1s
from pagelabel.flat import Logits
from pagelabel.model.bundle import BundleConfig
from pagelabel.model.encoding import Encoder, Wanted
from pagelabel.model.pair import COST, Pair
from pagelabel.pair import added, unsure

_WEIGHTS = np.arange(1, 41) / 20
_LEADS = np.arange(1, 13) / 2
# Around what the first model is asked. With 48 instead of its own 80 tokens, `both` reads a fifth less and scores the
# same; with 32 it loses .2 points of accuracy.
_CONTEXT = 48


def fit_pair(
    parts: tuple[str, str],
    reader: Reader,
    ours: Sequence[Logits],
    theirs: Sequence[Logits],
    pages: Sequence[Page],
    labels: Sequence[str],
    cost: float = COST,
) -> Pair:
    """The pair of a flat model and a fast one, whose logits of labelled `pages` are `ours` and `theirs`; `reader` is
    the flat one's, of these pages.

    Its `sure` is the least lead of those tried with which neither form, whole pages or views, loses more than `cost`
    of macro-F1 or accuracy against both models reading everything; there is none where all of them cost more.
    """
    pair = Pair(parts, fit_weight(ours, theirs, pages, labels))
    both = [added(a, b, pair.weight) for a, b in zip(ours, theirs, strict=True)]
    gold = _gold(pages, labels)
    temperature = fit_temperature(np.concatenate(both), gold)
    config = BundleConfig(tuple(labels), pair, temperature, {}, {}, {})
    config = replace(config, transitions=fit_transitions(config, both, pages))
    context = min(_CONTEXT, reader.encoder.config.context_tokens)
    reader = reader.with_context(context)
    alone = round(temperature / fit_temperature(np.concatenate(theirs), gold), 4)

    def scores(logits: Sequence[Logits]) -> list[float]:
        given = [config.decide(rows)[0] for rows in logits]
        return [*macro_f1s(pages, given, labels), *accuracies(pages, given, labels)]

    floors = [score - cost for score in scores(both)]
    for lead in _LEADS:
        wanted = [unsure(logits, lead) for logits in theirs]
        read = reader.read(wanted)
        mixed = [
            np.where(some[:, None], a, b * np.float32(alone)) for some, a, b in zip(read, both, theirs, strict=True)
        ]
        if all(np.greater_equal(scores(mixed), floors)):
            return replace(pair, sure=float(lead), alone=alone, context=context)
    return pair


def fit_weight(ours: Sequence[Logits], theirs: Sequence[Logits], pages: Sequence[Page], labels: Sequence[str]) -> float:
    """The weight, of .05 to 2, of the second model's logits under which the labels of `pages` are most likely, at the
    temperature that is best with it; whole pages and views count alike. Macro-F1 hangs on too few paragraphs."""
    gold, first, second = _gold(pages, labels), np.concatenate(ours), np.concatenate(theirs)
    view = np.array([page.view is not None for page in pages for _ in page.paragraphs])
    forms = [rows for rows in (~view, view) if rows.any()]
    losses = []
    for weight in _WEIGHTS:
        logits = added(first, second, weight)
        scaled = logits.astype(np.float64) / fit_temperature(logits, gold)
        losses.append(sum(cross_entropy(scaled[rows], gold[rows]) for rows in forms))
    return float(_WEIGHTS[int(np.argmin(losses))])


class Reader(NamedTuple):
    """What a flat model would read of pages: how many tokens paragraphs and the heads of windows have."""

    encoder: Encoder
    sizes: list[list[int]]
    heads: list[int]

    @classmethod
    def of(cls, encoder: Encoder, pages: Sequence[Page]) -> Reader:
        pieces = iter(encoder.tokenize([text for page in pages for text in page.paragraphs]))
        sizes = [[1 + len(next(pieces)) for _ in page.paragraphs] for page in pages]
        return cls(encoder, sizes, [len(encoder.head(encoder.about(page))) for page in pages])

    def with_context(self, tokens: int) -> Reader:
        """The same pages in windows that overlap by `tokens` on both sides."""
        return self._replace(encoder=self.encoder.with_context(tokens))

    def read(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Of each page, whether a paragraph is read when these are wanted: bool [N]."""
        out = []
        for sizes, head, some in zip(self.sizes, self.heads, wanted, strict=True):
            read = np.zeros(len(sizes), dtype=bool)
            for _, start, stop, _ in self.encoder.spans(sizes, head, some):
                read[start:stop] = True
            out.append(read)
        return out

    def tokens(self, wanted: Sequence[Wanted | None]) -> list[int]:
        """Of each page, the tokens of all windows."""
        return [
            sum(2 + head + sum(sizes[first:end]) for first, _, _, end in self.encoder.spans(sizes, head, some))
            for sizes, head, some in zip(self.sizes, self.heads, wanted, strict=True)
        ]


def _gold(pages: Sequence[Page], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.array([labels.index(label) for page in pages for label in page.labels or ()])
