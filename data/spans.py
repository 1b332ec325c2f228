"""Where each paragraph stands in the text that it was cut from, as character offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pagelabel.data.page import Page
from pagelabel.data.text import clean, lines_of

# What `str.strip` takes away, but for U+0085: `clean` makes a mark of it.
_WHITE = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and char != "\x85")


def paragraph_spans(page: Page) -> list[tuple[int, int]]:
    """(start, end) of each paragraph, as indexes of the characters of the original text.

    That is `page.source_text` where the page was cut from one (white space and line ends inside a paragraph are part
    of its span), else the paragraphs joined by line ends. Raises ValueError where they do not come from that text.
    """
    if page.source_text is not None:
        return spans_in(page.source_text, page.paragraphs, page.id)
    spans, start = [], 0
    for paragraph in page.paragraphs:
        spans.append((start, start + len(paragraph)))
        start += len(paragraph) + 1
    return spans


def spans_in(text: str, paragraphs: Sequence[str], page_id: str) -> list[tuple[int, int]]:
    """As `paragraph_spans`: a paragraph is one cleaned line of `text`, or several that were joined."""
    lines = _lines(text)
    spans = []
    for number, paragraph in enumerate(paragraphs):
        wanted = "".join(paragraph.split())
        found, start, end = "", -1, -1
        while len(found) < len(wanted):
            piece, first, last = next(lines, ("", -1, -1))
            if not piece:
                break
            found += piece
            start, end = (first if start < 0 else start), last
        if found != wanted or start < 0:
            raise ValueError(f"page {page_id!r}: paragraph {number} is not the text's next line")
        spans.append((start, end))
    return spans


def is_cut_from(text: str, paragraphs: Sequence[str]) -> bool:
    """Whether these are all the paragraphs that `text` may be cut into, one a line or several lines joined."""
    try:
        spans = spans_in(text, paragraphs, "")
    except ValueError:
        return False
    end = spans[-1][1] if spans else 0
    return not any(clean(line) for line in lines_of(text[end:]))


def _lines(text: str) -> Iterator[tuple[str, int, int]]:
    """Each line that is not empty: its cleaned characters without white space, and where they begin and end."""
    at = 0
    for line in lines_of(text):
        piece = "".join(clean(line).split())
        if piece:
            stripped = line.strip(_WHITE)
            start = at + line.index(stripped) if stripped else at
            yield piece, start, start + len(stripped)
        at += len(line)
