"""Two models that read a page beside each other: what a pair of bundles is."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any


@dataclass(frozen=True, slots=True)
class Pair:
    """The logits of a pair are those of the first bundle and `weight` times those of the second. `parts` are the
    folders of the two, as seen from the pair's own. A model that reads windows word piece by word piece, and one that
    reads the whole page paragraph by paragraph, err in different places."""

    parts: tuple[str, str]
    weight: float

    def to_dict(self) -> dict[str, Any]:
        return {"parts": list(self.parts), "weight": self.weight}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Pair:
        """Raises ValueError where there are not two folders, or the weight is no number above 0."""
        first, second = (str(part) for part in record["parts"])
        weight = float(record["weight"])
        if not 0 < weight < inf:
            raise ValueError(f"the second model's weight should be above 0, found {weight}")
        return cls((first, second), weight)
