"""Labelled pages as JSON lines, text, tab-separated values or an HTML page to look at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from html import escape

from pagelabel.data.page import Page

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
    """The kept paragraphs, one a line; a blank line between pages."""

    head = tail = ""

    def __init__(self, keep: Collection[str]) -> None:
        self._keep = keep

    def page(self, page: Page) -> str:
        kept = zip(page.paragraphs, page.labels or (), strict=True)
        return "".join(f"{_one_line(text)}\n" for text, label in kept if label in self._keep) + "\n"


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


Writer = JsonLines | Text | Tsv | Html

UNSURE = "unsure"


def mark_unsure(page: Page, min_score: float) -> Page:
    """The page with the label "unsure" wherever the score is below `min_score`."""
    if page.labels is None or page.scores is None or min_score <= 0:
        return page
    pairs = zip(page.labels, page.scores, strict=True)
    return replace(page, labels=[label if score >= min_score else UNSURE for label, score in pairs])


def make_writer(name: str, labels: Collection[str], keep: Collection[str]) -> Writer:
    makers: dict[str, Callable[[], Writer]] = {
        "jsonl": JsonLines,
        "text": lambda: Text(keep),
        "tsv": Tsv,
        "html": lambda: Html(labels),
    }
    return makers[name]()


FORMATS = ("jsonl", "text", "tsv", "html")


def _one_line(text: str) -> str:
    return _clean(" ".join(text.split()))


def _clean(text: str) -> str:
    """Without NULs, and with lone surrogates (possible in JSON) replaced: neither can stand in a UTF-8 text file."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
