"""Paragraphs to word ids for the fast model: a vocabulary of whole words, cheap enough that splitting a page into them
costs less than running the network on it.

A word is a run of letters, a run of digits or one other character, lower-cased. Words outside the vocabulary share
rows: numbers by their length, others by a hash of their last three letters, so that an unknown name or an "-ing" form
is still told apart from furniture. Word pieces are finer, but splitting into them took four times as long.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from pagelabel.data.page import Page
from pagelabel.model.about import about_texts, check_about
from pagelabel.model.features import FEATURE_NAMES, check_features

_WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
# Enough characters for the head and tail words of any ordinary text; bounds the cost of a 10 MB paragraph.
_CHARS_PER_WORD = 12
_LONGEST_NUMBER = 6
# Paragraphs of up to so many words are read together: fewer parts are faster than less padding.
_LENGTHS = (2, 4, 8, 14)
PACKED_PARAGRAPHS = 2048
"""Most paragraphs of a part: bounds the memory of a page of 100,000 (4 GB and five times the time without)."""
EMPTY = 0
"""Id of the one word of a paragraph without words."""


@dataclass(frozen=True, slots=True)
class WordConfig:
    """What decides the ids of a paragraph, stored in the bundle beside the vocabulary. What is read about the page
    (`about`, see `model.about`) stands before the paragraphs of each window, as if it were some, with features of 0;
    `join_lines`: see `model.lines`."""

    head_words: int = 16
    tail_words: int = 6
    buckets: int = 1024
    window_paragraphs: int = 384
    context_paragraphs: int = 64
    features: tuple[str, ...] = FEATURE_NAMES
    about: tuple[str, ...] = ()
    join_lines: bool = False

    def __post_init__(self) -> None:
        if self.head_words < 1 or self.tail_words < 0 or self.buckets < 1 or self.context_paragraphs < 0:
            raise ValueError("head_words and buckets must be at least 1; tail_words and context_paragraphs at least 0")
        if self.window_paragraphs <= 2 * self.context_paragraphs:
            raise ValueError(
                f"window_paragraphs={self.window_paragraphs} leaves no room between two contexts "
                f"of {self.context_paragraphs}"
            )
        check_features(self.features)
        check_about(self.about)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "features": list(self.features), "about": list(self.about)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> WordConfig:
        """Raises ValueError on a missing or unknown key. Older bundles have no `about`: they read nothing of it; nor
        `features`: they read those that there were; nor `join_lines`: they read each line by itself."""
        values = {"about": (), "features": FEATURE_NAMES, "join_lines": False, **values}
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise ValueError(f"word settings should be {sorted(names)}, found {sorted(values)}")
        return cls(**{**values, "features": tuple(values["features"]), "about": tuple(values["about"])})


class Words:
    """Turns paragraphs into word ids and pages into windows of paragraphs. Safe to share between threads."""

    def __init__(self, vocabulary: Sequence[str], config: WordConfig) -> None:
        self.config = config
        self.vocabulary = tuple(vocabulary)
        self._ids = {word: i for i, word in enumerate(vocabulary, 1)}
        self._numbers = 1 + len(self.vocabulary)
        self._buckets = self._numbers + _LONGEST_NUMBER
        if len(self._ids) != len(self.vocabulary):
            raise ValueError("the vocabulary has a word twice")

    @classmethod
    def read(cls, file: Path, config: WordConfig) -> Words:
        """The vocabulary of a bundle, a word a line."""
        return cls(file.read_text(encoding="utf-8").split("\n")[:-1], config)

    @property
    def size(self) -> int:
        """How many ids there are: [EMPTY], the vocabulary, numbers by length, buckets."""
        return self._buckets + self.config.buckets

    def ids(self, text: str) -> list[int]:
        """Ids of the paragraph's first `head_words` and last `tail_words` words; [EMPTY] where there is none."""
        words = self.split(text)
        get = self._ids.get
        return [get(word) or self._unknown(word) for word in words] or [EMPTY]

    def about(self, page: Page) -> list[str]:
        """The texts that stand before the page's paragraphs."""
        return [text for text in about_texts(page, self.config.about) if text]

    def split(self, text: str) -> list[str]:
        """The words that `ids` stands for."""
        head, tail = self.config.head_words, self.config.tail_words
        most = (head + tail) * _CHARS_PER_WORD
        if len(text) <= most:
            words = _WORD.findall(text.lower())
            return words if len(words) <= head + tail else words[:head] + words[len(words) - tail :]
        first = _WORD.findall(text[: head * _CHARS_PER_WORD].lower())[:head]
        last = _WORD.findall(text[len(text) - tail * _CHARS_PER_WORD :].lower()) if tail else []
        return first + last[-tail:]

    def _unknown(self, word: str) -> int:
        if word[0].isdigit():
            return self._numbers + min(len(word), _LONGEST_NUMBER) - 1
        return self._buckets + crc32(word[-3:].encode("utf-8", "replace")) % self.config.buckets

    def spans(self, total: int) -> list[tuple[int, int, int, int]]:
        """(first, start, stop, end) of each window of a page: paragraphs first:end are in it, start:stop are read."""
        size, context = self.config.window_paragraphs, self.config.context_paragraphs
        if total <= size:
            return [(0, 0, total, total)] if total else []
        out = []
        start = 0
        while start < total:
            first = max(0, start - context)
            end = min(total, first + size)
            stop = end if end == total else end - context
            out.append((first, start, stop, end))
            start = stop
        return out


Packed = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def packed(pieces: Sequence[Sequence[int]]) -> list[Packed]:
    """Paragraphs (word ids, at least one each) of about equal length together, `PACKED_PARAGRAPHS` at most, for the
    graph that reads them.

    Each part is (indexes [P] of its paragraphs, its distinct word ids [V], places [P, L]: from 1 the word's place among
    those, 0 behind the last word).
    """
    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    flat = np.fromiter((i for piece in pieces for i in piece), dtype=np.int64, count=int(lengths.sum()))
    starts = np.cumsum(lengths) - lengths
    out = []
    shorter = 0
    for longest in (*_LENGTHS, int(lengths.max(initial=0))):
        fitting = np.flatnonzero((lengths > shorter) & (lengths <= longest))
        shorter = max(shorter, longest)
        columns = np.arange(max(2, longest))
        for first in range(0, len(fitting), PACKED_PARAGRAPHS):
            rows = fitting[first : first + PACKED_PARAGRAPHS]
            filled = columns < lengths[rows, None]
            words, found = np.unique(flat[(starts[rows, None] + columns)[filled]], return_inverse=True)
            places = np.zeros(filled.shape, dtype=np.int64)
            places[filled] = found + 1
            out.append((rows, words, places))
    return out
