"""What a run of the fast model starts from: a checkpoint, or a teacher's words and a sentence encoder's vectors."""

from __future__ import annotations

import copy
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.nn import functional

from pagelabel.model.bundle import find_bundle, is_bundle
from pagelabel.model.features import reads_links
from pagelabel.model.hierarchical import HierarchicalConfig, HierarchicalNetwork
from pagelabel.model.words import WordConfig, Words
from pagelabel.training.base import load_model, relabelled
from pagelabel.training.fast_config import FastConfig, FastSizes, WordSettings
from pagelabel.training.fast_examples import word_config
from pagelabel.training.fast_state import FastState, load_fast
from pagelabel.training.restore import Dither, restored_fast
from pagelabel.training.sentences import learn_sentences

_FEATURES = "page.features.0.weight"
_Settings = TypeVar("_Settings", WordSettings, FastSizes)
# Sizes that a config need not name, without those that follow from words and labels.
_NEW = HierarchicalConfig(0, 0, local=True)
# What a network that is trained has for good.
_FIXED = {"words": ("head_words", "tail_words", "about"), "sizes": ("word_size", "size", "layers", "heads")}


class Base(NamedTuple):
    """The checkpoint that a run starts from."""

    network: HierarchicalNetwork
    words: Words
    info: dict[str, Any]


def load_base(name: str | Path, dither: Dither = None) -> Base:
    """A checkpoint of the fast model, or what a bundle (a folder, or `fast`) is worth as one. With `dither`, see
    `restore`, the weights of a bundle are to be trained."""
    folder = find_bundle(name)
    return Base(*(restored_fast(folder, dither) if is_bundle(folder) else load_fast(folder)))


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


def settled(config: FastConfig) -> tuple[FastConfig, Base | None]:
    """The settings of a run with nothing left open, and its base, where it has one: what `config` does not set is as in
    the base, else at its default. Raises ValueError where settings do not fit together or the base, and
    FileNotFoundError where the base is none."""
    base = None if config.base is None else load_base(config.base, np.random.default_rng(config.seed))
    known, network = (base.words.config, base.network.config) if base else (WordConfig(), _NEW)
    words = {**asdict(known), "links": reads_links(known.features)}
    out = replace(config, words=_filled(config.words, words), sizes=_filled(config.sizes, asdict(network)))
    if base is not None:
        _check_base(out, base)
    word_config(out.words)
    size, heads = out.sizes.size, out.sizes.heads
    if size is not None and heads and size % heads:
        raise ValueError(f"sizes.size is {size}, which is no multiple of sizes.heads, {heads}")
    return out, base


def _filled(settings: _Settings, known: dict[str, Any]) -> _Settings:
    """`settings` with what is not set (None) as in `known`."""
    return replace(settings, **{f.name: known[f.name] for f in fields(settings) if getattr(settings, f.name) is None})


def _check_base(config: FastConfig, base: Base) -> None:
    """Raises ValueError where a run cannot go on from its base with these settings."""
    found = {"words": base.words.config, "sizes": base.network.config}
    pairs = [
        (f"{part}.{name}", getattr(found[part], name), getattr(getattr(config, part), name))
        for part, names in _FIXED.items()
        for name in names
    ]
    # These can be learnt later, but not be unlearnt.
    if reads_links(base.words.config.features):
        pairs.append(("words.links", True, config.words.links))
    if base.network.config.local:
        pairs.append(("sizes.local", True, config.sizes.local))
    for key, known, asked in pairs:
        if asked != known:
            raise ValueError(f"base {config.base}: its {key} is {known}, the config has {asked}; leave it out there")


def _sizes(config: FastConfig, words: Words) -> HierarchicalConfig:
    features = len(words.config.features)
    return HierarchicalConfig(words.size, len(config.labels), **asdict(config.sizes), features=features)


def begin(config: FastConfig, words: Words, states: int, base: Base | None, *, first_stage: bool) -> FastState:
    """The networks before their first step: those of the base (of its last layer, the rows of labels that it knows by
    name), or with the vectors of the teacher's words and of sentences."""
    sizes = _sizes(config, words)
    network = HierarchicalNetwork(sizes)
    settings = config.optim
    if base is not None:
        before = widened(base.network, sizes.features, sizes.local)
        if tuple(base.info["labels"]) != config.labels:
            before.page.head = relabelled(before.page.head, base.info["labels"], config.labels)
        network.load_state_dict(before.state_dict())
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
