"""The mean of the weights of checkpoints that were trained one from another.

    python -m pagelabel.training.soup MODEL MODEL... -o CHECKPOINT

MODEL is a checkpoint, a bundle, or `accurate`.
Wortsman et al., Model soups, 2022 (https://arxiv.org/abs/2203.05482): where fine-tuned models lie in one basin, their
mean is better than most of them, and costs no more to run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pagelabel.commands import finish
from pagelabel.model.checkpoint import Checkpoint, save_checkpoint
from pagelabel.training.base import load_model
from pagelabel.training.run_folder import LAST

# What an encoder's config says that its weights do not depend on; a bundle's has come another way than a checkpoint's.
_IDLE = dict.fromkeys(("_name_or_path", "transformers_version", "dtype"))


def mean_checkpoint(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The mean of the weights, with tokenizer, encoding and history of the last one; its `info` names the others under
    `averaged`. Raises ValueError where labels, encoders or vocabularies differ."""
    last = checkpoints[-1]
    for other in checkpoints[:-1]:
        if other.info["labels"] != last.info["labels"]:
            raise ValueError(f"labels differ: {other.info['labels']} and {last.info['labels']}")
        ours, theirs = ({**checkpoint.info["encoder"], **_IDLE} for checkpoint in (last, other))
        changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        if changed:
            raise ValueError(f"the encoders differ in {', '.join(changed)}")
        if other.tokenizer.get_vocab() != last.tokenizer.get_vocab():
            raise ValueError("the vocabularies differ")
    for checkpoint in checkpoints:
        # One that was trained before links were read counts as one to which they say nothing.
        checkpoint.network.widen(last.network.feature_count)
    last.network.load_state_dict(mean_of([checkpoint.network.state_dict() for checkpoint in checkpoints]))
    names = [name_of(checkpoint.info) for checkpoint in checkpoints[:-1]]
    return Checkpoint(last.network, last.tokenizer, {**last.info, "averaged": names, "metrics": {}})


def mean_of(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several states of one network, by name."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if weight.is_floating_point() else weight
        for name, weight in states[-1].items()
    }


def name_of(info: dict[str, Any], mean: str = "soup") -> str:
    """What a checkpoint is called: by its config (the last one of a run beside its best one: `config/last`), or, where
    it is a mean, by how many means it descends from."""
    if not info.get("averaged"):
        return run_name(info)
    means, stage = 0, info
    while stage:
        means += bool(stage.get("averaged"))
        stage = stage.get("start") or {}
    return mean_name(means, mean)


def run_name(info: dict[str, Any]) -> str:
    """The run that a checkpoint, or the last one of those that it is a mean of, is from."""
    name = str(info["training"]["name"])
    return f"{name}/{LAST}" if info.get(LAST) else name


def mean_name(number: int, mean: str = "soup") -> str:
    return f"{mean}-{number}" if number > 1 else mean


def main() -> int:
    parser = argparse.ArgumentParser(description="Average the weights of checkpoints.")
    parser.add_argument("checkpoints", nargs="+", help="the last one gives tokenizer, encoding and history")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    save_checkpoint(args.output, mean_checkpoint([load_model(name) for name in args.checkpoints]))
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(finish("pagelabel.training.soup", main))
