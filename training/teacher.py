"""What a trained model thinks of labelled pages: its probabilities, for a smaller model to learn from.

    python -m pagelabel.training.teacher CHECKPOINT PAGES... -o FILE

writes a safetensors file with float16 [N, labels] for each page, by id. Distillation as in Hinton et al. 2015
(https://arxiv.org/abs/1503.02531); what the labels say of a paragraph is one word, the probabilities tell how near the
others were.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from torch.utils.data import DataLoader
from tqdm import tqdm

from pagelabel.data.page import Page
from pagelabel.model.checkpoint import Checkpoint, load_checkpoint
from pagelabel.model.encoding import Encoder
from pagelabel.training.examples import Windows, collate, evaluation_plan, tokenized
from pagelabel.training.pages import load_pages
from pagelabel.training.precision import compile_network, half_precision

_BATCH = 16

Probabilities = npt.NDArray[np.float32]


@torch.inference_mode()
def probabilities(checkpoint: Checkpoint, pages: Sequence[Page], *, compiled: bool = False) -> list[Probabilities]:
    """Probabilities [N, labels] of each page's paragraphs, read in the windows that labelling reads."""
    encoder = Encoder(checkpoint.tokenizer, checkpoint.encoding)
    network = checkpoint.network.eval()
    if compiled:
        compile_network(network)
    rows = tokenized(pages, encoder, checkpoint.labels, 1.0)
    plan = evaluation_plan(rows, encoder)
    out = [np.zeros((len(page.paragraphs), len(checkpoint.labels)), dtype=np.float32) for page in pages]
    loader = DataLoader(Windows(rows, plan, encoder), batch_size=_BATCH, collate_fn=collate)
    examples = iter(plan)
    for batch in tqdm(loader, desc="teacher", unit="batch", disable=not sys.stderr.isatty()):
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            logits = network(batch["input_ids"], batch["features"], batch["attention_mask"])
        found = logits.float().softmax(-1).numpy()
        markers = (batch["input_ids"] == checkpoint.encoding.marker_id).numpy()
        for row, places in zip(found, markers, strict=True):
            example = next(examples)
            core = slice(example.start - example.first, example.stop - example.first)
            out[example.row][example.start : example.stop] = row[places][core]
    return out


def write_probabilities(file: Path, pages: Sequence[Page], found: Sequence[Probabilities]) -> None:
    """Raises ValueError where two pages have one id."""
    by_id = {page.id: row.astype(np.float16) for page, row in zip(pages, found, strict=True)}
    if len(by_id) < len(pages):
        raise ValueError(f"{len(pages) - len(by_id)} pages have the id of another: each needs its own")
    temporary = file.with_name(f"{file.name}.tmp{os.getpid()}")
    save_file(by_id, str(temporary))
    temporary.rename(file)


def read_probabilities(file: str) -> dict[str, Probabilities]:
    """By page id, float32 [N, labels]."""
    return {name: row.astype(np.float32) for name, row in load_file(file).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Probabilities of a trained model for labelled pages.")
    parser.add_argument("checkpoint")
    parser.add_argument("pages", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    checkpoint = load_checkpoint(args.checkpoint)
    pages = load_pages(args.pages, checkpoint.labels)
    write_probabilities(args.output, pages, probabilities(checkpoint, pages, compiled=half_precision()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
