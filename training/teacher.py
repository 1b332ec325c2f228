"""What a trained model thinks of labelled pages: its probabilities, for a smaller model to learn from.

    python -m pagelabel.training.teacher MODEL PAGES... -o FILE [--states FILE]

MODEL is a checkpoint, a bundle, or `accurate`. Writes a safetensors file with float16 [N, labels] for each page, by id,
and another with the states that the probabilities are made of, float16 [N, 64], in the 64 directions in which the
states of all pages differ most.
Distillation as in Hinton et al. 2015 (https://arxiv.org/abs/1503.02531): what the labels say of a paragraph is one
word, the probabilities tell how near the others were. States tell more, as in Romero et al. 2014
(https://arxiv.org/abs/1412.6550): a teacher is sure of most of the pages it has learnt from.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch.utils.data import DataLoader
from tqdm import tqdm

from pagelabel.commands import finish
from pagelabel.data.page import Page
from pagelabel.model.checkpoint import Checkpoint
from pagelabel.model.encoding import Encoder
from pagelabel.model.lines import Lines
from pagelabel.model.network import PageNetwork
from pagelabel.training.base import load_model
from pagelabel.training.examples import Windows, collate, evaluation_plan, tokenized
from pagelabel.training.pages import load_pages
from pagelabel.training.precision import compile_network, half_precision
from pagelabel.training.sentences import principal

_BATCH = 16
_STATES = 64

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]


class _Reader(torch.nn.Module):
    """Logits, and the states that they are made of."""

    def __init__(self, network: PageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: torch.Tensor, features: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.network.states(input_ids, features, attention_mask)
        return self.network.head(states), states


@torch.inference_mode()
def opinions(
    checkpoint: Checkpoint, pages: Sequence[Page], *, compiled: bool = False
) -> tuple[list[Floats], list[Halves]]:
    """Probabilities [N, labels] and states [N, hidden_size] of each page's paragraphs, read in the windows that
    labelling reads; lines that are read joined have those of their paragraph."""
    encoder = Encoder(checkpoint.tokenizer, checkpoint.encoding)
    lines = [Lines.of(page, join=checkpoint.encoding.join_lines) for page in pages]
    pages = [read.page for read in lines]
    reader = _Reader(checkpoint.network.eval())
    if compiled:
        compile_network(reader, checkpoint.network.encoder)
    rows = tokenized(pages, encoder, checkpoint.labels, 1.0)
    plan = evaluation_plan(rows, encoder)
    labels, hidden = len(checkpoint.labels), checkpoint.network.head.in_features
    probabilities = [np.zeros((len(page.paragraphs), labels), np.float32) for page in pages]
    states = [np.zeros((len(page.paragraphs), hidden), np.float16) for page in pages]
    loader = DataLoader(Windows(rows, plan, encoder), batch_size=_BATCH, collate_fn=collate)
    examples = iter(plan)
    for batch in tqdm(loader, desc="teacher", unit="batch", disable=not sys.stderr.isatty()):
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            logits, found = reader(batch["input_ids"], batch["features"], batch["attention_mask"])
        likely = logits.float().softmax(-1).numpy()
        markers = (batch["input_ids"] == checkpoint.encoding.marker_id).numpy()
        for given, state, places in zip(likely, found.float().numpy(), markers, strict=True):
            example = next(examples)
            core = slice(example.start - example.first, example.stop - example.first)
            probabilities[example.row][example.start : example.stop] = given[places][core]
            states[example.row][example.start : example.stop] = state[places][core]
    return (
        [np.repeat(rows, read.sizes, axis=0) for rows, read in zip(probabilities, lines, strict=True)],
        [np.repeat(rows, read.sizes, axis=0) for rows, read in zip(states, lines, strict=True)],
    )


def reduced(states: Sequence[Halves], size: int) -> list[Floats]:
    """The states of each page in the `size` directions in which those of all pages differ most."""
    ends = np.cumsum([len(row) for row in states])
    return np.split(principal(np.concatenate(states).astype(np.float32), size), ends[:-1])


def check_ids(pages: Sequence[Page]) -> None:
    """Raises ValueError where two pages have one id."""
    names = Counter(page.id for page in pages)
    if len(names) < len(pages):
        (name, count), *_ = names.most_common(1)
        raise ValueError(f"{count} pages have the id {name!r}: each needs its own")


def write_rows(file: Path, pages: Sequence[Page], found: Sequence[Floats], labels: Sequence[str] = ()) -> None:
    """Rows by page id; `labels` are those of the columns, where these stand for labels. Raises ValueError where two
    pages have one id."""
    check_ids(pages)
    by_id = {page.id: row.astype(np.float16) for page, row in zip(pages, found, strict=True)}
    temporary = file.with_name(f"{file.name}.tmp{os.getpid()}")
    save_file(by_id, str(temporary), {"labels": json.dumps(list(labels))} if labels else None)
    temporary.rename(file)


def read_rows(file: str, labels: Sequence[str] = ()) -> dict[str, Halves]:
    """What `write_rows` wrote, by page id. Raises ValueError where it is of other labels than `labels`."""
    with safe_open(file, framework="numpy") as stored:
        known = json.loads((stored.metadata() or {}).get("labels", "null"))
        if labels and known not in (None, list(labels)):
            raise ValueError(f"{file}: its columns are {known}, the labels here {list(labels)}: make it for these")
        return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (a file, no dict)


def rows_of(page: Page, rows: Mapping[str, Halves], columns: int, file: str | None) -> Halves | None:
    """What `rows`, read from `file`, has of the page, [N, columns], if anything. Raises ValueError where it is of
    another page of that id."""
    found, needed = rows.get(page.id), (len(page.paragraphs), columns)
    if found is not None and found.shape != needed:
        raise ValueError(
            f"{file}: page {page.id!r} has rows of shape {found.shape}, it needs {needed}: was it made for these pages?"
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Probabilities of a trained model for labelled pages.")
    parser.add_argument("model", help="a checkpoint, a bundle, or 'accurate'")
    parser.add_argument("pages", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--states", type=Path, help="write the states behind the probabilities here")
    args = parser.parse_args()
    checkpoint = load_model(args.model)
    pages = load_pages(args.pages, checkpoint.labels)
    check_ids(pages)
    probabilities, states = opinions(checkpoint, pages, compiled=half_precision())
    write_rows(args.output, pages, probabilities, checkpoint.labels)
    if args.states:
        write_rows(args.states, pages, reduced(states, _STATES))
    return 0


if __name__ == "__main__":
    sys.exit(finish("pagelabel.training.teacher", main))
