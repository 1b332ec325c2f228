"""Train the fast model: from labelled pages and from the accurate model's probabilities on unlabelled ones.

    pagelabel train --config training/hierarchical.toml -o runs/fast

Distillation as in Hinton et al. 2015 (https://arxiv.org/abs/1503.02531): the teacher's probabilities, as its network
gives them, are part of the targets.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm
from transformers import set_seed

from pagelabel.data.splits import split_by_site
from pagelabel.model.hierarchical import HierarchicalNetwork
from pagelabel.model.words import Words
from pagelabel.training.fast_config import FastConfig, load_fast_config
from pagelabel.training.fast_examples import Batch, Noise, Part, Rows, learn_words, word_config
from pagelabel.training.fast_parts import epoch_parts
from pagelabel.training.fast_start import begin, settled
from pagelabel.training.fast_state import FastState, save_fast
from pagelabel.training.listings import listing_pages
from pagelabel.training.pages import check_pages, load_pages
from pagelabel.training.precision import half_precision
from pagelabel.training.run_folder import LAST, digests, keep
from pagelabel.training.student import Targets, loss_of
from pagelabel.training.wrapping import as_read

_STATE = "state.safetensors"


@torch.no_grad()
def predict(network: HierarchicalNetwork, rows: Rows, words: Words) -> list[npt.NDArray[np.int64]]:
    """Label ids of each page, read in the windows that labelling reads."""
    network.eval()
    rng = np.random.default_rng(0)
    out = []
    for row in rows.rows:
        labels = np.zeros(len(row.labels), dtype=np.int64)
        full = rows.batch([Part.whole(row)], Noise(), rng)
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
    """Train as `config` says; returns the folder of the best checkpoint, `output/best`. That of the end is in
    `output/last`: the mean of both (`pagelabel.training.fast_soup`) may be better than either.

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
    config, base = settled(config)
    others = {name: getattr(config, name) for name in ("sentences", "probabilities", "states")}
    learnt = digests(config.data, **others)
    pages = load_pages(config.data.train, config.labels, config.data.corrections)
    if config.data.dev:
        dev = {Path(file).name.split(".")[0]: load_pages([file], config.labels) for file in config.data.dev}
        if len(dev) < len(config.data.dev):
            raise ValueError(f"data.dev: two files have one name up to its first dot: {', '.join(config.data.dev)}")
    else:
        pages, held = split_by_site(pages, config.data.dev_share, config.seed)
        dev = {"dev": held}
    check_pages(pages, [page for found in dev.values() for page in found], config.data, config.labels)
    if config.augment.listings:
        pages = pages + listing_pages(pages, config.augment.listings, config.seed, config.labels)
    words = Words(base.words.vocabulary, word_config(config.words)) if base else learn_words(pages, config.words)
    targets = Targets.read(config)
    join = words.config.join_lines
    pages = as_read(targets.of(pages), join=join, wrap=config.augment.wrap_lines, seed=config.seed)
    rows = Rows(pages, words, config.labels, config.optim.doubt_weight)
    dev_rows = {name: Rows(as_read(found, join=join), words, config.labels, 1.0) for name, found in dev.items()}
    print(f"{len(pages)} pages, {words.size} words, {config.optim.epochs} epochs", file=sys.stderr)
    state = begin(config, words, targets.states_size, base, first_stage=not resume)
    if resume:
        state.load(stored, config, learnt)
    else:
        state.save(stored, config, learnt)
    dev_files = list(config.data.dev) or [keep(dev["dev"], output, resume=resume)]
    unknown = range(1 + len(words.vocabulary), words.size)
    noise = Noise(config.optim.drop_words, unknown, config.augment.hide_about, config.augment.hide_links)
    started = time.time() - state.seconds
    for epoch in tqdm(range(state.epoch, config.optim.epochs), disable=not sys.stderr.isatty(), unit="epoch"):
        state.network.train()
        # Laid out when it begins: only one epoch is in memory at a time.
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
            info = {"training": config.to_dict(), "dev": dev_files, "metrics": found, "start": base and base.info}
            if found["macro_f1"] > state.best:
                state.best = found["macro_f1"]
                save_fast(output / "best", state.averaged, words, info)
            if done == 1:
                save_fast(output / LAST, state.averaged, words, {**info, LAST: True})
        state.epoch, state.seconds = epoch + 1, time.time() - started
        state.save(stored, config, learnt)
    return output / "best"


def learn(state: FastState, batch: Batch, config: FastConfig, done: float) -> float:
    """One step, with the rate that belongs where the share `done` of the run is done; returns its loss."""
    (group,) = state.optimizer.param_groups
    group["lr"] = config.optim.rate * float(np.interp(done, [0, config.optim.warmup, 1], [0, 1, 0]))
    # 0.18 instead of 0.34 s a step on one core.
    with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
        logits, states = state.network(batch.ids, batch.words, batch.places, batch.features, batch.mask)
        told = state.to_states(states)
    loss = loss_of(logits.float(), told.float(), batch, config)
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


def run(config: str, output: str, *, resume: bool) -> int:
    """Train as the TOML file `config` says, and print where the best checkpoint is."""
    # Each size of batch gets kernels of its own, of which oneDNN keeps 1,024: a run in bfloat16 had grown to 17 GB.
    # With this many, enough for the sizes that batches are rounded to, it stays at 2.7.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "384")
    print(train_fast(load_fast_config(config), output, resume=resume))
    return 0
