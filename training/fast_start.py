"""What a run of the fast model starts from: a checkpoint, or a teacher's words and a sentence encoder's vectors."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from pagelabel.model.bundle import CONFIG, find_bundle
from pagelabel.model.features import FEATURE_NAMES
from pagelabel.model.hierarchical import HierarchicalConfig, HierarchicalNetwork
from pagelabel.model.words import WordConfig, Words
from pagelabel.training.base import load_model
from pagelabel.training.fast_config import FastConfig
from pagelabel.training.fast_examples import word_config
from pagelabel.training.fast_state import FastState, load_fast
from pagelabel.training.restore import restored_fast
from pagelabel.training.sentences import learn_sentences

_FEATURES = "page.features.0.weight"


class Base(NamedTuple):
    """The checkpoint that a run starts from."""

    network: HierarchicalNetwork
    words: Words
    info: dict[str, Any]


def load_base(name: str | Path) -> Base:
    """A checkpoint of the fast model, or what a bundle (a folder, or `fast`) is worth as one."""
    folder = find_bundle(name)
    return Base(*(restored_fast(folder) if (folder / CONFIG).is_file() else load_fast(folder)))


def widened(network: HierarchicalNetwork, features: int, local: bool) -> HierarchicalNetwork:
    """The network as one that reads so many features, and neighbours in its layers where it is `local`: what it has not
    read before counts nothing until it is learnt. Raises ValueError where it reads more."""
    known, size = network.config.features, network.config.size
    if known > features:
        raise ValueError(f"it reads links: {known} features, not {features}; set words.links")
    if network.config.local and not local:
        raise ValueError("its layers read neighbours; set sizes.local")
    out = HierarchicalNetwork(replace(network.config, features=features, local=local))
    weights = network.state_dict()
    weights[_FEATURES] = functional.pad(weights[_FEATURES], (0, features - known))
    if local and not network.config.local:
        for i in range(network.config.layers):
            # Before, own, behind.
            weights[f"page.layers.{i}.up.weight"] = functional.pad(weights[f"page.layers.{i}.up.weight"], (size, size))
    out.load_state_dict(weights)
    return out.eval()


def base_of(config: FastConfig) -> Base:
    """The base of a run. Raises ValueError where it is not what `config` asks for."""
    network, words, info = load_base(str(config.base))
    known, asked = replace(words.config, features=FEATURE_NAMES, join_lines=False), config.words
    for name, found, expected in (
        ("labels", tuple(info["labels"]), config.labels),
        ("sizes", _own(network.config), _own(_sizes(config, words))),
        ("words", known, WordConfig(asked.head_words, asked.tail_words, about=asked.about)),
    ):
        if found != expected:
            raise ValueError(f"base {config.base}: its {name} are {found}, the config has {expected}")
    return Base(network, Words(words.vocabulary, word_config(config.words)), info)


def _own(sizes: HierarchicalConfig) -> HierarchicalConfig:
    """Without what can be added to a network that is trained."""
    return replace(sizes, features=0, local=False)


def _sizes(config: FastConfig, words: Words) -> HierarchicalConfig:
    features = len(words.config.features)
    return HierarchicalConfig(words.size, len(config.labels), **asdict(config.sizes), features=features)


def begin(config: FastConfig, words: Words, states: int, base: Base | None, *, first_stage: bool) -> FastState:
    """The networks before their first step: those of the base, or with the vectors of the teacher's words and of
    sentences."""
    sizes = _sizes(config, words)
    network = HierarchicalNetwork(sizes)
    settings = config.optim
    if base is not None:
        network.load_state_dict(widened(base.network, sizes.features, sizes.local).state_dict())
    elif first_stage:
        if config.teacher is not None:
            network.paragraphs.words.weight.data.copy_(word_vectors(words, config.teacher, sizes.word_size))
        if config.sentences is not None:
            learn_sentences(
                network.paragraphs, words, config.sentences, settings.sentence_epochs, settings.drop_words, config.seed
            )
    to_states = torch.nn.Linear(network.page.head.in_features, states) if states else torch.nn.Identity()
    parameters = [*network.parameters(), *to_states.parameters()]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay)
    return FastState(network, copy.deepcopy(network).eval(), to_states, optimizer)


def word_vectors(words: Words, teacher: str, size: int) -> torch.Tensor:
    """First vectors [words.size, size]: each word's mean word piece of the teacher, in the `size` directions of most
    variance, scaled to the deviation of a fresh table. Ids that are no words stay random."""
    checkpoint = load_model(teacher)
    table = checkpoint.network.encoder.get_input_embeddings().weight.detach()
    encoded = checkpoint.tokenizer.encode_batch_fast(list(words.vocabulary), add_special_tokens=False)
    means = torch.stack([table[e.ids].mean(0) if e.ids else table[0] * 0 for e in encoded])
    means = means - means.mean(0)
    directions = torch.linalg.svd(means, full_matrices=False)[2]
    found = means @ directions[:size].T
    out = torch.randn(words.size, size) * 0.3
    out[1 : 1 + len(found), : found.shape[1]] = found * (0.3 / found.std().clamp_min(1e-6))
    return out
