"""Train the fast model: from labelled pages and from the accurate model's probabilities on unlabelled ones.

    python -m pagelabel.training.fast --config training/hierarchical.toml -o runs/fast

Distillation as in Hinton et al. 2015 (https://arxiv.org/abs/1503.02531): the teacher's calibrated probabilities are the
targets.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm
from transformers import set_seed

from pagelabel.data.splits import split_by_site
from pagelabel.model.hierarchical import HierarchicalConfig, HierarchicalNetwork
from pagelabel.model.words import WordConfig, Words
from pagelabel.training.base import load_model
from pagelabel.training.fast_config import FastConfig, load_fast_config
from pagelabel.training.fast_examples import Batch, Noise, Rows, epoch_parts, learn_words
from pagelabel.training.fast_state import FastState
from pagelabel.training.listings import listing_pages
from pagelabel.training.pages import load_pages
from pagelabel.training.sentences import learn_sentences
from pagelabel.training.student import Targets, loss_of

_WEIGHTS, _CONFIG, _STATE = "model.safetensors", "fast.json", "state.safetensors"


def word_vectors(words: Words, teacher: str, size: int) -> torch.Tensor:
    """First vectors [words.size, size]: each word's mean word piece of the teacher, in the `size` directions of most
    variance, scaled to the deviation of a fresh table. Ids that are no words stay random."""
    checkpoint = load_model(teacher)
    table = checkpoint.network.encoder.get_input_embeddings().weight.detach()
    encoded = checkpoint.tokenizer.encode_batch_fast(list(words.vocabulary), add_special_tokens=False)
    means = torch.stack([table[e.ids].mean(0) if e.ids else table[0] * 0 for e in encoded])
    means = means - means.mean(0)
    directions = torch.linalg.svd(means[: 4 * table.shape[1]] if len(means) < 64 else means, full_matrices=False)[2]
    found = means @ directions[:size].T
    out = torch.randn(words.size, size) * 0.3
    out[1 : 1 + len(found), : found.shape[1]] = found * (0.3 / found.std().clamp_min(1e-6))
    return out


@torch.no_grad()
def predict(network: HierarchicalNetwork, rows: Rows, words: Words) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Label ids of each page, read in the windows that labelling reads."""
    network.eval()
    rng = np.random.default_rng(0)
    out = []
    for row in rows.rows:
        labels = np.zeros(len(row.labels), dtype=np.int64)
        full = rows.batch([(row, range(len(row.labels)))], Noise(), rng)
        vectors = network.paragraphs(full.ids, full.words)[full.places]
        about = len(row.about)
        for first, start, stop, end in words.spans(len(row.labels)):
            inside = [*range(about), *range(about + first, about + end)]
            logits = network.page(vectors[:, inside], full.features[:, inside])[0]
            labels[start:stop] = logits[about + start - first : about + stop - first].argmax(-1).numpy()
        out.append(labels)
    return out


def scores(network: HierarchicalNetwork, dev: dict[str, Rows], words: Words) -> dict[str, float]:
    out = {}
    for name, rows in dev.items():
        gold = np.concatenate([row.labels for row in rows.rows])
        given = np.concatenate(predict(network, rows, words))
        out[f"{name}_macro_f1"] = float(f1_score(gold, given, labels=np.unique(gold), average="macro"))
        out[f"{name}_accuracy"] = float(accuracy_score(gold, given))
    out["macro_f1"] = float(np.mean([value for key, value in out.items() if key.endswith("_macro_f1")]))
    return out


def train_fast(config: FastConfig, output: str | Path, *, resume: bool = False) -> Path:
    """Train as `config` says; returns the folder of the best checkpoint, `output/best`.

    With `resume`, goes on behind the last epoch that was done: the result is that of a run that was never stopped.
    Raises ValueError on data or settings that do not fit, and where `output` holds a run and `resume` is not given.
    """
    output = Path(output)
    stored = output / _STATE
    if stored.exists() != resume:
        raise ValueError(
            f"{output} holds a training run: use --resume to go on with it, or another folder"
            if stored.exists()
            else f"{output}: no training run to resume there"
        )
    set_seed(config.seed)
    pages = load_pages(config.data.train, config.labels, config.data.corrections)
    if config.data.dev:
        dev = {Path(file).name.split(".")[0]: load_pages([file], config.labels) for file in config.data.dev}
    else:
        pages, held = split_by_site(pages, config.data.dev_share, config.seed)
        dev = {"dev": held}
    if config.augment.listings:
        pages = pages + listing_pages(pages, config.augment.listings, config.seed, config.labels)
    words = learn_words(pages, config.words)
    targets = Targets.read(config)
    rows = Rows(targets.of(pages), words, config.labels, config.optim.doubt_weight)
    dev_rows = {name: Rows(found, words, config.labels, 1.0) for name, found in dev.items()}
    print(f"{len(pages)} pages, {words.size} words, {config.optim.epochs} epochs", file=sys.stderr)
    state = begin(config, words, targets.states_size, first_stage=not resume)
    if resume:
        state.load(stored, config)
    else:
        state.save(stored, config)
    unknown = range(1 + len(words.vocabulary), words.size)
    noise = Noise(config.optim.drop_words, unknown, config.augment.hide_about)
    started = time.time() - state.seconds
    for epoch in tqdm(range(state.epoch, config.optim.epochs), disable=not sys.stderr.isatty(), unit="epoch"):
        state.network.train()
        # Laid out when it begins: all of twelve at once took 3 GB.
        plan = list(epoch_parts(rows.rows, config, epoch))
        for i, parts in enumerate(plan, 1):
            state.step += 1
            before, done = ((epoch + place / len(plan)) / config.optim.epochs for place in (i - 1, i))
            batch = rows.batch(parts, noise, np.random.default_rng((config.seed, state.step)))
            loss = learn(state, batch, config, (before + done) / 2)
            if int(before * config.optim.evaluations) == int(done * config.optim.evaluations):
                continue
            found = scores(state.averaged, dev_rows, words)
            record = {"step": state.step, "loss": round(loss, 4), "seconds": round(time.time() - started), **found}
            print(json.dumps(record), file=sys.stderr)
            if found["macro_f1"] > state.best:
                state.best = found["macro_f1"]
                save_fast(output / "best", state.averaged, words, {"training": config.to_dict(), "metrics": found})
        state.epoch, state.seconds = epoch + 1, time.time() - started
        state.save(stored, config)
    return output / "best"


def begin(config: FastConfig, words: Words, states: int, *, first_stage: bool) -> FastState:
    """The networks before their first step, with the vectors of the teacher's words and of sentences."""
    sizes = HierarchicalConfig(words.size, len(config.labels), **asdict(config.sizes))
    network = HierarchicalNetwork(sizes)
    settings = config.optim
    if first_stage and config.teacher is not None:
        network.paragraphs.words.weight.data.copy_(word_vectors(words, config.teacher, sizes.word_size))
    if first_stage and config.sentences is not None:
        learn_sentences(
            network.paragraphs, words, config.sentences, settings.sentence_epochs, settings.drop_words, config.seed
        )
    to_states = torch.nn.Linear(network.page.head.in_features, states) if states else torch.nn.Identity()
    parameters = [*network.parameters(), *to_states.parameters()]
    optimizer = torch.optim.AdamW(parameters, settings.rate, weight_decay=settings.weight_decay)
    return FastState(network, copy.deepcopy(network).eval(), to_states, optimizer)


def learn(state: FastState, batch: Batch, config: FastConfig, done: float) -> float:
    """One step, with the rate that belongs where the share `done` of the run is done; returns its loss."""
    (group,) = state.optimizer.param_groups
    group["lr"] = config.optim.rate * float(np.interp(done, [0, config.optim.warmup, 1], [0, 1, 0]))
    logits, states = state.network(batch.ids, batch.words, batch.places, batch.features, batch.mask)
    loss = loss_of(logits, state.to_states(states), batch, config)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    state.optimizer.step()
    average(state.averaged, state.network, min(config.optim.averaging, state.step / (state.step + 10)))
    return loss.item()


@torch.no_grad()
def average(averaged: HierarchicalNetwork, network: HierarchicalNetwork, share: float) -> None:
    """Move the averaged weights towards those of `network`, keeping `share` of themselves."""
    for mean, weight in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, 1 - share)


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
    (temporary / _CONFIG).write_text(json.dumps(record) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def load_fast(folder: str | Path) -> tuple[HierarchicalNetwork, Words, dict[str, Any]]:
    record = json.loads((Path(folder) / _CONFIG).read_text(encoding="utf-8"))
    network = HierarchicalNetwork(HierarchicalConfig(**record["sizes"]))
    network.load_state_dict(load_file(str(Path(folder) / _WEIGHTS)))
    network.eval()
    return network, Words(record.pop("vocabulary"), WordConfig.from_dict(record["words"])), record


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the fast model.")
    parser.add_argument("--config", required=True)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--resume", action="store_true", help="go on with the run that is in the output folder")
    args = parser.parse_args()
    print(train_fast(load_fast_config(args.config), args.output, resume=args.resume))
    return 0


if __name__ == "__main__":
    sys.exit(main())
