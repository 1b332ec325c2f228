"""Label errors that were found in data whose text is not ours to ship: page ids, indexes and the right labels.

One JSON object a line: {"id": …, "labels": {"<index>": "<label>"}}; a page may have several lines. They are applied
when training pages are loaded. A view has other indexes than its page, so there a corrected paragraph is known by its
text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pagelabel.data.page import Page


class Corrections:
    """Corrections by page. Pages must be applied before their views."""

    def __init__(self, file: str, labels: dict[str, dict[int, str]]) -> None:
        self._file = file
        self._labels = labels
        self._texts: dict[str, dict[str, str]] = {}

    @classmethod
    def read(cls, file: str) -> Corrections:
        """Raises ValueError that names file and line of a line of another form."""
        found: dict[str, dict[int, str]] = {}
        for number, line in enumerate(Path(file).read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                labels = {int(index): str(label) for index, label in record["labels"].items()}
                found.setdefault(record["id"], {}).update(labels)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f'{file}: line {number}: expected {{"id": …, "labels": {{"<index>": "<label>"}}}}: {error!r}'
                ) from error
        return cls(file, found)

    def apply(self, page: Page, order: Sequence[str]) -> None:
        """Change the labels of `page`; where it has `weights` and `probabilities` (of the labels in `order`), what is
        corrected is certain. Raises ValueError where it has no such paragraph, and for a view whose page has
        corrections and was not applied before."""
        whole = page.extra.get("page")
        if page.labels is None:
            return
        if page.id in self._labels:
            self._apply_to_page(page, page.labels, self._labels[page.id])
            _make_certain(page, page.labels, self._labels[page.id], order)
        elif whole in self._labels:
            if whole not in self._texts:
                raise ValueError(
                    f"{self._file}: page {whole!r} has corrections, and its view {page.id!r} comes before it: name the "
                    "file of whole pages first"
                )
            known = self._texts[whole]
            page.labels[:] = [known.get(t, label) for t, label in zip(page.paragraphs, page.labels, strict=True)]
            _make_certain(page, page.labels, [i for i, t in enumerate(page.paragraphs) if t in known], order)

    def _apply_to_page(self, page: Page, labels: list[str], fixes: dict[int, str]) -> None:
        for index, label in fixes.items():
            if index not in range(len(labels)):
                raise ValueError(f"{self._file}: page {page.id!r}: there is no paragraph {index}, it has {len(labels)}")
            labels[index] = label
        # A text that has several labels in the page says nothing about which of them a view shows.
        by_text: dict[str, set[str]] = defaultdict(set)
        for text, label in zip(page.paragraphs, labels, strict=True):
            by_text[text].add(label)
        corrected = {page.paragraphs[index] for index in fixes}
        self._texts[page.id] = {text: label for text in corrected for label in by_text[text] if len(by_text[text]) == 1}


def _make_certain(page: Page, labels: Sequence[str], indexes: Iterable[int], order: Sequence[str]) -> None:
    weights, probabilities = page.extra.get("weights"), page.extra.get("probabilities")
    for index in indexes:
        if isinstance(weights, list) and len(weights) == len(labels):
            weights[index] = 1.0
        if isinstance(probabilities, list) and len(probabilities) == len(labels):
            probabilities[index] = [float(label == labels[index]) for label in order]
