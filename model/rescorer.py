"""The torch network of a rescorer: it reads what a model says of each paragraph of a page, beside what it says of the
others, and says it again.

A model knows its own training pages too well to learn from them what its doubts are worth; a rescorer learns that from
pages that the model was not trained on (stacked generalization, Wolpert 1992,
https://doi.org/10.1016/S0893-6080(05)80023-1). It serves any model of the same labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import relu

from pagelabel.model.features import FEATURE_NAMES


@dataclass(frozen=True, slots=True)
class RescorerConfig:
    """How many labels there are, and the sizes: channels, how many paragraphs a convolution sees, layers."""

    labels: int
    size: int = 32
    width: int = 7
    layers: int = 2
    dropout: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Rescorer(nn.Module):
    """Convolutions over the paragraphs of a page, each with the page's mean beside it."""

    def __init__(self, config: RescorerConfig) -> None:
        super().__init__()
        self.config = config
        size = config.size
        self.first = nn.Linear(2 * config.labels + len(FEATURE_NAMES), size)
        self.near = nn.ModuleList(
            nn.Conv1d(size, size, config.width, padding=config.width // 2) for _ in range(config.layers)
        )
        self.page = nn.ModuleList(nn.Linear(size, size) for _ in range(config.layers))
        self.last = nn.Linear(size, config.labels)
        # So that it begins as the model alone.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, logits: torch.Tensor, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [B, N, labels] of a model's logits [B, N, labels] and the features [B, N, F] of the paragraphs; `mask`
        [B, N] is 1 at paragraphs and 0 at padding (training pads)."""
        logarithms = logits.log_softmax(-1)
        hidden = relu(self.first(torch.cat([logarithms.clamp_min(-8) / 4, logarithms.exp(), features], -1)))
        if mask is not None:
            hidden = hidden * mask[..., None]
        for near, page in zip(self.near, self.page, strict=True):
            if mask is None:
                mean = hidden.mean(1, keepdim=True)
            else:
                mean = hidden.sum(1, keepdim=True) / mask.sum(1)[:, None, None].clamp_min(1)
            seen = near(hidden.transpose(1, 2)).transpose(1, 2) + page(mean)
            hidden = hidden + self.dropout(relu(seen))
            if mask is not None:
                hidden = hidden * mask[..., None]
        out: torch.Tensor = logarithms + self.last(hidden)
        return out
