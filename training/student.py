"""What the fast model learns from: labels, and a teacher's probabilities and states (`pagelabel.training.teacher`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pagelabel.data.page import Page
from pagelabel.training.fast_config import FastConfig
from pagelabel.training.fast_examples import Batch
from pagelabel.training.teacher import Halves, read_rows, rows_of


@dataclass(frozen=True, slots=True)
class Targets:
    """Probabilities [N, labels] and states [N, S] of the teacher, by page id. A page that it has not read is learnt
    from its labels alone."""

    config: FastConfig
    probabilities: Mapping[str, Halves]
    states: Mapping[str, Halves]

    @classmethod
    def read(cls, config: FastConfig) -> Targets:
        """From the files that `config` names."""
        probabilities = read_rows(config.probabilities, config.labels) if config.probabilities else {}
        return cls(config, probabilities, read_rows(config.states) if config.states else {})

    @property
    def states_size(self) -> int:
        return next((rows.shape[1] for rows in self.states.values()), 0)

    def of(self, pages: Sequence[Page]) -> list[Page]:
        """The pages with `probabilities`, see `FastConfig`, and `states`. Raises ValueError where the teacher has read
        another page of that id."""
        return [replace(page, extra={**page.extra, **self._of(page)}) for page in pages]

    def _of(self, page: Page) -> dict[str, Any]:
        out: dict[str, Any] = {}
        labels, share = self.config.labels, self.config.optim.teacher_share
        found = rows_of(page, self.probabilities, len(labels), self.config.probabilities)
        states = rows_of(page, self.states, self.states_size, self.config.states)
        if found is not None:
            gold = np.eye(len(labels), dtype=np.float32)[[labels.index(label) for label in page.labels or ()]]
            out["probabilities"] = share * found.astype(np.float32) + (1 - share) * gold
        if states is not None:
            out["states"] = states
        return out


def loss_of(logits: torch.Tensor, states: torch.Tensor, batch: Batch, config: FastConfig) -> torch.Tensor:
    """Mean cross-entropy to the target probabilities, weighted by paragraph and by class, and the mean squared distance
    of `states` [B, N, S], as the student tells them, to the teacher's where these are known."""
    smoothing = config.optim.label_smoothing
    targets = batch.targets * (1 - smoothing) + smoothing / batch.targets.shape[-1]
    classes = torch.tensor(config.optim.class_weights or [1.0] * len(config.labels))
    weights = batch.weights * (batch.targets * classes).sum(-1)
    losses = -(targets * logits.log_softmax(-1)).sum(-1)
    loss = (losses * weights).sum() / weights.sum().clamp_min(1e-6)
    known = ~batch.states.isnan()
    if known.any():
        loss = loss + config.optim.states_weight * (states - batch.states)[known].square().mean()
    return loss
