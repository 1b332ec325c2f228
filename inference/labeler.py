"""Labelling pages with a bundle: numpy, onnxruntime and tokenizers, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pagelabel.data.page import Page, PageError
from pagelabel.flat import FlatModel
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.model.bundle import CONFIG, BundleConfig, BundleError, find_bundle, read_bundle
from pagelabel.model.encoding import EncodingConfig
from pagelabel.model.lines import Lines
from pagelabel.model.pair import Pair
from pagelabel.model.words import WordConfig
from pagelabel.pair import PairModel

# Pages are read together up to this many paragraphs: menus come again and again, and each text is read once.
_BATCH_PARAGRAPHS = 2048
# About 30 MB of paragraph vectors.
_CACHED_PARAGRAPHS = 50_000


class Labeler:
    """Gives every paragraph of a page its label. Make one with `Labeler.load()`; it may be shared between threads.

    A page's labels and scores depend on that page alone, not on which pages are labelled with it.
    """

    def __init__(self, config: BundleConfig, model: FlatModel | HierarchicalModel | PairModel) -> None:
        self.config = config
        self.model = model

    @classmethod
    def load(
        cls, bundle: str | Path | None = None, *, threads: int | None = None, cache: int = _CACHED_PARAGRAPHS
    ) -> Labeler:
        """Load and verify a bundle: a folder, or "both" (the default), "accurate" or "fast", which ship with the
        package.

        `threads` is how many cores one run of the model uses; all by default. Use 1 in each of several processes.
        `cache` is how many paragraphs a fast model remembers between pages.
        Raises BundleError when the folder is not a complete, unchanged bundle, and ValueError for less than one thread.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads should be at least 1, or None for all cores, found {threads}")
        folder = find_bundle(bundle)
        config = read_bundle(folder)
        return cls(config, _model(folder, config, threads, cache))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of the logits."""
        return self.config.labels

    def label(self, page: Page | Sequence[str]) -> Page:
        """The page with labels and scores. A list of paragraphs makes a page of its own. A page's title
        (`extra["title"]`), address and links (`extra["link"]`, see `Page.link`) are read too, where the bundle's
        encoding says so.

        Raises ValueError for a PageError, as `read_pages` yields where a page cannot be read, and TypeError for what
        else is no page: a record, one string in place of paragraphs, a paragraph or address that is no string.
        """
        return next(self.label_pages([page]))

    def label_pages(self, pages: Iterable[Page | Sequence[str]]) -> Iterator[Page]:
        """Label a stream of pages: order kept, memory bounded by a few thousand paragraphs and the largest page. Errors
        as `label`, of the first item that is no page; up to a few thousand paragraphs before it are then not yielded.
        """
        batch: list[Page] = []
        paragraphs = 0
        for number, item in enumerate(pages):
            page = _page(item, number)
            batch.append(page)
            paragraphs += len(page.paragraphs)
            if paragraphs >= _BATCH_PARAGRAPHS or len(batch) >= _BATCH_PARAGRAPHS:
                yield from self._label_batch(batch)
                batch, paragraphs = [], 0
        yield from self._label_batch(batch)

    def logits(self, page: Page | Sequence[str]) -> npt.NDArray[np.float32]:
        """Raw logits of a page's paragraphs, float32 [N, labels]. Errors as `label`."""
        lines = self.as_read(_page(page, 0))
        return np.repeat(self._logits([lines.page])[0], lines.sizes, axis=0)

    def as_read(self, page: Page) -> Lines:
        """The page as the model is given it: with the lines of hard-wrapped paragraphs joined, if it learnt so."""
        return Lines.of(page, join=self.model.join_lines)

    def _label_batch(self, pages: list[Page]) -> Iterator[Page]:
        read = [self.as_read(page) for page in pages]
        found = self._logits([lines.page for lines in read])
        for page, lines, logits in zip(pages, read, found, strict=True):
            labels, scores = self.config.decide(logits)
            spread = lines.spread(round(score, 4) for score in scores)
            yield replace(page, labels=lines.spread(labels), scores=spread)

    def _logits(self, pages: Sequence[Page]) -> list[npt.NDArray[np.float32]]:
        found = iter(self.model.logits([page for page in pages if page.paragraphs]))
        return [next(found) if page.paragraphs else np.empty((0, len(self.labels)), dtype=np.float32) for page in pages]


def _model(
    folder: Path, config: BundleConfig, threads: int | None, cache: int
) -> FlatModel | HierarchicalModel | PairModel:
    if isinstance(config.encoding, Pair):
        first, second = (_part(folder / part, config, threads, cache) for part in config.encoding.parts)
        if not isinstance(first, FlatModel) or not isinstance(second, HierarchicalModel):
            raise BundleError(f"{folder}: a pair is of a flat bundle and a fast one, in this order")
        try:
            return PairModel(first, second, config.encoding)
        except ValueError as error:
            raise BundleError(f"{folder / CONFIG}: {error}") from error
    return _single(folder, config, threads, cache)


def _part(folder: Path, pair: BundleConfig, threads: int | None, cache: int) -> FlatModel | HierarchicalModel:
    config = read_bundle(folder)
    if config.labels != pair.labels:
        raise BundleError(f"{folder}: its labels are {', '.join(config.labels)}, the pair's {', '.join(pair.labels)}")
    return _single(folder, config, threads, cache)


def _single(folder: Path, config: BundleConfig, threads: int | None, cache: int) -> FlatModel | HierarchicalModel:
    if isinstance(config.encoding, EncodingConfig):
        return FlatModel.load(folder, config.encoding, threads)
    if isinstance(config.encoding, WordConfig):
        return HierarchicalModel.load(folder, config.encoding, threads, cache)
    raise BundleError(f"{folder}: a pair of models; a pair is of two single ones")


def _page(item: Page | Sequence[str], number: int) -> Page:
    if isinstance(item, PageError):
        raise ValueError(
            f"a page that could not be read cannot be labelled: {item}; "
            "tell these apart first: isinstance(item, PageError)"
        )
    if isinstance(item, str):
        raise TypeError(
            f"page '{number}' should be a Page or a list of paragraphs, not one string; split it into paragraphs first"
        )
    if isinstance(item, Page):
        page = item
    elif isinstance(item, Mapping) or not isinstance(item, Iterable):
        raise TypeError(
            f"page '{number}' should be a Page or a list of paragraphs, found {type(item).__name__}; "
            "of a record with 'paragraphs', pass Page.from_record(record, id)"
        )
    else:
        page = Page(str(number), list(item))
    _check(page)
    return page


def _check(page: Page) -> None:
    """What a model would fail on without naming the page, or take for something else."""
    paragraphs: object = page.paragraphs
    if isinstance(paragraphs, str):
        raise TypeError(f"page {page.id!r}: paragraphs are one string; split it into a list of paragraphs first")
    if not isinstance(paragraphs, Sequence):
        raise TypeError(f"page {page.id!r}: paragraphs should be a list of strings, found {type(paragraphs).__name__}")
    for place, paragraph in enumerate(paragraphs):
        if not isinstance(paragraph, str):
            raise TypeError(f"page {page.id!r}: paragraph {place} should be a string, found {type(paragraph).__name__}")
    if page.url is not None and not isinstance(page.url, str):
        raise TypeError(f"page {page.id!r}: url should be a string or None, found {type(page.url).__name__}")
