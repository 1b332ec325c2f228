"""The fast model's first stage: what a sentence encoder knows, learnt from paragraphs without labels.

    python -m pagelabel.training.sentences PAGES... -o FILE [--base all-MiniLM-L6-v2]

writes each distinct paragraph, as the fast model sees it (its first and last words), with the encoder's vector of it.
`learn_sentences` then trains a paragraph reader to tell that vector: a static student of a sentence encoder, as in
Tulkens and van Dongen, Model2Vec, 2024 (https://github.com/MinishLab/model2vec), with the neighbours of a word. A word
that no labelled page has used in an appeal for gifts is then near those that some did.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm
from transformers import AutoModel

from pagelabel.commands import finish
from pagelabel.data.pagefiles import valid_pages
from pagelabel.model.hierarchical import ParagraphReader
from pagelabel.model.words import WordConfig, Words
from pagelabel.training.base import load_tokenizer, resolve_base
from pagelabel.training.fast_examples import padded
from pagelabel.training.precision import half_precision

_SIZE = 128
_BATCH_TOKENS = 4096
_RATE, _BATCH = 2e-3, 512


def distinct_texts(files: Sequence[str]) -> list[str]:
    """Each distinct paragraph of the pages as the fast model sees it, in order of appearance."""
    words = Words((), WordConfig())
    seen: dict[str, None] = {}
    for page in valid_pages(files):
        for text in page.paragraphs:
            seen.setdefault(" ".join(words.split(text)))
    seen.pop("", None)
    return list(seen)


@torch.no_grad()
def sentence_vectors(texts: Sequence[str], base: str) -> npt.NDArray[np.float32]:
    """Unit vectors [N, H] of the encoder `base`: the mean over a text's tokens."""
    name = resolve_base(base)
    model = AutoModel.from_pretrained(name).eval()
    tokenizer = load_tokenizer(name)
    tokenizer.enable_truncation(96)
    tokenizer.no_padding()
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = np.empty((len(ids), model.config.hidden_size), dtype=np.float32)
    bar = tqdm(total=len(ids), desc="vectors", unit="text", disable=not sys.stderr.isatty())
    start = 0
    while start < len(order):
        # The last of a batch is its longest.
        end = start + 1
        while end < len(order) and (end + 1 - start) * len(ids[order[end]]) <= _BATCH_TOKENS:
            end += 1
        part = order[start:end]
        longest = len(ids[part[-1]])
        tokens, mask = np.zeros((len(part), longest), np.int64), np.zeros((len(part), longest), np.int64)
        for row, i in enumerate(part):
            tokens[row, : len(ids[i])], mask[row, : len(ids[i])] = ids[i], 1
        weights = torch.from_numpy(mask)
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
            hidden = model(input_ids=torch.from_numpy(tokens), attention_mask=weights).last_hidden_state.float()
        mean = (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        out[part] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        bar.update(len(part))
        start = end
    return out


def principal(vectors: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """The vectors [N, H] in their `size` directions of most variance, [N, size], all scaled alike to a mean variance of
    one."""
    centred = vectors - vectors.mean(0)
    directions = np.linalg.eigh(centred.T @ centred / len(centred))[1]
    found = centred @ directions[:, ::-1][:, :size]
    return np.asarray(found / max(float(found.std()), 1e-9), np.float32)


def learn_sentences(
    reader: ParagraphReader, words: Words, file: str, epochs: int, drop: float, seed: int
) -> list[float]:
    """Train `reader` on the vectors in `file`; returns the share of their variance that is left, by epoch. A share
    `drop` of the words becomes unknown ones."""
    data = datasets.Dataset.from_parquet(file, keep_in_memory=True)
    pieces = [words.ids(text) for text in data["text"]]
    targets = torch.from_numpy(np.stack(data.with_format("numpy")["vector"]).astype(np.float32))
    out = torch.nn.Linear(reader.out.out_features, targets.shape[1])
    parameters = [*reader.parameters(), *out.parameters()]
    steps = epochs * -(-len(pieces) // _BATCH)
    optimizer = torch.optim.AdamW(parameters, _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng((seed, 0))
    lengths = np.array([len(piece) for piece in pieces])
    unknown = (1 + len(words.vocabulary), words.size)
    left = []
    for _ in range(epochs):
        total = 0.0
        for part in np.array_split(rng.permutation(len(pieces)), -(-len(pieces) // _BATCH)):
            part = part[np.argsort(lengths[part], kind="stable")]
            ids, mask = padded([pieces[i] for i in part])
            hit = (rng.random(ids.shape) < drop) & (mask > 0)
            ids[hit] = rng.integers(*unknown, int(hit.sum()))
            with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
                given = out(torch.relu(reader(torch.from_numpy(ids), torch.from_numpy(mask))))
            loss = torch.nn.functional.mse_loss(given.float(), targets[part])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(part)
        left.append(total / len(pieces))
        print(f"first stage: {left[-1]:.3f} of the variance left", file=sys.stderr)
    return left


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the distinct paragraphs of pages with their sentence vectors.")
    parser.add_argument("pages", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", default="all-MiniLM-L6-v2", help="a sentence encoder: folder, package or hub name")
    args = parser.parse_args()
    texts = distinct_texts(args.pages)
    if not texts:
        parser.error(f"no text in the pages of {', '.join(args.pages)}")
    print(f"{len(texts)} distinct texts", file=sys.stderr)
    vectors = principal(sentence_vectors(texts, args.base), _SIZE)
    features: Any = datasets.Features(
        {"text": datasets.Value("string"), "vector": datasets.List(datasets.Value("float16"), length=vectors.shape[1])}
    )
    temporary = args.output.with_name(f"{args.output.name}.tmp{os.getpid()}")
    rows = {"text": texts, "vector": list(vectors.astype(np.float16))}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(temporary))
    temporary.rename(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(finish("pagelabel.training.sentences", main))
