"""How much of each paragraph of an HTML page lies in links.

Marks that no text holds are put into the HTML behind each start tag and before each end tag of a link. They come out in
the text, where they are counted and taken away again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Two of the code points that Unicode sets aside for use within a program.
_START, _END = "\ufdd0", "\ufdd1"
_MARKS = re.compile(f"[{_START}{_END}]")
_ONE_LINK = re.compile(f"\\s*{_START}([^{_START}{_END}]+){_END}\\s*")
# A start tag ends at the first ">" that is in no quoted value; none goes beyond the next "<" elsewhere, which keeps
# hostile HTML linear. To look for "href" in each tag that is found takes a fifth of the time that looking for it in the
# pattern takes.
_TAG = re.compile(
    r"""<[aA](?=[\s/])(?:[^=<>]|=\s*"[^"]*"|=\s*'[^']*'|=)*+>|</[aA](?=[\s/>])[^<>]*>""",
)
_HREF = re.compile(r"[\s/\"']href[\s=/>]", re.IGNORECASE)
# So many paragraphs a link goes on for at most: one that is never closed is not all of the page.
_MOST = 8


def mark_links(html: str) -> str:
    """The HTML with a mark at both ends of every link."""
    linked = False

    def marked(tag: re.Match[str]) -> str:
        nonlocal linked
        text = tag[0]
        if text[1] == "/":
            # One that ends nothing is passed over by parsers; a mark there would be text, and end the page's head.
            mark, linked = _END if linked else "", False
            return mark + text
        linked = bool(_HREF.search(text))
        return text + _START if linked else text

    return _TAG.sub(marked, unmarked(html))


def unmarked(text: str) -> str:
    return _MARKS.sub("", text) if _START in text or _END in text else text


def without_marks(texts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each of the texts of a page, in order, without marks, and what percent of its characters lie in links.

    White space does not count. A link may go on from one text to the next, for a few.
    """
    linked = False
    left = 0
    for text in texts:
        # Nearly all texts hold no link, or are one: less than half of the time of counting.
        if not linked:
            if _START not in text and _END not in text:
                yield text, 0
                continue
            if whole := _ONE_LINK.fullmatch(text):
                yield unmarked(text), 0 if whole[1].isspace() else 100
                continue
        counts = [0, 0]
        start = 0
        if linked and text:
            left -= 1
            linked = left > 0
        for mark in _MARKS.finditer(text):
            counts[linked] += _visible(text[start : mark.start()])
            linked = mark[0] == _START
            left = _MOST
            start = mark.end()
        counts[linked] += _visible(text[start:])
        yield (unmarked(text) if start else text), round(100 * counts[True] / max(1, sum(counts)))


def _visible(text: str) -> int:
    return sum(map(len, text.split()))
