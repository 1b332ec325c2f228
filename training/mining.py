"""Which paragraphs a model knows already: a window of nothing else teaches it little.

As in online hard example mining (Shrivastava et al. 2016, https://arxiv.org/abs/1604.03540), but found before training,
from what the model that it goes on from thinks of its pages (`pagelabel.training.teacher`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pagelabel.data.page import Page
from pagelabel.training.config import TrainingConfig
from pagelabel.training.teacher import read_rows, rows_of

# Of windows of the training pages 37% to 42% have a paragraph whose label is less likely than this, 23% to 25% one that
# is labelled wrong.
_KNOWN = 0.8


def known_paragraphs(pages: Sequence[Page], config: TrainingConfig) -> list[list[bool] | None]:
    """For each page: of which paragraphs the model has the label with a probability of 0.8 and more. None for a page
    that it has not read, and for all where `config` names no probabilities. Raises ValueError where the file was made
    for other pages."""
    if config.probabilities is None:
        return [None] * len(pages)
    rows = read_rows(config.probabilities, config.labels)
    out: list[list[bool] | None] = []
    for page in pages:
        found = rows_of(page, rows, len(config.labels), config.probabilities)
        if found is None:
            out.append(None)
            continue
        gold = [config.labels.index(label) for label in page.labels or ()]
        out.append((found[np.arange(len(gold)), gold] >= _KNOWN).tolist())
    return out
