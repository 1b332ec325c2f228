"""Two models that read a page beside each other, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pagelabel.data.page import Page
from pagelabel.flat import FlatModel
from pagelabel.hierarchical import HierarchicalModel


class PairModel:
    """See `pagelabel.model.pair.Pair`."""

    def __init__(
        self, first: FlatModel | HierarchicalModel, second: FlatModel | HierarchicalModel, weight: float
    ) -> None:
        self.parts = first, second
        self.weight = weight

    def logits(self, pages: Sequence[Page]) -> list[npt.NDArray[np.float32]]:
        """Logits [N, labels] of each page's paragraphs."""
        ours, theirs = (part.logits(pages) for part in self.parts)
        return [first + np.float32(self.weight) * second for first, second in zip(ours, theirs, strict=True)]
