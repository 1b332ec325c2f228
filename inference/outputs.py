"""Labelled pages as JSON lines, text, tab-separated values or an HTML page to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from html import escape

from pagelabel.data.page import Page, as_unicode
from pagelabel.data.spans import paragraph_spans
from pagelabel.filters import UNSURE

_COLOURS = {"body": "#ffffff", "quote": "#e3f2e1", "promo": "#eeeeee", "teaser": "#dfeafc", "donation": "#fde2d2"}
_OTHER_COLOUR = "#fff6cc"

_HTML_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>pagelabel</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
p { margin: 2px 0; padding: 3px 8px; overflow-wrap: anywhere; white-space: pre-wrap }
p b { display: inline-block; min-width: 6.5rem; font: 12px ui-monospace, monospace; color: #555 }
h2 { font-size: 1rem; margin-top: 2.5rem; overflow-wrap: anywhere }
STYLES</style>
"""


class JsonLines:
    """One JSON object a page: the input's fields with labels and scores."""

    head = tail = ""

    def page(self, page: Page) -> str:
        return page.to_json() + "\n"


class Text:
    """Paragraphs, one a line; a blank line between pages."""

    head = tail = ""

    def page(self, page: Page) -> str:
        return "".join(f"{_one_line(text)}\n" for text in page.paragraphs) + "\n"


class Tsv:
    """Page id, paragraph number (from 0), label, score and text, a paragraph a line."""

    head = "page\tparagraph\tlabel\tscore\ttext\n"
    tail = ""

    def page(self, page: Page) -> str:
        rows = zip(page.paragraphs, page.labels or (), page.scores or (), strict=True)
        return "".join(
            f"{_one_line(page.id)}\t{i}\t{label}\t{score:.4f}\t{_one_line(text)}\n"
            for i, (text, label, score) in enumerate(rows)
        )


class Html:
    """A page to look at: every paragraph with its label, score and the label's colour. All page text is escaped."""

    tail = "</html>\n"

    def __init__(self, labels: Collection[str]) -> None:
        styles = "".join(
            f".l{i} {{ background: {_COLOURS.get(name, _OTHER_COLOUR)} }}\n" for i, name in enumerate(labels)
        )
        self.head = _HTML_HEAD.replace("STYLES", styles)
        self._class = {name: f"l{i}" for i, name in enumerate(labels)}

    def page(self, page: Page) -> str:
        rows = zip(page.paragraphs, page.labels or (), page.scores or (), strict=True)
        lines = [
            f'<p class="{self._class.get(label, "")}"><b>{escape(label)} {score:.2f}</b> {_clean(escape(text))}</p>\n'
            for text, label, score in rows
        ]
        return f"<h2>{_clean(escape(page.id))}</h2>\n" + "".join(lines)


class Dolma:
    """Attributes in the form of the Dolma toolkit: of every label the spans that have it, as character offsets into the
    document's text (see `pagelabel.data.spans`) with their scores. Nothing is left out, and every page has every label,
    perhaps with no spans."""

    head = tail = ""

    def __init__(self, labels: Collection[str]) -> None:
        self._labels = labels

    def page(self, page: Page) -> str:
        attributes: dict[str, list[tuple[int, int, float]]] = {f"pagelabel__{label}": [] for label in self._labels}
        rows = zip(paragraph_spans(page), page.labels or (), page.scores or (), strict=True)
        for (start, end), label, score in rows:
            attributes.setdefault(f"pagelabel__{label}", []).append((start, end, score))
        # ASCII: an id may hold lone surrogates, which cannot be written as UTF-8.
        return json.dumps({"id": page.id, "attributes": attributes}) + "\n"


Writer = JsonLines | Text | Tsv | Html | Dolma


def make_writer(name: str, labels: Collection[str], *, min_score: float = 0.0) -> Writer:
    """The writer of a format that is text: any but Parquet. `labels` are the model's; with a `min_score` above 0,
    "unsure" is a label of every page, as `mark_unsure` gives it. Raises KeyError for a format that is none."""
    if min_score > 0:
        labels = (*labels, UNSURE)
    makers: dict[str, Callable[[], Writer]] = {
        "jsonl": JsonLines,
        "text": Text,
        "tsv": Tsv,
        "html": lambda: Html(labels),
        "dolma": lambda: Dolma(labels),
    }
    return makers[name]()


FORMATS = {"jsonl": ".jsonl", "text": ".txt", "tsv": ".tsv", "html": ".html", "dolma": ".jsonl", "parquet": ".parquet"}
"""Formats, with the ending that files of theirs have. Parquet is not text, see `pagelabel.columns`."""
NEVER_WRITTEN = {
    **dict.fromkeys((".arrow", ".arrows", ".feather"), "columns are written as .parquet"),
    **dict.fromkeys((".warc", ".wet"), "pages are written as .jsonl"),
    **dict.fromkeys((".bz2", ".xz", ".zip", ".7z"), "files are compressed as .gz or .zst"),
}
"""Endings that promise what is not written, and what is instead."""


def _one_line(text: str) -> str:
    return _clean(" ".join(text.split()))


def _clean(text: str) -> str:
    """Without NULs, and with lone surrogates (possible in JSON) replaced: neither can stand in a UTF-8 text file."""
    return as_unicode(text.replace("\0", ""))
