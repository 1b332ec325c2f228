"""The torch network: a transformer encoder over a window of paragraphs, one row of logits a marker."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from pagelabel.model.features import FEATURE_NAMES

_FEATURE_HIDDEN = 64


class PageNetwork(nn.Module):
    """Encoder whose input embeddings get the paragraph's features added at its marker.

    The feature layers have no bias, so rows of zeros (every token that is not a marker) stay zero.
    """

    def __init__(self, encoder: PreTrainedModel, hidden_size: int, labels: int, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        last = nn.Linear(_FEATURE_HIDDEN, hidden_size, bias=False)
        nn.init.normal_(last.weight, std=0.02)
        first = nn.Linear(features, _FEATURE_HIDDEN, bias=False)
        self.features = nn.Sequential(first, nn.Tanh(), last)
        self.head = nn.Linear(hidden_size, labels)

    @property
    def feature_count(self) -> int:
        """How many features of a paragraph it reads."""
        return self._first.in_features

    @property
    def _first(self) -> nn.Linear:
        first = self.features[0]
        assert isinstance(first, nn.Linear)
        return first

    def widen(self, count: int) -> None:
        """Let the network read so many features: what new ones say counts nothing until it is learnt. Raises ValueError
        where it reads more."""
        known = self.feature_count
        if known > count:
            raise ValueError(f"it reads links: {known} features, not {count}; set encoding.links")
        if known < count:
            new = nn.Linear(count, _FEATURE_HIDDEN, bias=False)
            with torch.no_grad():
                new.weight.zero_()
                new.weight[:, :known] = self._first.weight
            self.features[0] = new

    def forward(
        self, input_ids: torch.Tensor, features: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, T, labels] of ids [B, T] and features [B, T, F]; those at markers mean something."""
        logits: torch.Tensor = self.head(self.states(input_ids, features, attention_mask))
        return logits

    def states(
        self, input_ids: torch.Tensor, features: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the logits are made of, [B, T, hidden_size]."""
        embeddings = self.encoder.get_input_embeddings()(input_ids) + self.features(features)
        states: torch.Tensor = self.encoder(inputs_embeds=embeddings, attention_mask=attention_mask).last_hidden_state
        return states


def load_base(name: str, labels: int, *, layers: int | None = None) -> PageNetwork:
    """A network on the pretrained encoder `name` (a folder or a hub name), optionally only its first `layers`."""
    config = AutoConfig.from_pretrained(name)
    _prepare(config)
    if layers is not None:
        config.num_hidden_layers = layers
    encoder = AutoModel.from_pretrained(name, config=config, add_pooling_layer=False)
    return PageNetwork(encoder, config.hidden_size, labels, len(FEATURE_NAMES))


def from_config(config: dict[str, Any], labels: int, features: int) -> PageNetwork:
    """A network with random weights from the encoder settings of a checkpoint (`PretrainedConfig.to_dict()`)."""
    encoder_config = AutoConfig.for_model(**config)
    _prepare(encoder_config)
    encoder = AutoModel.from_config(encoder_config, add_pooling_layer=False)
    return PageNetwork(encoder, encoder_config.hidden_size, labels, features)


def _prepare(config: PretrainedConfig) -> None:
    # Dropout in attention takes PyTorch off its fused attention; dropout elsewhere cost 30% of the time on a CPU
    # (its random numbers are drawn on one thread), and a few epochs of fine-tuning did not need it.
    config.attention_probs_dropout_prob = 0.0
    config.hidden_dropout_prob = 0.0
