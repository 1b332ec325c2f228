"""Lines of a hard-wrapped paragraph, read as the paragraph that they are (where a bundle's encoding has `join_lines`).

Extractors keep the line breaks of a page's source, so that what was one paragraph comes as several, none of which is a
sentence. (Of text files, whose width can be measured, `data.text` undoes that; here are lists of paragraphs, most of
which are whole.) Where a line plainly goes on in the next one, the two are read as one paragraph, and each is given its
label. Of such pairs of lines in extractors' output 99.7% have one label (of other neighbours in it 87%).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

from pagelabel.data.page import Page

_LONG, _GOES_ON = 40, 25
_LOWER = 2
_ENDS = frozenset(".!?…:;")
_CLOSING = " \t\r\n\"'”’)]»"

T = TypeVar("T")


def runs_of(texts: Sequence[str]) -> list[range]:
    """The places of the lines of each paragraph, in order.

    What has been read of a paragraph goes on in the next line where it has 40 characters or more and does not end as a
    sentence or the head of a list does, and the line starts with a lower-case letter, and has 25 characters or ends as
    a sentence does. White space around lines does not count, nor do quotes and brackets that close at the end. Lines
    that are joined are a paragraph of the same lines.

    Nothing goes on where lower case tells nothing: where two sentences or more, and over two thirds, begin with it. In
    every other such page of the project's corpus lines would be joined that are not of one label.
    """
    lines = [text.strip() for text in texts]
    ended = [True, *(line.rstrip(_CLOSING)[-1:] in _ENDS for line in lines)]
    begins = [line[:1] for line, new in zip(lines, ended, strict=False) if new]
    lower, upper = sum(map(str.islower, begins)), sum(map(str.isupper, begins))
    if lower >= _LOWER and lower > 2 * upper:
        return [range(i, i + 1) for i in range(len(lines))]
    starts: list[int] = []
    read = 0
    for i, line in enumerate(lines):
        whole = ended[i + 1] or len(line) >= _GOES_ON
        goes_on = not ended[i] and read >= _LONG and line[:1].islower() and whole
        if not goes_on:
            starts.append(i)
        read = len(line) + (read + 1 if goes_on else 0)
    return [range(a, b) for a, b in pairwise([*starts, len(texts)])]


class Lines(NamedTuple):
    """A page as it is read: `sizes` are how many lines each paragraph of `page` is made of."""

    page: Page
    sizes: list[int]

    @classmethod
    def of(cls, page: Page, *, join: bool = True) -> Lines:
        """What goes on is joined; without `join`, each line is read by itself. Of the page's record, `link` becomes the
        mean by characters; all else is left as it is."""
        texts = page.paragraphs
        runs = runs_of(texts) if join else [range(i, i + 1) for i in range(len(texts))]
        if len(runs) == len(texts):
            return cls(page, [1] * len(texts))
        joined = [" ".join(texts[i].strip() for i in run) if len(run) > 1 else texts[run[0]] for run in runs]
        link = page.link
        # One of another length than the paragraphs, which is not read, might have that of what is made of them.
        extra = {name: value for name, value in page.extra.items() if name != "link"}
        if link is not None:
            sizes = [1 + len(text) for text in texts]
            extra["link"] = [sum(link[i] * sizes[i] for i in run) / sum(sizes[run.start : run.stop]) for run in runs]
        return cls(replace(page, paragraphs=joined, extra=extra), [len(run) for run in runs])

    def spread(self, values: Iterable[T]) -> list[T]:
        """A value for each of the lines, of values for each of the paragraphs."""
        return [value for value, size in zip(values, self.sizes, strict=True) for _ in range(size)]
