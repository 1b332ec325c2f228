"""The parts of pages that an epoch of the fast model reads, in an order fixed by the seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from pagelabel.data.page import ARTICLE_LABELS
from pagelabel.model.hierarchical import round_up
from pagelabel.training.augment import augmented, runs
from pagelabel.training.fast_config import FastConfig
from pagelabel.training.fast_examples import PARAGRAPHS, Part, Row

Runs = list[tuple[Row, list[int]]]
Donors = dict[tuple[int, bool], Runs]


def swapped(row: Row, kept: Sequence[int], donors: Donors, share: float, rng: np.random.Generator) -> Row:
    """The kept paragraphs of a page, where a share of the runs of furniture are those of other pages (`donors`, as
    `furniture_runs` finds them): what a site says of itself does not depend on what it tells. As CutMix does for images
    (Yun et al. 2019, https://arxiv.org/abs/1905.04899)."""
    pieces: Runs = []
    for run in runs([row.labels[i] for i in kept]):
        indexes = [kept[i] for i in run]
        found = donors.get((row.labels[indexes[0]], row.linked))
        pieces.append(found[int(rng.integers(len(found)))] if found and rng.random() < share else (row, indexes))
    return Row(
        row.group,
        row.view,
        [piece.paragraphs[i] for piece, indexes in pieces for i in indexes],
        row.about,
        np.concatenate([piece.texts[indexes] for piece, indexes in pieces]),
        [piece.labels[i] for piece, indexes in pieces for i in indexes],
        np.concatenate([piece.targets[indexes] for piece, indexes in pieces]),
        np.concatenate([piece.weights[indexes] for piece, indexes in pieces]),
        np.concatenate([piece.states[indexes] for piece, indexes in pieces]),
        np.concatenate([piece.link[indexes] for piece, indexes in pieces]),
    )


def furniture_runs(rows: Sequence[Row], article: frozenset[int]) -> Donors:
    """Runs of furniture of whole pages, by label, and for pages whose links are known of such pages alone: a page in
    which some links are not known is read as one without any."""
    found: Donors = defaultdict(list)
    for row in rows:
        if not row.view:
            for run in runs(row.labels):
                label = row.labels[run[0]]
                if label not in article:
                    found[label, False].append((row, run))
                    if row.linked:
                        found[label, True].append((row, run))
    return dict(found)


def epoch_parts(rows: Sequence[Row], config: FastConfig, epoch: int) -> Iterator[list[Part]]:
    """The batches of an epoch: each page once (those with rare labels more often), changed as `augment` says, and some
    of its views; a page longer than `page_paragraphs` gives one part of that length."""
    rng = np.random.default_rng((config.seed, epoch))
    rare = {config.labels.index(name) for name in config.augment.rare_labels if name in config.labels}
    article = frozenset(i for i, name in enumerate(config.labels) if name in ARTICLE_LABELS)
    groups: dict[str, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for row in rows:
        groups[row.group][int(row.view)].append(row)
    parts: list[tuple[Row, list[int]]] = []
    for whole, views in groups.values():
        for row in whole:
            times = 1 + config.augment.repeat_rare * bool(rare & set(row.labels))
            parts += [(row, augmented(row.labels, article, config.augment, rng)) for _ in range(times)]
        if views:
            picked = rng.choice(len(views), min(config.augment.views, len(views)), replace=False)
            parts += [(views[i], list(range(len(views[i].labels)))) for i in picked]
    longest = config.optim.page_paragraphs
    donors = furniture_runs(rows, article) if config.augment.swap_furniture else {}
    cut = []
    for row, kept in parts:
        if donors:
            row = swapped(row, kept, donors, config.augment.swap_furniture, rng)
            kept = list(range(len(row.labels)))
        start = int(rng.integers(0, max(1, len(kept) - longest + 1)))
        cut.append(Part(row, kept, start, min(start + longest, len(kept))))
    order = [cut[i] for i in rng.permutation(len(cut))]
    batches = []
    for begin in range(0, len(order), 400):
        batch: list[Part] = []
        for part in sorted(order[begin : begin + 400], key=lambda part: part.size):
            if batch and (len(batch) + 1) * round_up(part.size, PARAGRAPHS) > config.optim.batch_paragraphs:
                batches.append(batch)
                batch = []
            batch.append(part)
        batches.append(batch)
    for i in rng.permutation(len(batches)):
        yield batches[i]
