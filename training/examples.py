"""Labelled pages to training batches: tokenized once, and a plan of windows fixed by the seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch

from pagelabel.data.page import ARTICLE_LABELS, Page, as_unicode
from pagelabel.model.encoding import Encoder
from pagelabel.model.features import read_features, reads_links
from pagelabel.model.hierarchical import round_up
from pagelabel.training.augment import augmented
from pagelabel.training.config import TrainingConfig
from pagelabel.training.run_folder import processes

IGNORED = -100
_PAD_ID = 0
# oneDNN makes its kernels anew for every length of batch that it has none left for.
_LENGTH_STEP = 32


def tokenized(pages: Iterable[Page], encoder: Encoder, labels: Sequence[str], doubt_weight: float) -> datasets.Dataset:
    """One row a page: group (pages and their views share one), paragraphs, pieces (their token ids), about (those of
    title and address), link, labels, weights."""
    ids = {label: i for i, label in enumerate(labels)}

    def rows() -> Iterable[dict[str, Any]]:
        for page in pages:
            doubt = set(page.extra.get("doubt") or ())
            given = page.extra.get("weights") or [1.0] * len(page.paragraphs)
            yield {
                "group": page.group,
                "view": page.view is not None,
                "paragraphs": [as_unicode(text) for text in page.paragraphs],
                "pieces": encoder.tokenize(page.paragraphs),
                "about": encoder.about(page),
                "link": page.link,
                "labels": [ids[label] for label in page.labels or ()],
                "weights": [weight * (doubt_weight if i in doubt else 1.0) for i, weight in enumerate(given)],
            }

    return datasets.Dataset.from_list(list(rows()))


@dataclass(frozen=True, slots=True)
class Example:
    """Paragraphs `first` to `end - 1` of those kept of row `row`; `start` to `stop - 1` have a loss. `head` are the
    token ids at the window's head, `links` says whether the row's links are read, where it has some."""

    row: int
    kept: tuple[int, ...] | None
    head: tuple[int, ...]
    first: int
    end: int
    start: int
    stop: int
    tokens: int
    links: bool = True


class Windows(torch.utils.data.Dataset[dict[str, Any]]):
    """The windows of a plan. Item: ids [T], features [T, F], labels [T] (-100 off the markers), weights [T]."""

    def __init__(
        self, rows: datasets.Dataset, plan: Sequence[Example], encoder: Encoder, mask: float = 0.0, seed: int = 0
    ):
        self.rows, self.plan, self.encoder, self.mask, self.seed = rows, plan, encoder, mask, seed

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.plan[index]
        row = self.rows[example.row]
        kept = range(len(row["paragraphs"])) if example.kept is None else example.kept
        link = [row["link"][i] for i in kept] if row["link"] and example.links else None
        features = read_features([row["paragraphs"][i] for i in kept], link, self.encoder.config.features)
        part = slice(example.first, example.end)
        inside = list(kept)[part]
        window = self.encoder.window([row["pieces"][i] for i in inside], features[part], example.head)
        labels = np.full(len(window.ids), IGNORED, dtype=np.int64)
        weights = np.zeros(len(window.ids), dtype=np.float32)
        for marker, place in zip(window.markers, range(example.first, example.end), strict=True):
            if example.start <= place < example.stop:
                labels[marker] = row["labels"][inside[place - example.first]]
                weights[marker] = row["weights"][inside[place - example.first]]
        ids = self._masked(window.ids, index) if self.mask else window.ids
        return {"input_ids": ids, "features": window.features, "labels": labels, "weights": weights}

    def _masked(self, ids: npt.NDArray[np.int64], index: int) -> npt.NDArray[np.int64]:
        config = self.encoder.config
        rng = np.random.default_rng((self.seed, index))
        hit = (rng.random(len(ids)) < self.mask) & ~np.isin(ids, (config.cls_id, config.sep_id, config.marker_id))
        return np.where(hit, config.mask_id, ids)


def collate(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad items to one batch: input_ids, attention_mask, labels, weights [B, T], features [B, T, F]."""
    batch, longest = len(items), round_up(max(len(item["input_ids"]) for item in items), _LENGTH_STEP)
    ids = np.full((batch, longest), _PAD_ID, dtype=np.int64)
    mask = np.zeros((batch, longest), dtype=np.int64)
    features = np.zeros((batch, longest, items[0]["features"].shape[1]), dtype=np.float32)
    labels = np.full((batch, longest), IGNORED, dtype=np.int64)
    weights = np.zeros((batch, longest), dtype=np.float32)
    for i, item in enumerate(items):
        size = len(item["input_ids"])
        ids[i, :size], mask[i, :size], features[i, :size] = item["input_ids"], 1, item["features"]
        labels[i, :size], weights[i, :size] = item["labels"], item["weights"]
    arrays = {"input_ids": ids, "attention_mask": mask, "features": features, "labels": labels, "weights": weights}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def evaluation_plan(rows: datasets.Dataset, encoder: Encoder) -> list[Example]:
    """The windows that labelling reads: every paragraph has its loss once, with context on both sides."""
    plan = []
    for r, (pieces, about) in enumerate(zip(rows["pieces"], rows["about"], strict=True)):
        sizes = [1 + len(ids) for ids in pieces]
        head = tuple(encoder.head(about))
        for first, start, stop, end in encoder.spans(sizes, len(head)):
            plan.append(Example(r, None, head, first, end, start, stop, len(head) + sum(sizes[first:end])))
    return sorted(plan, key=lambda example: example.tokens)


def training_plan(rows: datasets.Dataset, encoder: Encoder, config: TrainingConfig) -> list[Example]:
    """The windows of all epochs, in order. It depends on the data, the config and its seed alone, so a resumed run
    goes on exactly where it stopped. Each epoch takes every page once (those with rare labels more often), changed as
    `augment` says, and some of its views."""
    groups: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for r, (group, view) in enumerate(zip(rows["group"], rows["view"], strict=True)):
        groups[group][int(view)].append(r)
    labels = list(rows["labels"])
    sizes = [[1 + len(ids) for ids in pieces] for pieces in rows["pieces"]]
    about = list(rows["about"])
    rare = {config.labels.index(name) for name in config.augment.rare_labels if name in config.labels}
    article = frozenset(i for i, name in enumerate(config.labels) if name in ARTICLE_LABELS)
    # Where no links are read nothing is drawn for them, so that configs of before have the plans that they had.
    linked = reads_links(encoder.config.features)
    batches: list[list[Example]] = []
    for epoch in range(config.optim.epochs):
        rng = np.random.default_rng((config.seed, epoch))
        chosen: list[tuple[int, list[int] | None]] = []
        for whole, views in groups.values():
            for r in whole:
                times = 1 + config.augment.repeat_rare * bool(rare & set(labels[r]))
                chosen += [(r, augmented(labels[r], article, config.augment, rng)) for _ in range(times)]
            if views:
                interest = np.array([1 + len(set(labels[r])) + 3 * bool(rare & set(labels[r])) for r in views], float)
                count = min(config.augment.views, len(views))
                picked = rng.choice(views, count, replace=False, p=interest / interest.sum())
                chosen += [(int(r), None) for r in picked]
        examples: list[Example] = []
        for r, kept in chosen:
            head = tuple(encoder.head([ids for ids in about[r] if rng.random() >= config.augment.hide_about]))
            links = linked and rng.random() >= config.augment.hide_links
            room = encoder.config.window_tokens - 2
            cut = _cut(r, kept, head, sizes[r], labels[r], room, config, rng)
            examples += [replace(example, links=links) for example in cut]
        # What the processes take in one step is of like length, too: none waits for another.
        batches += _batched(examples, config.optim.batch_windows * processes(), rng)
    return [example for batch in batches for example in batch]


def _cut(
    row: int,
    kept: list[int] | None,
    head: tuple[int, ...],
    sizes: list[int],
    labels: list[int],
    room: int,
    config: TrainingConfig,
    rng: np.random.Generator,
) -> list[Example]:
    """Windows one behind another, the first of random size so that the borders fall elsewhere each epoch."""
    indexes = list(range(len(sizes))) if kept is None else kept
    room -= len(head)
    limit = room if sum(sizes[i] for i in indexes) <= room else int(rng.integers(room // 3, room + 1))
    out, first = [], 0
    while first < len(indexes):
        end, used = first, 0
        while end < len(indexes) and (end == first or used + sizes[indexes[end]] <= limit):
            used += sizes[indexes[end]]
            end += 1
        uniform = len({labels[i] for i in indexes[first:end]}) == 1
        if not (uniform and end - first > 1 and rng.random() < config.augment.skip_uniform):
            whole = kept is None or len(kept) == len(sizes)
            places = None if whole else tuple(indexes)
            out.append(Example(row, places, head, first, end, first, end, len(head) + used))
        first, limit = end, room
    return out


def _batched(examples: list[Example], size: int, rng: np.random.Generator) -> list[list[Example]]:
    """Batches of windows of like length (little padding) in random order. What would be a last short batch is left
    out: windows drawn at random, others in the next epoch."""
    order = [examples[i] for i in rng.permutation(len(examples))]
    if len(order) > size:
        order = order[: len(order) - len(order) % size]
    batches = []
    for start in range(0, len(order), size * 50):
        pool = sorted(order[start : start + size * 50], key=lambda example: example.tokens)
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]
