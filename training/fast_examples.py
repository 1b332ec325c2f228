"""Pages to training batches of the fast model: words once, then the parts of pages that `fast_parts` plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from pagelabel.data.page import Page
from pagelabel.model.features import feature_names, read_features, reads_links
from pagelabel.model.hierarchical import round_up
from pagelabel.model.words import EMPTY, WordConfig, Words
from pagelabel.training.fast_config import WordSettings

# oneDNN makes kernels anew for every shape that it has not met: with P and N of a batch rounded up to multiples of
# these (and L, see `ParagraphReader`) a step took 0.66 to 0.78 s instead of 0.75 to 0.93 on a core with AMX.
_TEXTS, PARAGRAPHS = 192, 16


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
    """With what is not set at its default. Raises ValueError on settings that do not fit together."""
    names = ("head_words", "tail_words", "about", "join_lines")
    given = {name: value for name in names if (value := getattr(settings, name)) is not None}
    return WordConfig(**given, features=feature_names(bool(settings.links)))


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
    (NaN where it is not known, or not read)."""

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

    @property
    def linked(self) -> bool:
        """Whether it is known of each paragraph how much of it lies in links."""
        return not np.isnan(self.link).any()


class Part(NamedTuple):
    """What a step reads of a page: of the `kept` paragraphs of a row those from `start` to `stop - 1`. Features are
    those of all that is kept, as labelling reads a page in windows."""

    row: Row
    kept: Sequence[int]
    start: int
    stop: int

    @classmethod
    def whole(cls, row: Row) -> Part:
        return cls(row, range(len(row.labels)), 0, len(row.labels))

    @property
    def size(self) -> int:
        return self.stop - self.start


class Noise(NamedTuple):
    """What a training batch hides: a share of the words, which become `unknown` ones, of what is known about the pages,
    and of their links."""

    drop_words: float = 0.0
    unknown: range = range(1)
    hide_about: float = 0.0
    hide_links: float = 0.0


def _probabilities(page: Page, given: Any, labels: int) -> npt.NDArray[np.float32]:
    try:
        found = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError):
        found = np.zeros(0, np.float32)
    if found.shape != (len(page.paragraphs), labels):
        raise ValueError(
            f"page {page.id!r}: 'probabilities' should be {len(page.paragraphs)} lists of {labels} numbers, one a label"
        )
    return found


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
            targets = one_hot[gold] if soft is None else _probabilities(page, soft, len(labels))
            weights = np.array(page.extra.get("weights") or [1.0] * len(texts), dtype=np.float32)
            weights[np.array(page.extra.get("doubt") or [], dtype=np.int64)] *= doubt_weight
            places = np.array(texts, dtype=np.int64)
            about = [numbers.setdefault(text, len(numbers)) for text in words.about(page)]
            states = page.extra.get("states")
            if states is None:
                states = np.full((len(texts), size), np.nan, dtype=np.float16)
            known = page.link if reads_links(self.features) else None
            link = np.array(known or [np.nan] * len(texts), dtype=np.float32)
            view = page.view is not None
            row = Row(page.group, view, page.paragraphs, about, places, gold, targets, weights, states, link)
            self.rows.append(row)
        self.texts = [words.ids(text) for text in numbers]

    def batch(self, parts: Sequence[Part], noise: Noise, rng: np.random.Generator) -> Batch:
        """Parts of pages as tensors. What is read about a page stands before its paragraphs, without weight."""
        about = [[i for i in part.row.about if rng.random() >= noise.hide_about] for part in parts]
        kept = [
            np.concatenate([np.array(known, dtype=np.int64), part.row.texts[list(part.kept[part.start : part.stop])]])
            for known, part in zip(about, parts, strict=True)
        ]
        distinct, inverse = np.unique(np.concatenate(kept), return_inverse=True)
        order = np.argsort([len(self.texts[i]) for i in distinct], kind="stable")
        # Empty ones before the others, where the shortest are.
        filling = round_up(len(distinct), _TEXTS) - len(distinct)
        pieces = [[EMPTY]] * filling + [self.texts[i] for i in distinct[order]]
        inverse = filling + np.argsort(order)[inverse]
        most = round_up(max(map(len, kept)), PARAGRAPHS)
        ids, words = padded(pieces)
        if noise.drop_words:
            dropped = (rng.random(ids.shape) < noise.drop_words) & (words > 0)
            ids[dropped] = rng.integers(noise.unknown.start, noise.unknown.stop, int(dropped.sum()))
        count = len(parts)
        labels = parts[0].row.targets.shape[1]
        places, mask = np.zeros((count, most), dtype=np.int64), np.zeros((count, most), dtype=np.float32)
        targets, weights = np.zeros((count, most, labels), np.float32), np.zeros((count, most), np.float32)
        states = np.full((count, most, parts[0].row.states.shape[1]), np.nan, np.float32)
        features, start = [], 0
        for b, part in enumerate(parts):
            row, size = part.row, len(kept[b])
            chosen = list(part.kept[part.start : part.stop])
            own = slice(len(about[b]), size)
            places[b, :size] = inverse[start : start + size]
            mask[b, :size] = 1
            targets[b, own], weights[b, own] = row.targets[chosen], row.weights[chosen]
            states[b, own] = row.states[chosen]
            # Nothing is drawn where no links are read: a run of before comes out as it did.
            reads = reads_links(self.features) and rng.random() >= noise.hide_links
            link = row.link[list(part.kept)].tolist() if reads and row.linked else None
            found = read_features([row.paragraphs[i] for i in part.kept], link, self.features)
            features.append(np.pad(found[part.start : part.stop], ((own.start, most - size), (0, 0))))
            start += size
        arrays = (ids, words, places, np.stack(features), mask, targets, weights, states)
        return Batch(*(torch.from_numpy(array) for array in arrays))
