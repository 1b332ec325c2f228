"""Two models as one: the second reads everything, the first what the second is not sure of."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from pagelabel.data.page import Page
from pagelabel.flat import FlatModel, Logits
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.model.encoding import Wanted
from pagelabel.model.pair import Pair


class PairModel:
    """See `pagelabel.model.pair.Pair`. Raises ValueError where its context is more than a window of the first holds,
    and where one of the two reads lines joined and the other does not."""

    def __init__(self, first: FlatModel, second: HierarchicalModel, pair: Pair) -> None:
        if first.join_lines != second.join_lines:
            raise ValueError("one of the two models reads lines joined (join_lines), the other each by itself")
        self.parts = first, second
        self.pair = pair
        self._asked = first if pair.sure == inf else first.with_context(pair.context)

    @property
    def join_lines(self) -> bool:
        """Whether it is to be given pages whose lines are joined, see `pagelabel.model.lines`."""
        return self.parts[0].join_lines

    def logits(self, pages: Sequence[Page]) -> list[Logits]:
        """Logits [N, labels] of each page's paragraphs."""
        found = self.parts[1].logits(pages)
        wanted = [unsure(logits, self.pair.sure) for logits in found]
        asked = [i for i, some in enumerate(wanted) if some.any()]
        out = [logits * np.float32(self.pair.alone) for logits in found]
        read = self._asked.read([pages[i] for i in asked], [wanted[i] for i in asked])
        for i, (places, logits) in zip(asked, read, strict=True):
            out[i][places] = added(logits, found[i][places], self.pair.weight)
        return out

    def asked(self, page: Page) -> Wanted:
        """Which paragraphs the first model is asked for, bool [N]."""
        return unsure(self.parts[1].logits([page])[0], self.pair.sure)


def added(first: Logits, second: Logits, weight: float) -> Logits:
    """The first model's logits [N, labels] and `weight` times the second's."""
    return first + np.float32(weight) * second


def unsure(logits: Logits, sure: float) -> Wanted:
    """Whether the best of a paragraph's logits leads by less than `sure`: bool [N] of [N, labels]."""
    best = np.sort(logits, axis=1)
    return np.asarray(best[:, -1] - best[:, -2] < sure)
