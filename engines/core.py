"""What every engine shares: picklable settings that turn values into labelled pages, with one model a process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat, tee
from typing import Any, TypeAlias

from pagelabel.data.page import Page, PageError
from pagelabel.data.records import page_of_record
from pagelabel.data.spans import paragraph_spans
from pagelabel.data.streams import ReadOptions, TextMode
from pagelabel.data.text import paragraphs_of_text
from pagelabel.labeler import Labeler
from pagelabel.model.about import ABOUT

_NAMES = ("pagelabel_labels", "pagelabel_scores", "pagelabel_spans", "pagelabel_error", "pagelabel_text")

KNOWN = (*ABOUT, "link")
"""Columns that are read beside the page's own, where there are some."""
_NOTHING: Mapping[str, object] = {}

Row: TypeAlias = dict[str, Any]
"""What is found out about a page: `pagelabel_labels` (list of str), `pagelabel_scores` (list of float, the calibrated
probability of each label), `pagelabel_spans` (list of [start, end], character offsets) and `pagelabel_error` (None, or
why there are no labels: then the others are None); with `keep`, `pagelabel_text` too (str)."""


@dataclass(frozen=True, slots=True)
class PageStage:
    """Settings of a labelling stage. It is small and picklable: the model is loaded where and when it first labels.

    `model` is a bundle folder that every worker can read; None is the model that comes with the package. `column` holds
    the pages: a string is a text, cut into paragraphs as `text_mode` says and as the readers do; a list of strings is
    paragraphs, and its spans are offsets into the paragraphs joined by line ends. With `keep`, the paragraphs of those
    labels are given as `pagelabel_text`, one a line. Raises ValueError for an unknown text mode.
    """

    model: str | None = None
    column: str = "text"
    text_mode: TextMode = "auto"
    keep: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.keep, str):
            raise ValueError(f"keep should be a list of labels, found the string {self.keep!r}")
        ReadOptions(self.text_mode)

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of each row."""
        return _NAMES[:-1] if self.keep is None else _NAMES

    def load(self) -> Labeler:
        """This process' labeler, on one core: the engines run a process a core.

        Raises BundleError for a broken bundle, and ValueError where `keep` names a label that the model has not.
        """
        labeler = _labeler(self.model, os.getpid())
        for label in self.keep or ():
            if label not in labeler.labels:
                raise ValueError(f"keep: unknown label {label!r}; labels are {', '.join(labeler.labels)}")
        return labeler

    def rows(self, values: Iterable[object], known: Iterable[Mapping[str, object]] = ()) -> Iterator[Row]:
        """A stream of rows, one for each value of the column, in order; what is no page gives a row with an error.

        `known` are the other columns of each value, or nothing: of them `title` and `url` are read where they are
        strings, and `link` where it has a percentage for each paragraph.
        """
        labeler = self.load()
        about = chain(known, repeat(_NOTHING))
        # The labeler reads ahead, so that what waits for it is held until its turn comes.
        pages, again = tee(self._page(value, next(about), number) for number, value in enumerate(values))
        labelled = labeler.label_pages(page for page in again if isinstance(page, Page))
        for page in pages:
            yield self._failed(page) if isinstance(page, PageError) else self._row(next(labelled))

    def _page(self, value: object, known: Mapping[str, object], number: int) -> Page | PageError:
        # Engines hand lists over as arrays.
        value, link = (x.tolist() if hasattr(x, "tolist") else x for x in (value, known.get("link")))
        if not isinstance(value, (str, list)):
            return PageError(self.column, "", f"expected a text or a list of paragraphs, found {type(value).__name__}")
        record = {name: known[name] for name in ABOUT if isinstance(known.get(name), str)}
        if isinstance(link, list):
            record["link"] = link
        record["text" if isinstance(value, str) else "paragraphs"] = value
        try:
            return page_of_record(record, str(number), ReadOptions(self.text_mode, text_column="text"))
        except ValueError as error:
            return PageError(self.column, "", str(error))

    def _row(self, page: Page) -> Row:
        try:
            spans = [list(span) for span in paragraph_spans(page)]
        except ValueError as error:
            return self._failed(PageError(self.column, "", str(error)))
        kept = None if self.keep is None else page.text(self.keep)
        values = (page.labels, page.scores, spans, None, kept)
        return {name: value for name, value in zip(_NAMES, values, strict=True) if name in self.columns}

    def _failed(self, error: PageError) -> Row:
        return dict.fromkeys(self.columns) | {"pagelabel_error": error.cause}


def paragraph_at(text: str, span: Sequence[int]) -> str:
    """The paragraph that was cut from `text` at `span`, [start, end]. Raises ValueError if it has no such place."""
    start, end = span
    if not 0 <= start < end <= len(text):
        raise ValueError(f"span [{start}, {end}] is not in a text of {len(text)} characters: was it changed since?")
    return " ".join(paragraphs_of_text(text[start:end], "paragraphs"))


# By process: a forked child must not use the threads and locks of its parent's model.
@lru_cache(maxsize=4)
def _labeler(model: str | None, process: int) -> Labeler:
    return Labeler.load(model, threads=1)
