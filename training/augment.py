"""Other views of a labelled page: what partial pages and extractors leave of it, as indexes of kept paragraphs.

A model that has only seen whole pages takes an extractor's output for something else: its menus and headings
are what gives furniture away.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from pagelabel.training.config import PageAugment


def augmented(
    labels: Sequence[int], article: frozenset[int], config: PageAugment, rng: np.random.Generator
) -> list[int]:
    """Indexes of the paragraphs to keep of a page with these label ids, in order, never none.

    `article` are the ids of the labels that an extractor is meant to keep.
    """
    everything = list(range(len(labels)))
    draw = rng.random()
    if len(labels) < 4:
        return everything
    if draw < config.crop:
        return crop(everything, rng)
    draw -= config.crop
    if draw < config.strip_furniture:
        return strip_furniture(labels, article, rng) or everything
    draw -= config.strip_furniture
    if draw < config.only_furniture:
        return only_furniture(labels, article, rng) or everything
    return everything


def crop(indexes: list[int], rng: np.random.Generator) -> list[int]:
    """A random consecutive part, from one paragraph to nearly all."""
    size = int(rng.integers(1, len(indexes)))
    start = int(rng.integers(0, len(indexes) - size + 1))
    return indexes[start : start + size]


def runs(labels: Sequence[int]) -> list[list[int]]:
    """Indexes of consecutive paragraphs of one label, run by run."""
    return [[i for i, _ in group] for _, group in groupby(enumerate(labels), key=lambda pair: pair[1])]


def strip_furniture(labels: Sequence[int], article: frozenset[int], rng: np.random.Generator) -> list[int]:
    """The article with a little of what stands around it: most runs of furniture are gone, the others in part."""
    keep_share = float(rng.choice([0.1, 0.3, 0.6]))
    kept: list[int] = []
    for run in runs(labels):
        if labels[run[0]] in article:
            kept += run
        elif rng.random() < keep_share:
            size = int(rng.integers(1, min(len(run), 12) + 1))
            start = int(rng.integers(0, len(run) - size + 1))
            kept += run[start : start + size]
    return kept


def only_furniture(labels: Sequence[int], article: frozenset[int], rng: np.random.Generator) -> list[int]:
    """One run of furniture alone, such as a list of teasers without the page's menus; rarer labels first."""
    candidates = [run for run in runs(labels) if labels[run[0]] not in article]
    if not candidates:
        return []
    counts = np.bincount(labels)
    weights = np.array([1 / counts[labels[run[0]]] for run in candidates])
    run = candidates[int(rng.choice(len(candidates), p=weights / weights.sum()))]
    return run[:60]
