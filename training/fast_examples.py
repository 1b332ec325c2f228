"""Pages to training batches of the fast model: words once, then parts of pages in an order fixed by the seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.model.features import feature_names, read_features, reads_links
from pagelabel.model.hierarchical import round_up
from pagelabel.model.words import EMPTY, WordConfig, Words
from pagelabel.training.augment import augmented, runs
from pagelabel.training.fast_config import FastConfig, WordSettings

# oneDNN makes kernels anew for every shape that it has not met: with P and N of a batch rounded up to multiples of
# these (and L, see `ParagraphReader`) a step took 0.66 to 0.78 s instead of 0.75 to 0.93 on a core with AMX.
_TEXTS, _PARAGRAPHS = 192, 16


class Batch(NamedTuple):
    """Distinct paragraphs: `ids`, `words` (mask) [P, L]. Pages: `places` [B, N] into them, `features` [B, N, F], `mask`
    [B, N], `targets` [B, N, labels] (probabilities), `weights` [B, N], `states` [B, N, S] of the teacher (NaN where
    they are not known)."""

    ids: torch.Tensor
    words: torch.Tensor
    places: torch.Tensor
    features: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    states: torch.Tensor


def word_config(settings: WordSettings) -> WordConfig:
    names = feature_names(settings.links)
    return WordConfig(settings.head_words, settings.tail_words, features=names, about=settings.about)


def learn_words(pages: Sequence[Page], settings: WordSettings) -> Words:
    """The vocabulary of these pages: each distinct paragraph counts each of its words once."""
    config = word_config(settings)
    splitter = Words((), config)
    counts: Counter[str] = Counter()
    for text in {text for page in pages for text in (*splitter.about(page), *page.paragraphs)}:
        counts.update(set(splitter.split(text)))
    frequent = sorted((word for word, n in counts.items() if n >= settings.least), key=lambda w: (-counts[w], w))
    return Words(sorted(frequent[: settings.most]), config)


def padded(pieces: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Word ids [P, L] of paragraphs, and their mask [P, L]: 1 at words, 0 behind them."""
    longest = max(map(len, pieces))
    ids = np.full((len(pieces), longest), EMPTY, dtype=np.int64)
    mask = np.zeros((len(pieces), longest), dtype=np.float32)
    for i, piece in enumerate(pieces):
        ids[i, : len(piece)], mask[i, : len(piece)] = piece, 1
    return ids, mask


@dataclass(frozen=True, slots=True)
class Row:
    """A page for training: paragraphs, and what is read about the page, as numbers in `Rows.texts`, label ids, targets
    [N, labels], weights [N], the teacher's states [N, S] (NaN where it has not read the page), link [N] as `Page.link`
    (NaN where it is not known)."""

    group: str
    view: bool
    paragraphs: list[str]
    about: list[int]
    texts: npt.NDArray[np.int64]
    labels: list[int]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    states: npt.NDArray[np.float16]
    link: npt.NDArray[np.float32]


class Noise(NamedTuple):
    """What a training batch hides: a share of the words, which become `unknown` ones, of what is known about the pages,
    and of their links."""

    drop_words: float = 0.0
    unknown: range = range(1)
    hide_about: float = 0.0
    hide_links: float = 0.0


class Rows:
    """Pages as numbers. `texts` are the word ids of each distinct paragraph."""

    def __init__(self, pages: Sequence[Page], words: Words, labels: Sequence[str], doubt_weight: float) -> None:
        numbers: dict[str, int] = {}
        ids = {label: i for i, label in enumerate(labels)}
        one_hot = np.eye(len(labels), dtype=np.float32)
        self.features = words.config.features
        self.rows: list[Row] = []
        size = max((page.extra["states"].shape[1] for page in pages if "states" in page.extra), default=0)
        for page in pages:
            texts = [numbers.setdefault(text, len(numbers)) for text in page.paragraphs]
            gold = [ids[label] for label in page.labels or ()]
            soft = page.extra.get("probabilities")
            targets = one_hot[gold] if soft is None else np.asarray(soft, dtype=np.float32)
            weights = np.array(page.extra.get("weights") or [1.0] * len(texts), dtype=np.float32)
            weights[np.array(page.extra.get("doubt") or [], dtype=np.int64)] *= doubt_weight
            group = str(page.extra.get("page", page.id))
            places = np.array(texts, dtype=np.int64)
            about = [numbers.setdefault(text, len(numbers)) for text in words.about(page)]
            states = page.extra.get("states")
            if states is None:
                states = np.full((len(texts), size), np.nan, dtype=np.float16)
            link = np.array(page.link or [np.nan] * len(texts), dtype=np.float32)
            view = "view" in page.extra
            self.rows.append(Row(group, view, page.paragraphs, about, places, gold, targets, weights, states, link))
        self.texts = [words.ids(text) for text in numbers]

    def batch(self, parts: Sequence[tuple[Row, Sequence[int]]], noise: Noise, rng: np.random.Generator) -> Batch:
        """Parts of pages (row, kept paragraphs) as tensors. What is read about a page stands before its paragraphs,
        without weight."""
        about = [[i for i in row.about if rng.random() >= noise.hide_about] for row, _ in parts]
        kept = [
            np.concatenate([np.array(known, dtype=np.int64), row.texts[list(indexes)]])
            for known, (row, indexes) in zip(about, parts, strict=True)
        ]
        distinct, inverse = np.unique(np.concatenate(kept), return_inverse=True)
        order = np.argsort([len(self.texts[i]) for i in distinct], kind="stable")
        # Empty ones before the others, where the shortest are.
        filling = round_up(len(distinct), _TEXTS) - len(distinct)
        pieces = [[EMPTY]] * filling + [self.texts[i] for i in distinct[order]]
        inverse = filling + np.argsort(order)[inverse]
        most = round_up(max(map(len, kept)), _PARAGRAPHS)
        ids, words = padded(pieces)
        if noise.drop_words:
            dropped = (rng.random(ids.shape) < noise.drop_words) & (words > 0)
            ids[dropped] = rng.integers(noise.unknown.start, noise.unknown.stop, int(dropped.sum()))
        count = len(parts)
        labels = parts[0][0].targets.shape[1]
        places, mask = np.zeros((count, most), dtype=np.int64), np.zeros((count, most), dtype=np.float32)
        targets, weights = np.zeros((count, most, labels), np.float32), np.zeros((count, most), np.float32)
        states = np.full((count, most, parts[0][0].states.shape[1]), np.nan, np.float32)
        features, start = [], 0
        for b, (row, indexes) in enumerate(parts):
            size, chosen = len(kept[b]), list(indexes)
            own = slice(len(about[b]), size)
            places[b, :size] = inverse[start : start + size]
            mask[b, :size] = 1
            targets[b, own], weights[b, own] = row.targets[chosen], row.weights[chosen]
            states[b, own] = row.states[chosen]
            link = row.link[chosen]
            # Nothing is drawn where no links are read: a run of before comes out as it did.
            reads = reads_links(self.features) and rng.random() >= noise.hide_links
            known = link.tolist() if reads and not np.isnan(link).any() else None
            found = read_features([row.paragraphs[i] for i in chosen], known, self.features)
            features.append(np.pad(found, ((own.start, most - size), (0, 0))))
            start += size
        arrays = (ids, words, places, np.stack(features), mask, targets, weights, states)
        return Batch(*(torch.from_numpy(array) for array in arrays))


Runs = list[tuple[Row, list[int]]]


def swapped(row: Row, kept: Sequence[int], donors: dict[int, Runs], share: float, rng: np.random.Generator) -> Row:
    """The kept paragraphs of a page, where a share of the runs of furniture are those of other pages (`donors`, by
    label): what a site says of itself does not depend on what it tells. As CutMix does for images (Yun et al. 2019,
    https://arxiv.org/abs/1905.04899)."""
    pieces: Runs = []
    for run in runs([row.labels[i] for i in kept]):
        indexes = [kept[i] for i in run]
        found = donors.get(row.labels[indexes[0]])
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


def furniture_runs(rows: Sequence[Row], article: frozenset[int]) -> dict[int, Runs]:
    """Runs of furniture of whole pages, by label."""
    found: dict[int, Runs] = defaultdict(list)
    for row in rows:
        if not row.view:
            for run in runs(row.labels):
                if row.labels[run[0]] not in article:
                    found[row.labels[run[0]]].append((row, run))
    return dict(found)


def epoch_parts(rows: Sequence[Row], config: FastConfig, epoch: int) -> Iterator[list[tuple[Row, list[int]]]]:
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
        cut.append((row, kept[start : start + longest]))
    order = [cut[i] for i in rng.permutation(len(cut))]
    batches = []
    for begin in range(0, len(order), 400):
        batch: list[tuple[Row, list[int]]] = []
        for part in sorted(order[begin : begin + 400], key=lambda part: len(part[1])):
            if batch and (len(batch) + 1) * round_up(len(part[1]), _PARAGRAPHS) > config.optim.batch_paragraphs:
                batches.append(batch)
                batch = []
            batch.append(part)
        batches.append(batch)
    for i in rng.permutation(len(batches)):
        yield batches[i]
