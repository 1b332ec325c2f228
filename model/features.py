"""What is known of a whole paragraph and of its place in the page, as numbers beside its word pieces.

All are about 0 to 1, so that one layer can read them. They are computed on the full text, before it is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from math import log2

import numpy as np
import numpy.typing as npt

FEATURE_NAMES = (
    "one",  # 1 at a marker: all other positions are zero, which tells them apart
    "words",  # log2(1 + words) / 8
    "characters",  # log2(1 + characters) / 12
    "quoted",  # share of words inside quotation marks
    "stop",  # ends like a sentence
    "capitalised",  # share of words that begin with a capital letter (the tokenizer lower-cases)
    "upper",  # share of letters that are capitals
    "digits",  # share of characters that are digits
    "repeated",  # the same text stands elsewhere in the page
    "position",  # place in the page, 0 to 1
    "page",  # log2(1 + paragraphs of the page) / 12
    "prose_before",  # log2(1 + words in prose paragraphs before this one) / 12
    "prose_after",  # the same behind it
    "since_prose",  # log2(1 + paragraphs since the last prose paragraph) / 8, 1 if none
    "until_prose",  # the same to the next one
)
LINK_FEATURES = (
    "linked",  # share of the characters that lie in links
    "links_known",  # 1 where that is known: HTML tells, text alone does not
)
"""What a model may read beside `FEATURE_NAMES`, behind them."""
PROSE_WORDS = 15

# Openers and their closers. ' and ’ close only where no letter follows. A straight mark that is never closed is an
# inch sign or an apostrophe, except at the start of the paragraph. Bounded spans keep hostile text linear.
_QUOTE = re.compile(
    r"“[^”]*(?:”|\Z)"
    r"|„[^“”]*(?:[“”]|\Z)"
    r"|«[^»]*(?:»|\Z)"
    r"|\"[^\"]{1,3000}\"|\A\"[^\"]+\Z"
    r"|(?<!\w)‘.{1,3000}?’(?!\w)|\A‘.+\Z"
    r"|(?<![\w'])'(?=\w).{1,3000}?'(?!\w)|\A'(?=\w).+\Z",
    re.DOTALL,
)
_MARKS = "“„«\"‘'"
_MARK = re.compile(f"[{_MARKS}]")
_TERMINAL = (".", "!", "?", "…", "。", "！", "？")
_CLOSERS = "\"'”’»)]"
# A longer paragraph's shares are those of its first characters: the cost of a 10 MB paragraph stays bounded.
_SHARE_CHARS = 20_000
_BLOCK_CHARS = 1_000_000

# What a character is, by its code: one more in each of four counters of 15 bits, capitals, letters, digits, quotation
# marks; above them spaces, whose sum means nothing. Characters from `_RARE` on are asked one by one.
_RARE, _MOST, _SPACE = 0x2100, 0x7FFF, 1 << 60
_KINDS = np.array(
    [
        c.isspace() << 60 | c.isupper() | c.isalpha() << 15 | c.isdigit() << 30 | (c in _MARKS) << 45
        for c in map(chr, range(_RARE + 1))
    ]
)


def quoted_share(text: str) -> float:
    """Share of the words of `text` that stand inside quotation marks, 0 to 1.

    Marks: “ ” „ “ « » " " and British ‘ ’ or ' ' where they are not apostrophes. An opening mark that is never
    closed counts to the end: news style leaves it open when the same speaker goes on in the next paragraph.
    """
    mark = _MARK.search(text)
    if not mark:
        return 0.0
    inside = 0
    # From mark to mark, which is found faster than the first of eight alternatives.
    while mark:
        quote = _QUOTE.match(text, mark.start())
        if quote:
            inside += len(quote.group().strip("“”„«»\"‘’'").split())
        mark = _MARK.search(text, quote.end() if quote else mark.end())
    return min(1.0, inside / max(1, len(text.split())))


def is_prose(text: str, words: int) -> bool:
    """Whether a paragraph reads like running text: at least 15 words, ending like a sentence."""
    return words >= PROSE_WORDS and ends_sentence(text)


def ends_sentence(text: str) -> bool:
    return text[-8:].rstrip().rstrip(_CLOSERS).endswith(_TERMINAL)


def _counts(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Words, those that begin with a capital letter, capital letters, letters, digits and quotation marks of each of
    `texts`, [P, 6], counted in all of them at once: a third of the time that one after the other takes."""
    codes = np.frombuffer((" ".join(texts) + " ").encode("utf-32-le", "surrogatepass"), dtype="<u4")
    kinds = _KINDS[np.minimum(codes, _RARE)]
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    starts = np.cumsum(lengths + 1) - lengths - 1
    spaces = kinds == _SPACE
    first = ~spaces
    first[1:] &= spaces[:-1]
    words = np.add.reduceat(first, starts, dtype=np.int64)
    capitalised = np.add.reduceat(first & (kinds & 1 > 0), starts, dtype=np.int64)
    tally = np.add.reduceat(kinds, starts)
    out = np.column_stack([words, capitalised, *(tally >> shift & _MOST for shift in (0, 15, 30, 45))])
    for i in np.flatnonzero(np.maximum.reduceat(codes, starts) >= _RARE).tolist():
        out[i, 2:5] = [sum(map(kind, texts[i])) for kind in (str.isupper, str.isalpha, str.isdigit)]
        tokens = texts[i].split()
        out[i, :2] = len(tokens), sum(token[0].isupper() for token in tokens)
    return out


def _own(texts: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Features of each of `texts` alone, [P, 8], and how many words it has, [P]."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    samples = [text[:_SHARE_CHARS] for text in texts]
    sizes = np.minimum(lengths, _SHARE_CHARS)
    blocks = np.flatnonzero(np.diff(np.cumsum(sizes) // _BLOCK_CHARS)) + 1
    counts = np.concatenate([_counts(samples[i:j]) for i, j in pairwise([0, *blocks.tolist(), len(texts)])])
    words, capitalised, upper, letters, numerals, marks = counts.T
    all_words = words.copy()
    for i in np.flatnonzero(lengths > _SHARE_CHARS).tolist():
        all_words[i] = len(texts[i].split())
    columns = [
        np.ones(len(texts)),
        np.minimum(1.0, np.log2(1 + all_words) / 8),
        np.minimum(1.0, np.log2(1 + lengths) / 12),
        [quoted_share(sample) if mark else 0.0 for sample, mark in zip(samples, marks, strict=True)],
        [ends_sentence(text) for text in texts],
        capitalised / np.maximum(1, words),
        np.minimum(1.0, upper / np.maximum(1, letters)),  # Ⓐ is a capital and no letter
        numerals / np.maximum(1, sizes),
    ]
    return np.column_stack(columns), all_words


def page_features(paragraphs: Sequence[str]) -> npt.NDArray[np.float32]:
    """Features of each paragraph of a page, float32 [N, len(FEATURE_NAMES)]; time is linear in the page."""
    total = len(paragraphs)
    if not total:
        return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
    numbers: dict[str, int] = {}
    places = np.array([numbers.setdefault(text, len(numbers)) for text in paragraphs])
    rows, words = _own(list(numbers))
    # As `is_prose` says.
    prose = np.where((words >= PROSE_WORDS) & (rows[:, FEATURE_NAMES.index("stop")] > 0), words, 0)[places]
    before = np.cumsum(prose) - prose
    columns = [
        np.bincount(places)[places] > 1,
        (np.arange(total) + 0.5) / total,
        np.full(total, min(1.0, log2(1 + total) / 12)),
        np.minimum(1.0, np.log2(1 + before) / 12),
        np.minimum(1.0, np.log2(1 + prose.sum() - before - prose) / 12),
        _distances(prose),
        _distances(prose[::-1])[::-1],
    ]
    return np.column_stack([rows[places], *columns]).astype(np.float32)


def feature_names(links: bool) -> tuple[str, ...]:
    """What a model reads of a paragraph beside its words, with or without links."""
    return FEATURE_NAMES + LINK_FEATURES if links else FEATURE_NAMES


def reads_links(names: Sequence[str]) -> bool:
    return LINK_FEATURES[0] in names


def check_features(names: Sequence[str]) -> None:
    """Raises ValueError where `names` are not `FEATURE_NAMES`, with or without `LINK_FEATURES` behind them."""
    if tuple(names) not in (feature_names(False), feature_names(True)):
        raise ValueError(f"this encoding needs features {tuple(names)}; this version computes {feature_names(True)}")


def read_features(
    paragraphs: Sequence[str], link: Sequence[float] | None, names: Sequence[str]
) -> npt.NDArray[np.float32]:
    """The features `names` of each paragraph of a page, float32 [N, F]. `link` has the percent of each one's characters
    that lie in links, or is None where that is not known."""
    own = page_features(paragraphs)
    if not reads_links(names):
        return own
    known = np.zeros((len(own), len(LINK_FEATURES)), dtype=np.float32)
    if link is not None:
        known[:, 0], known[:, 1] = np.asarray(link, dtype=np.float32) / 100, 1
    return np.hstack([own, known])


def _distances(prose: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How far behind the last prose paragraph each paragraph is."""
    places = np.arange(len(prose))
    last = np.maximum.accumulate(np.where(prose > 0, places, -1))
    last = np.concatenate(([-1], last[:-1]))
    return np.where(last < 0, 1.0, np.minimum(1.0, np.log2(1 + places - last) / 8))
