"""The fast torch network: a vector for each distinct paragraph, then a small transformer over the page's vectors.

Two steps, exported as two graphs, so that a paragraph that comes again (menus do, on every page) need not be read
again. Everything is a matrix product over rows, so that paragraphs of equal length make one product without padding.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pagelabel.model.features import FEATURE_NAMES

# A batch in training is read in so many parts, each padded to its own longest paragraph: half the time of one part.
_PARTS = 6
# Lengths are rounded up to multiples of this, so that kernels come again.
_LENGTHS = 4


def round_up(size: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-size // step) * step


@dataclass(frozen=True, slots=True)
class HierarchicalConfig:
    """Sizes: of the word table, a word, a paragraph vector, the transformer over the page, a paragraph's features.
    Where it is `local`, the layers of the transformer read neighbours, too: the first those next to a paragraph, each
    other one those twice as far off as the one before. Checkpoints of before there was a choice, which do not tell,
    are not."""

    words: int
    labels: int
    word_size: int = 96
    size: int = 128
    layers: int = 3
    heads: int = 4
    dropout: float = 0.1
    features: int = len(FEATURE_NAMES)
    local: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class ParagraphReader(nn.Module):
    """Word ids to one vector a paragraph: words in context of their neighbours, the strongest and the mean."""

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.words, config.word_size)
        nn.init.normal_(self.words.weight, std=0.3)
        self.neighbours = nn.Linear(3 * config.word_size, config.size)
        self.out = nn.Linear(config.size + config.word_size, config.size)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Vectors [P, size] of ids [P, L]; `mask` [P, L] is 1 at words and 0 at padding (training pads). Where the
        paragraphs come in order of length, little of the padding is read."""
        if mask is None:
            return self.pool(self.words(ids))
        parts = []
        for some, filled in zip(ids.chunk(_PARTS), mask.chunk(_PARTS), strict=True):
            longest = round_up(int(filled.sum(1).max()), _LENGTHS)
            parts.append(self.pool(self.words(some[:, :longest]), filled[:, :longest]))
        return torch.cat(parts)

    def pool(self, words: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        if mask is not None:
            words = words * mask[..., None]
        edge = words[:, :1] * 0
        before = torch.cat([edge, words[:, :-1]], 1)
        behind = torch.cat([words[:, 1:], edge], 1)
        hidden = functional.relu(self.neighbours(torch.cat([before, words, behind], -1)))
        if mask is None:
            mean = words.mean(1)
        else:
            hidden = hidden * mask[..., None]
            mean = words.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        # relu leaves nothing below zero, so padding at zero never is the strongest.
        vectors: torch.Tensor = self.out(torch.cat([hidden.amax(1), mean], -1))
        return vectors


def _sides(rows: torch.Tensor, step: int) -> torch.Tensor:
    """Of rows [B, N, size] each between those `step` before and behind it (zeros where there are none)."""
    count = rows.shape[1]
    edged = functional.pad(rows, (0, 0, step, step))
    return torch.cat([edged[:, :count], rows, edged[:, 2 * step : 2 * step + count]], -1)


class _Layer(nn.Module):
    """A pre-norm transformer layer (Xiong et al. 2020, https://arxiv.org/abs/2002.04745). With a `step`, its
    feed-forward part reads the rows so far before and behind each row, too, as a convolution (Ren et al. 2019,
    https://arxiv.org/abs/1905.09263): attention does not know who stands where."""

    def __init__(self, size: int, heads: int, dropout: float, step: int) -> None:
        super().__init__()
        self.heads, self.step = heads, step
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.mix, self.merge = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(3 * size if step else size, 2 * size), nn.Linear(2 * size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
        batch, count, size = x.shape
        parts = self.mix(self.norm1(x)).view(batch, count, 3, self.heads, size // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / (size // self.heads) ** 0.5
        if bias is not None:
            scores = scores + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, count, size)
        x = x + self.dropout(self.merge(mixed))
        own = self.norm2(x)
        if self.step:
            own = _sides(own if mask is None else own * mask[..., None], self.step)
        out: torch.Tensor = x + self.dropout(self.down(functional.relu(self.up(own))))
        return out


class PageReader(nn.Module):
    """Paragraph vectors and features of a page to logits."""

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(config.features, config.size), nn.ReLU(), nn.Linear(config.size, config.size)
        )
        # Attention alone does not know who stands next to whom.
        self.neighbours = nn.Linear(3 * config.size, config.size)
        steps = [2**i if config.local else 0 for i in range(config.layers)]
        self.layers = nn.ModuleList(_Layer(config.size, config.heads, config.dropout, step) for step in steps)
        self.norm = nn.LayerNorm(config.size)
        self.head = nn.Linear(2 * config.size, config.labels)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, vectors: torch.Tensor, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [B, N, labels] of vectors [B, N, size] and features [B, N, F]; `mask` [B, N] as in ParagraphReader."""
        logits: torch.Tensor = self.head(self.states(vectors, features, mask))
        return logits

    def states(self, vectors: torch.Tensor, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """What the logits are made of, [B, N, 2 * size]."""
        own = self.dropout(functional.relu(vectors + self.features(features)))
        if mask is not None:
            own = own * mask[..., None]
        hidden = own + self.neighbours(_sides(own, 1))
        bias = None if mask is None else (1 - mask[:, None, None, :]) * -1e9
        for layer in self.layers:
            hidden = layer(hidden, mask, bias)
        return torch.cat([self.norm(hidden), own], -1)


class HierarchicalNetwork(nn.Module):
    """Both readers, for training: distinct paragraphs of a batch once, spread over its pages."""

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__()
        self.config = config
        self.paragraphs = ParagraphReader(config)
        self.page = PageReader(config)

    def forward(
        self,
        ids: torch.Tensor,
        words: torch.Tensor,
        places: torch.Tensor,
        features: torch.Tensor,
        mask: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [B, N, labels], and the states [B, N, 2 * size] that they are made of, of distinct paragraphs ids
        [P, L] (mask `words` [P, L]) at places [B, N], with features [B, N, F] and mask [B, N]."""
        states = self.page.states(self.paragraphs(ids, words)[places], features, mask)
        return self.page.head(states), states
