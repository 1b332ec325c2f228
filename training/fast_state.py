"""Checkpoints of the fast model, and what a run of it needs to go on after it was stopped."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pagelabel.model.checkpoint import is_checkpoint
from pagelabel.model.hierarchical import HierarchicalConfig, HierarchicalNetwork
from pagelabel.model.words import WordConfig, Words
from pagelabel.training.config import same_settings
from pagelabel.training.fast_config import CHECKPOINT, FastConfig
from pagelabel.training.run_folder import Digests, check_digests

_WEIGHTS = "model.safetensors"


def save_fast(folder: Path, network: HierarchicalNetwork, words: Words, info: dict[str, Any]) -> None:
    temporary = folder.with_name(f"{folder.name}.tmp{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(network.state_dict(), str(temporary / _WEIGHTS))
    record = {
        "labels": list(info["training"]["labels"]),
        "sizes": network.config.to_dict(),
        "words": words.config.to_dict(),
        "vocabulary": list(words.vocabulary),
        **info,
    }
    (temporary / CHECKPOINT).write_text(json.dumps(record) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def load_fast(folder: str | Path) -> tuple[HierarchicalNetwork, Words, dict[str, Any]]:
    """Network, vocabulary and `info` of a checkpoint. Raises FileNotFoundError where `folder` is none."""
    file = Path(folder) / CHECKPOINT
    if not file.is_file():
        known = ", but one of 'pagelabel train'" if is_checkpoint(folder) else f" (it has no {CHECKPOINT})"
        raise FileNotFoundError(f"{folder}: no checkpoint of the fast model{known}")
    record = json.loads(file.read_text(encoding="utf-8"))
    network = HierarchicalNetwork(HierarchicalConfig(**record["sizes"]))
    network.load_state_dict(load_file(str(Path(folder) / _WEIGHTS)))
    network.eval()
    return network, Words(record.pop("vocabulary"), WordConfig.from_dict(record["words"])), record


@dataclass(slots=True)
class FastState:
    """A run: the network, its moving average, the map of its states to the teacher's, the optimizer of both; epochs and
    steps done, the best macro-F1 so far and the seconds that it took."""

    network: HierarchicalNetwork
    averaged: HierarchicalNetwork
    to_states: torch.nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    best: float = -1.0
    seconds: float = 0.0

    def save(self, file: Path, config: FastConfig, data: Digests) -> None:
        """Written whole or not at all."""
        tensors = {name: tensor.detach().clone() for name, tensor in self._weights()}
        for i, values in self.optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{i}.{name}": value.clone() for name, value in values.items()})
        # Dropout draws from it.
        tensors["random"] = torch.get_rng_state()
        done = {"epoch": self.epoch, "step": self.step, "best": self.best, "seconds": self.seconds}
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f"{file.name}.tmp{os.getpid()}")
        told = {"config": config.to_dict(), "done": done, "data": data}
        save_file(tensors, str(temporary), {name: json.dumps(value) for name, value in told.items()})
        temporary.rename(file)

    def load(self, file: Path, config: FastConfig, data: Digests) -> None:
        """Raises ValueError where the run was begun with other settings or data."""
        with safe_open(str(file), framework="pt") as stored:
            metadata = stored.metadata()
            settings = json.loads(metadata["config"])
            # Before there was a choice, layers did not read neighbours.
            settings["sizes"].setdefault("local", False)
            if not same_settings(settings, config):
                raise ValueError(
                    f"{file}: the run was started with other settings; resume with those, or use another folder"
                )
            check_digests(json.loads(metadata.get("data", "null")), data)
            with torch.no_grad():
                for name, weight in self._weights():
                    weight.copy_(stored.get_tensor(name))
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for key in stored.keys():  # noqa: SIM118 (a file, no dict)
                if key.startswith("optimizer."):
                    _, i, name = key.split(".")
                    moments.setdefault(int(i), {})[name] = stored.get_tensor(key)
            torch.set_rng_state(stored.get_tensor("random"))
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        for name, value in json.loads(metadata["done"]).items():
            setattr(self, name, value)

    def _weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        for part in ("network", "averaged", "to_states"):
            for name, weight in getattr(self, part).state_dict().items():
                yield f"{part}.{name}", weight
