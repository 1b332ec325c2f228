"""What is left of a labelled page: labels that are not sure, paragraphs that are not wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pagelabel.data.page import Page

UNSURE = "unsure"


def mark_unsure(page: Page, min_score: float) -> Page:
    """The page with the label "unsure" wherever the score is below `min_score`."""
    if page.labels is None or page.scores is None or min_score <= 0:
        return page
    pairs = zip(page.labels, page.scores, strict=True)
    return replace(page, labels=[label if score >= min_score else UNSURE for label, score in pairs])


def keep_labels(page: Page, keep: Collection[str]) -> Page:
    """The page with those paragraphs only whose label is in `keep`; the number of the others is its field `dropped`.

    What it counts already, from an earlier filter, is added to; a field `dropped` that is no count (a whole number from
    0) is replaced. The text that the paragraphs were cut from, where the page has one, becomes the kept ones, one a
    line. Raises ValueError on a page without labels.
    """
    if page.labels is None:
        raise ValueError(f"page {page.id!r} has no labels: label it first")
    chosen = [i for i, label in enumerate(page.labels) if label in keep]
    paragraphs = [page.paragraphs[i] for i in chosen]
    earlier = page.extra.get("dropped")
    counted = earlier if type(earlier) is int and earlier >= 0 else 0
    extra = {**page.extra, "dropped": counted + len(page.paragraphs) - len(chosen)}
    if page.link is not None:
        extra["link"] = [page.link[i] for i in chosen]
    if page.source_field is not None:
        extra[page.source_field] = "\n".join(paragraphs)
    return replace(
        page,
        paragraphs=paragraphs,
        labels=[page.labels[i] for i in chosen],
        scores=None if page.scores is None else [page.scores[i] for i in chosen],
        extra=extra,
    )
