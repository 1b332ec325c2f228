"""The mean of the weights of checkpoints of the fast model, see `pagelabel.training.soup`.

    python -m pagelabel.training.fast_soup MODEL MODEL... -o CHECKPOINT

MODEL is a checkpoint, a bundle, or `fast`; one that is named twice counts twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagelabel.commands import finish
from pagelabel.training.fast_start import Base, load_base, widened
from pagelabel.training.fast_state import save_fast
from pagelabel.training.soup import mean_of, name_of

FAST_MEAN = "mean"


def mean_fast(models: Sequence[Base]) -> Base:
    """The mean, with vocabulary, settings and history of the last one; its `info` names the others under `averaged`.
    Raises ValueError where labels, sizes or vocabularies differ."""
    last = models[-1]
    sizes, encoding = last.network.config, last.words.config
    # What can be read anew by a network that is trained: those from before then count as ones to which it says nothing.
    added: dict[str, Any] = {"features": encoding.features, "join_lines": encoding.join_lines}
    for other in models[:-1]:
        for what, ours, theirs in (
            ("labels", last.info["labels"], other.info["labels"]),
            (
                "sizes",
                sizes,
                replace(widened(other.network, sizes.features, sizes.local).config, dropout=sizes.dropout),
            ),
            ("vocabularies", last.words.vocabulary, other.words.vocabulary),
            ("encodings", encoding, replace(other.words.config, **added)),
        ):
            if ours != theirs:
                raise ValueError(f"their {what} differ: a mean is of models that were trained one from another")
    networks = [widened(model.network, sizes.features, sizes.local) for model in models]
    networks[-1].load_state_dict(mean_of([network.state_dict() for network in networks]))
    names = [name_of(model.info, FAST_MEAN) for model in models[:-1]]
    return Base(networks[-1], last.words, {**last.info, "averaged": names, "metrics": {}})


def main() -> int:
    parser = argparse.ArgumentParser(description="Average the weights of checkpoints of the fast model.")
    parser.add_argument("checkpoints", nargs="+", help="the last one gives vocabulary, settings and history")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    mean = mean_fast([load_base(name) for name in args.checkpoints])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_fast(args.output, mean.network, mean.words, mean.info)
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(finish("pagelabel.training.fast_soup", main))
