"""Two models that read a page beside each other, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pagelabel.data.page import Page
from pagelabel.flat import FlatModel
from pagelabel.hierarchical import HierarchicalModel

Logits = npt.NDArray[np.float32]


def added(first: Sequence[Logits], second: Sequence[Logits], weight: float) -> list[Logits]:
    """Of each page, the first model's logits [N, labels] and `weight` times the second's."""
    return [ours + np.float32(weight) * theirs for ours, theirs in zip(first, second, strict=True)]


class PairModel:
    """See `pagelabel.model.pair.Pair`."""

    def __init__(
        self, first: FlatModel | HierarchicalModel, second: FlatModel | HierarchicalModel, weight: float
    ) -> None:
        self.parts = first, second
        self.weight = weight

    def logits(self, pages: Sequence[Page]) -> list[Logits]:
        """Logits [N, labels] of each page's paragraphs."""
        first, second = (part.logits(pages) for part in self.parts)
        return added(first, second, self.weight)
