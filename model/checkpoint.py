"""A training checkpoint: weights (safetensors), tokenizer and everything needed to rebuild and explain the model."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from pagelabel.model.encoding import EncodingConfig
from pagelabel.model.network import PageNetwork, from_config

_WEIGHTS, _CONFIG, _TOKENIZER = "model.safetensors", "checkpoint.json", "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`info` holds labels, encoding, encoder (its settings), training (the resolved config), start (the `info` of the
    checkpoint that training began with, or None), data (sha256 by file), dev (files), metrics, commit."""

    network: PageNetwork
    tokenizer: Tokenizer
    info: dict[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.info["labels"])

    @property
    def encoding(self) -> EncodingConfig:
        return EncodingConfig.from_dict(self.info["encoding"])


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write to a temporary folder beside `folder`, then rename; an older one in its place is replaced."""
    temporary = folder.with_name(f"{folder.name}.tmp{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(checkpoint.network.state_dict(), str(temporary / _WEIGHTS))
    checkpoint.tokenizer.save(str(temporary / _TOKENIZER))
    (temporary / _CONFIG).write_text(json.dumps(checkpoint.info, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def is_checkpoint(folder: str | Path) -> bool:
    return (Path(folder) / _CONFIG).is_file()


def load_info(folder: str | Path) -> dict[str, Any]:
    """Everything that a checkpoint tells of itself, without its weights."""
    info: dict[str, Any] = json.loads((Path(folder) / _CONFIG).read_text(encoding="utf-8"))
    return info


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """Raises FileNotFoundError when `folder` is not a checkpoint and ValueError when its parts do not fit."""
    folder = Path(folder)
    for name in (_WEIGHTS, _CONFIG, _TOKENIZER):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: missing, so {folder} is not a checkpoint of pagelabel train")
    info = load_info(folder)
    network = from_config(info["encoder"], len(info["labels"]), len(info["encoding"]["features"]))
    try:
        network.load_state_dict(load_file(str(folder / _WEIGHTS)))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder / _WEIGHTS}: does not fit {_CONFIG}: {error}") from error
    network.eval()
    return Checkpoint(network, Tokenizer.from_file(str(folder / _TOKENIZER)), info)
