"""Labelled pages for training and scoring, checked when they are loaded."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pagelabel.data.page import Page
from pagelabel.data.pagefiles import valid_pages
from pagelabel.training.config import DataConfig
from pagelabel.training.corrections import Corrections
from pagelabel.training.run_folder import leads


def load_pages(files: Sequence[str], labels: Sequence[str], corrections: str | None = None) -> list[Page]:
    """Read labelled pages. Raises ValueError that names file and page for the first one that cannot be used."""
    fixes = Corrections.read(corrections) if corrections else None
    pages = []
    for file in files:
        if not Path(file).exists():
            raise ValueError(f"{file}: no such file; data that is not shipped must be put there (see README, Train)")
        for page in valid_pages([file]):
            if page.labels is None:
                raise ValueError(f"{file}: page {page.id!r} has no labels")
            if fixes:
                fixes.apply(page, labels)
            unknown = set(page.labels) - set(labels)
            if unknown:
                raise ValueError(f"{file}: page {page.id!r} has labels {sorted(unknown)}; known are {list(labels)}")
            doubt = page.extra.get("doubt") or []
            if not isinstance(doubt, list) or any(i not in range(len(page.labels)) for i in doubt):
                raise ValueError(
                    f"{file}: page {page.id!r}: 'doubt' should be indexes of its {len(page.labels)} paragraphs"
                )
            weights = page.extra.get("weights")
            if weights is not None and not _are_weights(weights, len(page.labels)):
                raise ValueError(
                    f"{file}: page {page.id!r}: 'weights' should be {len(page.labels)} numbers from 0 to 1"
                )
            if page.paragraphs:
                pages.append(page)
    return pages


def check_pages(pages: Sequence[Page], dev: Sequence[Page], data: DataConfig, labels: Sequence[str]) -> None:
    """Raises ValueError where there is nothing to learn, and tells of labels that no training page has."""
    if not data.train:
        raise ValueError("nothing to learn from: data.train names no files")
    if not pages:
        raise ValueError("nothing to learn from: no page of data.train has paragraphs")
    if not dev:
        cause = "no page of data.dev has paragraphs" if data.dev else "all pages are of one site: name data.dev"
        raise ValueError(f"nothing to score on: {cause}")
    known = {label for page in pages for label in page.labels or ()}
    if len(known) < 2:
        raise ValueError(f"nothing to learn: all training paragraphs are labelled {min(known)}")
    for label in labels:
        if label not in known and leads():
            print(f"no paragraph of the training pages is labelled {label}", file=sys.stderr)


def _are_weights(value: object, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(w, (int, float)) and not isinstance(w, bool) and 0 <= w <= 1 for w in value)
    )


def one_view(pages: Sequence[Page]) -> list[Page]:
    """The pages with one view of each (by a hash of its id): scoring every view would take half the training time."""
    views: dict[str, Page] = {}
    whole = []
    for page in pages:
        if page.view is None:
            whole.append(page)
            continue
        if page.group not in views or _rank(page) < _rank(views[page.group]):
            views[page.group] = page
    return whole + list(views.values())


def _rank(page: Page) -> bytes:
    return hashlib.sha256(page.id.encode()).digest()
