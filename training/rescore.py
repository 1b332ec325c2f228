"""Train a rescorer on logits of pages that their model was not trained on.

    python -m pagelabel.training.rescore PAGES... --logits runs/fold-0/held-out.safetensors \\
        runs/fold-1/held-out.safetensors -o runs/rescorer.safetensors

The logits are those that `pagelabel.training.fast --hold-out` writes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from pagelabel.data.page import Page
from pagelabel.model.features import page_features
from pagelabel.model.labels import LABELS
from pagelabel.model.rescorer import Rescorer, RescorerConfig
from pagelabel.training.pages import load_pages
from pagelabel.training.teacher import read_rows

_EPOCHS, _BATCH, _RATE, _WEIGHT_DECAY = 8, 16, 3e-3, 0.02
_LONGEST = 384
_SMOOTHING = 0.02
# As in training of the models: rare labels count more than their share.
_CLASS_WEIGHTS = {"quote": 1.6, "teaser": 1.4, "donation": 2.0}
# How far the logits are shaken and stretched, so that it serves models that are surer or less sure of themselves.
_SHAKEN = 0.2


class Row(NamedTuple):
    """A page: logits [N, labels], features [N, F], label ids [N], and whether it is what an extractor leaves of one."""

    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    extract: bool


def rows_of(pages: Sequence[Page], files: Sequence[str], labels: Sequence[str]) -> list[Row]:
    """The pages whose logits are in the files. Raises ValueError where there are none, or they are those of another
    page of that id."""
    found = {key: rows for file in files for key, rows in read_rows(file).items()}
    rows = []
    for page in pages:
        logits = found.get(page.id)
        if logits is None:
            continue
        if logits.shape != (len(page.paragraphs), len(labels)):
            raise ValueError(
                f"page {page.id!r} has logits of shape {logits.shape}, it needs {(len(page.paragraphs), len(labels))}: "
                "were they made for these pages?"
            )
        ids = np.array([labels.index(label) for label in page.labels or ()])
        extract = "view" in page.extra or page.extra.get("form") == "extract"
        rows.append(Row(logits.astype(np.float32), page_features(page.paragraphs), ids, extract))
    if not rows:
        raise ValueError(f"{', '.join(files)}: no logits of any of the {len(pages)} pages")
    return rows


def train_rescorer(rows: Sequence[Row], labels: Sequence[str], seed: int = 0) -> Rescorer:
    """Learn the labels of `rows`; whole pages and what extractors leave count alike where there are both."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Rescorer(RescorerConfig(len(labels)))
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_WEIGHT_DECAY)
    weights = torch.tensor([_CLASS_WEIGHTS.get(label, 1.0) for label in labels])
    plan = [batch for _ in range(_EPOCHS) for batch in _batches(rows, rng)]
    for step, batch in enumerate(tqdm(plan, disable=not sys.stderr.isatty())):
        optimizer.param_groups[0]["lr"] = _RATE * (1 - step / len(plan))
        logits, features, gold, mask = _padded([rows[i] for i in batch], rng)
        stretched = torch.exp(_SHAKEN * torch.randn(len(batch), 1, 1))
        logits = logits.log_softmax(-1) * stretched + _SHAKEN * torch.randn_like(logits)
        given = network(logits, features, mask)[mask > 0]
        loss = cross_entropy(given, gold[mask > 0], weights, label_smoothing=_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def _batches(rows: Sequence[Row], rng: np.random.Generator) -> list[list[int]]:
    """An epoch: every whole page, and as many extracts; pages of about equal length together."""
    extract = np.array([row.extract for row in rows])
    kinds = [ids for ids in (np.flatnonzero(~extract), np.flatnonzero(extract)) if len(ids)]
    picked = np.concatenate([kinds[0], *(rng.choice(ids, len(kinds[0])) for ids in kinds[1:])])
    lengths = np.array([len(rows[i].labels) for i in picked]) + rng.normal(0, 20, len(picked))
    ordered = picked[np.argsort(lengths)]
    batches = [ordered[i : i + _BATCH].tolist() for i in range(0, len(ordered), _BATCH)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _padded(
    rows: Sequence[Row], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, features, label ids and mask, [B, N, ...], of at most `_LONGEST` paragraphs of each page."""
    size = min(_LONGEST, max(len(row.labels) for row in rows))
    count, labels, features = len(rows), rows[0].logits.shape[1], rows[0].features.shape[1]
    logits, gold = np.zeros((count, size, labels), np.float32), np.zeros((count, size), np.int64)
    known, mask = np.zeros((count, size, features), np.float32), np.zeros((count, size), np.float32)
    for i, row in enumerate(rows):
        length = min(size, len(row.labels))
        start = int(rng.integers(0, len(row.labels) - length + 1))
        part = slice(start, start + length)
        logits[i, :length], known[i, :length] = row.logits[part], row.features[part]
        gold[i, :length], mask[i, :length] = row.labels[part], 1
    return torch.from_numpy(logits), torch.from_numpy(known), torch.from_numpy(gold), torch.from_numpy(mask)


def save_rescorer(file: Path, network: Rescorer, info: dict[str, Any]) -> None:
    temporary = file.with_name(f"{file.name}.tmp{os.getpid()}")
    metadata = {"sizes": json.dumps(network.config.to_dict()), "info": json.dumps(info)}
    save_file(network.state_dict(), str(temporary), metadata)
    temporary.rename(file)


def load_rescorer(file: str | Path) -> tuple[Rescorer, dict[str, Any]]:
    """The network, and what is known of its training. Raises ValueError where the file holds something else."""
    with safe_open(str(file), framework="pt") as stored:
        metadata = stored.metadata() or {}
        if "sizes" not in metadata:
            raise ValueError(f"{file}: not a rescorer; make one with python -m pagelabel.training.rescore")
        network = Rescorer(RescorerConfig(**json.loads(metadata["sizes"])))
        network.load_state_dict({key: stored.get_tensor(key) for key in stored.keys()})  # noqa: SIM118 (a file)
    return network.eval(), json.loads(metadata["info"])


def main() -> int:
    parser = argparse.ArgumentParser(description="Train a rescorer on logits of pages held out of training.")
    parser.add_argument("pages", nargs="+", help="labelled pages (JSON lines)")
    parser.add_argument("--logits", nargs="+", required=True, help="files that training with --hold-out wrote")
    parser.add_argument("--corrections", help="corrected labels of these pages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    rows = rows_of(load_pages(args.pages, LABELS, args.corrections), args.logits, LABELS)
    print(f"{len(rows)} pages, {sum(len(row.labels) for row in rows)} paragraphs", file=sys.stderr)
    network = train_rescorer(rows, LABELS, args.seed)
    info = {"labels": list(LABELS), "seed": args.seed, "epochs": _EPOCHS, "pages": len(rows)}
    save_rescorer(args.output, network, info)
    print(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
