"""Two models as one: what a pair of bundles is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import Any

COST = 0.001
"""Of macro-F1 and of accuracy of each form: what may be lost, by default, where the first model is not asked."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The logits of a pair are those of the first bundle and `weight` times those of the second. `parts` are the
    folders of the two, as seen from the pair's own. A model that reads windows word piece by word piece, and one that
    reads the whole page paragraph by paragraph, err in different places.

    The second is cheap and reads everything. Where its best logit leads by `sure` or more, the first is not asked, and
    the logits are `alone` times the second's, which are then as sure as they should be at the pair's temperature. The
    first one's windows are laid around what is left, with a context of `context` tokens on both sides, and what lies
    between is read by both (`Encoder.spans`).
    """

    parts: tuple[str, str]
    weight: float
    sure: float = inf
    alone: float = 1.0
    context: int = 0

    def to_dict(self) -> dict[str, Any]:
        record = {**asdict(self), "parts": list(self.parts)}
        return record if self.sure < inf else {name: record[name] for name in ("parts", "weight")}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Pair:
        """Raises ValueError where there are not two folders, or a number is no number above 0. Without `sure`, both
        read everything."""
        first, second = (str(part) for part in record["parts"])
        weight = float(record["weight"])
        if not 0 < weight < inf:
            raise ValueError(f"the second model's weight should be above 0, found {weight}")
        if "sure" not in record:
            return cls((first, second), weight)
        sure, alone, context = float(record["sure"]), float(record["alone"]), int(record["context"])
        if not (0 < sure < inf and 0 < alone < inf and context >= 0):
            raise ValueError(f"'sure', 'alone' and 'context' should be above 0, found {sure}, {alone} and {context}")
        return cls((first, second), weight, sure, alone, context)
