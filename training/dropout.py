"""Dropout that costs nothing on a CPU: one mask a window, the same at all of its tokens."""

from __future__ import annotations

import torch
from torch import nn


class SharedDropout(nn.Module):
    """Zeroes a share `p` of the dimensions of [B, T, H] at all T of a window (Gal and Ghahramani 2016,
    https://arxiv.org/abs/1512.05287). Drawing a number for each token took 30% of a step's time."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        mask = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.p
        return x * mask / (1 - self.p)


def share_dropout(encoder: nn.Module, p: float) -> None:
    """Put it in place of every dropout of a BERT encoder but that on attention weights, which would take PyTorch off
    its fused attention."""
    for name, module in list(encoder.named_modules()):
        if isinstance(module, nn.Dropout) and not name.endswith("self.dropout"):
            parent, _, child = name.rpartition(".")
            setattr(encoder.get_submodule(parent), child, SharedDropout(p))
