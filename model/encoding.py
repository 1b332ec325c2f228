"""Paragraphs to token windows: the one encoding, shared by training, export and labelling.

A page becomes one or more windows of consecutive paragraphs. In a window each paragraph is a marker
token followed by its word pieces; the network's logits at the marker are the paragraph's. Windows
overlap by context on both sides, and each paragraph is read in exactly one window (its core), so that
a page's labels depend on that page alone. Where the encoding says so and they are known, the page's title
and address stand at the head of every window.

Long paragraphs are cut to their head and tail. What the cut (and the lower-casing tokenizer) would
lose is kept in the features of the whole paragraph, see `pagelabel.model.features`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pagelabel.data.page import Page, as_unicode
from pagelabel.model.about import about_texts, check_about
from pagelabel.model.features import FEATURE_NAMES, check_features, read_features

Wanted = npt.NDArray[np.bool_]

# Enough characters for the head and tail tokens of any ordinary text; bounds the cost of a 10 MB paragraph.
_CHARS_PER_TOKEN = 12


@dataclass(frozen=True, slots=True)
class EncodingConfig:
    """What decides the ids of a page, stored in the bundle. Counts are in tokens; `about`: see `model.about`,
    `join_lines`: `model.lines`."""

    window_tokens: int = 384
    context_tokens: int = 80
    head_tokens: int = 14
    tail_tokens: int = 6
    cls_id: int = 101
    sep_id: int = 102
    mask_id: int = 103
    marker_id: int = 1
    features: tuple[str, ...] = FEATURE_NAMES
    about: tuple[str, ...] = ()
    join_lines: bool = False

    def __post_init__(self) -> None:
        check_features(self.features)
        check_about(self.about)
        longest = 1 + self.head_tokens + self.tail_tokens
        if self.head_tokens < 1 or self.tail_tokens < 0 or self.context_tokens < 0:
            raise ValueError("head_tokens must be at least 1; tail_tokens and context_tokens at least 0")
        head = longest * len(self.about)
        if self.window_tokens < head + 2 * self.context_tokens + longest + 2:
            raise ValueError(
                f"window_tokens={self.window_tokens} leaves no room for a paragraph of {longest} tokens "
                f"between two contexts of {self.context_tokens}" + f" behind a head of {head}" * bool(head)
            )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "features": list(self.features), "about": list(self.about)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncodingConfig:
        """Raises ValueError on a missing or unknown key. Older bundles have no `about`: they read nothing of it; nor
        `join_lines`: they read each line by itself."""
        values = {"about": (), "join_lines": False, **values}
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise ValueError(f"encoding settings should be {sorted(names)}, found {sorted(values)}")
        return cls(**{**values, "features": tuple(values["features"]), "about": tuple(values["about"])})


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a page.

    `ids` int64 [T]; `features` float32 [T, F], zero but at the markers; `markers` int64 [K], the positions of
    the markers of paragraphs `first` to `first + K - 1`; paragraphs `start` to `stop - 1` are read here.
    """

    ids: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    markers: npt.NDArray[np.int64]
    first: int
    start: int
    stop: int

    @property
    def core_markers(self) -> npt.NDArray[np.int64]:
        """Positions of the markers of the paragraphs read in this window, int64 [stop - start]."""
        return self.markers[self.start - self.first : self.stop - self.first]


class WindowArrays(NamedTuple):
    """`ids` int64 [T]; `features` float32 [T, F], zero but at the markers; `markers` int64 [K]."""

    ids: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    markers: npt.NDArray[np.int64]


class Encoder:
    """Turns pages into windows. Safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer, config: EncodingConfig) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.config = config
        self._tokenizer = tokenizer

    def with_context(self, tokens: int) -> Encoder:
        """The same encoder, whose windows overlap by `tokens` on both sides."""
        return Encoder(self._tokenizer, replace(self.config, context_tokens=tokens))

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Word-piece ids of each text, cut to head and tail, without marker; each distinct text is read once."""
        head, tail = self.config.head_tokens, self.config.tail_tokens
        head_chars, tail_chars = head * _CHARS_PER_TOKEN, tail * _CHARS_PER_TOKEN
        pieces: dict[str, list[int]] = {}
        long: list[str] = []
        short: list[str] = []
        for text in dict.fromkeys(texts):
            (long if len(text) > head_chars + tail_chars else short).append(text)
        for text, ids in zip(short, self._ids(short), strict=True):
            pieces[text] = ids if len(ids) <= head + tail else ids[:head] + ids[len(ids) - tail :]
        heads = self._ids([text[:head_chars] for text in long])
        tails = self._ids([text[len(text) - tail_chars :] for text in long])
        for text, first, last in zip(long, heads, tails, strict=True):
            pieces[text] = first[:head] + last[max(0, len(last) - tail) :]
        return [pieces[text] for text in texts]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        clean = [as_unicode(text) for text in texts]
        return [e.ids for e in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]

    def about(self, page: Page) -> list[list[int]]:
        """Token ids of what the encoding reads about the page, each text cut as a paragraph is; none where unknown."""
        return self.tokenize(about_texts(page, self.config.about))

    def head(self, about: Sequence[Sequence[int]]) -> list[int]:
        """What stands behind [CLS] in each window of a page: what is known of it, each closed by [SEP]."""
        return [i for ids in about if ids for i in (*ids, self.config.sep_id)]

    def windows(self, page: Page) -> Iterator[Window]:
        """The windows of a page, in order; together their cores are every paragraph once. None for an empty page."""
        if page.paragraphs:
            yield from self.pack(page, self.tokenize(page.paragraphs))

    def pack(self, page: Page, pieces: Sequence[list[int]], wanted: Wanted | None = None) -> Iterator[Window]:
        """The windows of a page whose paragraphs are already tokenized; `wanted` as in `spans`."""
        features = read_features(page.paragraphs, page.link, self.config.features)
        head = self.head(self.about(page))
        for first, start, stop, end in self.spans([1 + len(ids) for ids in pieces], len(head), wanted):
            ids, dense, markers = self.window(pieces[first:end], features[first:end], head)
            yield Window(ids, dense, markers, first, start, stop)

    def spans(
        self, sizes: Sequence[int], head: int, wanted: Wanted | None = None
    ) -> Iterator[tuple[int, int, int, int]]:
        """(first, start, stop, end) of each window: paragraphs first:end are in it, start:stop are its core. `head` is
        how many tokens stand before them.

        The cores are every paragraph once; or, of `wanted` (bool [N]), every paragraph that is, and those between two
        such that would be read as their context anyway.
        """
        room, context, total = self.config.window_tokens - 2 - head, self.config.context_tokens, len(sizes)
        for start, until in self._stretches(sizes, wanted):
            while start < until:
                first, used = start, 0
                while first > 0 and used + sizes[first - 1] <= context:
                    first -= 1
                    used += sizes[first]
                end = start
                while end < until and used + sizes[end] <= room:
                    used += sizes[end]
                    end += 1
                stop, behind = end, 0
                if end < until:
                    while stop > start + 1 and behind + sizes[stop - 1] <= context:
                        stop -= 1
                        behind += sizes[stop]
                else:
                    while end < total and behind + sizes[end] <= min(context, room - used):
                        behind += sizes[end]
                        end += 1
                yield first, start, stop, end
                start = stop

    def _stretches(self, sizes: Sequence[int], wanted: Wanted | None) -> list[tuple[int, int]]:
        """Paragraphs from the first to behind the last of each run of wanted ones, whose contexts touch."""
        places = np.arange(len(sizes)) if wanted is None else np.flatnonzero(wanted)
        if not len(places):
            return []
        ends = np.cumsum(sizes)
        between = ends[places[1:] - 1] - ends[places[:-1]]
        cuts = np.flatnonzero(between > 2 * self.config.context_tokens)
        starts, stops = places[np.r_[0, cuts + 1]], places[np.r_[cuts, len(places) - 1]] + 1
        return list(zip(starts.tolist(), stops.tolist(), strict=True))

    def window(
        self, pieces: Sequence[list[int]], features: npt.NDArray[np.float32], head: Sequence[int]
    ) -> WindowArrays:
        """One window of these paragraphs; `features` is float32 [K, F]."""
        config = self.config
        ids = [config.cls_id, *head]
        markers = []
        for piece in pieces:
            markers.append(len(ids))
            ids.append(config.marker_id)
            ids += piece
        ids.append(config.sep_id)
        dense = np.zeros((len(ids), features.shape[1]), dtype=np.float32)
        dense[markers] = features
        return WindowArrays(np.array(ids, dtype=np.int64), dense, np.array(markers, dtype=np.int64))
