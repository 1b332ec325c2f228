"""The fast model: a vector for each distinct paragraph, then the page's vectors through a small transformer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from pagelabel.data.page import Page
from pagelabel.model.bundle import PAGE, PARAGRAPHS, WORDS
from pagelabel.model.features import read_features
from pagelabel.model.words import WordConfig, Words, packed
from pagelabel.sessions import open_session

# Longer paragraphs hardly ever come twice; short ones are the menus that stand on every page of a site.
_CACHED_CHARACTERS = 100

Vectors = npt.NDArray[np.float32]


class HierarchicalModel:
    """Vectors of up to `cache` short paragraphs are kept by their text, so that what comes on page after page is read
    once. `hits` and `misses` count distinct paragraphs of a batch."""

    def __init__(
        self,
        words: Words,
        paragraphs: onnxruntime.InferenceSession,
        page: onnxruntime.InferenceSession,
        cache: int = 0,
    ) -> None:
        self.words = words
        self._paragraphs, self._page = paragraphs, page
        self._room = cache
        # Two generations: when the young one is full it becomes the old one, whose unused half is forgotten.
        self._young: dict[str, Vectors] = {}
        self._old: dict[str, Vectors] = {}
        self.hits = self.misses = 0

    @classmethod
    def load(cls, folder: Path, config: WordConfig, threads: int | None, cache: int) -> HierarchicalModel:
        paragraphs, page = (open_session(folder / name, threads) for name in (PARAGRAPHS, PAGE))
        return cls(Words.read(folder / WORDS, config), paragraphs, page, cache)

    @property
    def join_lines(self) -> bool:
        """Whether it is to be given pages whose lines are joined, see `pagelabel.model.lines`."""
        return self.words.config.join_lines

    def logits(self, pages: Sequence[Page]) -> list[npt.NDArray[np.float32]]:
        """Logits [N, labels] of each page's paragraphs."""
        read = [self._texts(page) for page in pages]
        places: dict[str, int] = {}
        for texts in read:
            for text in texts:
                places.setdefault(text, len(places))
        vectors = self._vectors(list(places))
        return [
            self._logits(page, vectors[[places[text] for text in texts]])
            for page, texts in zip(pages, read, strict=True)
        ]

    def encoded(self, page: Page) -> list[list[int]]:
        """Word ids of each text that is read: what a port must get, too."""
        return [self.words.ids(text) for text in self._texts(page)]

    def _texts(self, page: Page) -> list[str]:
        return [*self.words.about(page), *page.paragraphs]

    def _logits(self, page: Page, vectors: Vectors) -> npt.NDArray[np.float32]:
        features = read_features(page.paragraphs, page.link, self.words.config.features)
        about = len(vectors) - len(features)
        blank = np.zeros((about, features.shape[1]), dtype=np.float32)
        rows = []
        for first, start, stop, end in self.words.spans(len(features)):
            feed = {
                "vectors": np.concatenate([vectors[:about], vectors[about + first : about + end]]),
                "features": np.concatenate([blank, features[first:end]]),
            }
            rows.append(self._page.run(["logits"], feed)[0][about + start - first : about + stop - first])
        return np.concatenate(rows)

    def _vectors(self, texts: list[str]) -> Vectors:
        """Vectors [P, D] of distinct texts."""
        found = [self._recall(text) for text in texts] if self._room else [None] * len(texts)
        missing = [i for i, vector in enumerate(found) if vector is None]
        self.misses += len(missing)
        self.hits += len(texts) - len(missing)
        read = self._read([self.words.ids(texts[i]) for i in missing])
        if len(missing) == len(texts):
            out = read
        else:
            out = np.empty((len(texts), read.shape[1]), dtype=np.float32)
            out[missing] = read
            for i, vector in enumerate(found):
                if vector is not None:
                    out[i] = vector
        if self._room:
            for i, row in zip(missing, read, strict=True):
                self._keep(texts[i], row)
        return out

    def _read(self, pieces: list[list[int]]) -> Vectors:
        size = self._page.get_inputs()[0].shape[1]
        out = np.empty((len(pieces), size), dtype=np.float32)
        for rows, words, places in packed(pieces):
            # A matrix product of one row takes another path with another rounding, and a page's scores would depend on
            # which pages are beside it.
            feed = {"words": _at_least_two(words), "places": _at_least_two(places)}
            out[rows] = self._paragraphs.run(["vectors"], feed)[0][: len(rows)]
        return out

    def _recall(self, text: str) -> Vectors | None:
        vector = self._young.get(text)
        if vector is None and (vector := self._old.get(text)) is not None:
            self._keep(text, vector)
        return vector

    def _keep(self, text: str, vector: Vectors) -> None:
        if len(text) > _CACHED_CHARACTERS:
            return
        if len(self._young) >= self._room // 2:
            self._old, self._young = self._young, {}
        # A copy: a row of the batch would keep all of its array alive.
        self._young[text] = vector.copy()


def _at_least_two(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)
