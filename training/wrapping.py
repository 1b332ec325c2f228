"""Training pages as they are read: lines that go on are joined, and some pages are wrapped for it first."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pagelabel.data.page import Page
from pagelabel.model.lines import Lines

_WIDTHS = (45, 101)


def as_read(pages: Sequence[Page], *, join: bool, wrap: float = 0.0, seed: int = 0) -> list[Page]:
    """The pages, a share `wrap` of them hard-wrapped, and with `join` those lines joined that go on in the next one
    (`pagelabel.model.lines`). What was told of each paragraph is told of its lines, or is their mean by characters; the
    label is that of most characters, in doubt is what has a line in doubt."""
    rng = np.random.default_rng((seed, 11))
    out = []
    for page in pages:
        if wrap and rng.random() < wrap:
            page = wrapped(page, int(rng.integers(*_WIDTHS)))
        out.append(joined(page) if join else page)
    return out


def wrapped(page: Page, width: int) -> Page:
    """The page in lines of at most `width` characters, as far as its words allow."""
    texts: list[str] = []
    runs: list[list[int]] = []
    for i, text in enumerate(page.paragraphs):
        lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [text]
        texts += lines
        runs += [[i]] * len(lines)
    link = page.link and [page.link[i] for (i,) in runs]
    return _made_of(page, replace(page, paragraphs=texts, extra={**page.extra, "link": link}), runs)


def joined(page: Page) -> Page:
    """The page with lines that go on as one paragraph."""
    made, sizes = Lines.of(page)
    if len(sizes) == len(page.paragraphs):
        return page
    ends = np.cumsum(sizes).tolist()
    return _made_of(page, made, [range(end - size, end) for size, end in zip(sizes, ends, strict=True)])


def _made_of(page: Page, made: Page, runs: Sequence[Sequence[int]]) -> Page:
    """`made`, each of whose paragraphs is made of a run of those of `page`, with what was told of these. Raises
    ValueError where a field of the page is not as long as its paragraphs."""
    sizes = np.array([1 + len(text) for text in page.paragraphs], dtype=np.float64)

    def mean(name: str) -> Any:
        try:
            rows = np.asarray(page.extra[name], dtype=np.float64)
        except (TypeError, ValueError):
            rows = np.zeros(0)
        if rows.shape[:1] != sizes.shape:
            raise ValueError(f"page {page.id!r}: '{name}' should be numbers for each of its {len(sizes)} paragraphs")
        return np.stack([np.average(rows[list(run)], axis=0, weights=sizes[list(run)]) for run in runs])

    labels = page.labels and [_heaviest(page.labels, sizes, run) for run in runs]
    extra = dict(made.extra)
    for name in ("weights", "probabilities"):
        if extra.get(name) is not None:
            extra[name] = mean(name).tolist()
    if "states" in extra:
        extra["states"] = mean("states").astype(extra["states"].dtype)
    if doubt := set(extra.get("doubt") or ()):
        extra["doubt"] = [k for k, run in enumerate(runs) if not doubt.isdisjoint(run)]
    return replace(made, labels=labels, extra=extra)


def _heaviest(labels: Sequence[str], sizes: Any, run: Sequence[int]) -> str:
    totals: dict[str, float] = {}
    for i in run:
        totals[labels[i]] = totals.get(labels[i], 0.0) + float(sizes[i])
    return max(totals, key=lambda label: totals[label])
