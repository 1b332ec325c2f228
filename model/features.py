"""What is known of a whole paragraph and of its place in the page, as numbers beside its word pieces.

All are about 0 to 1, so that one layer can read them. They are computed on the full text, before it is cut.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log2
from string import ascii_lowercase, ascii_uppercase, digits

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
_MARK = re.compile("[“„«\"‘']")
_TERMINAL = (".", "!", "?", "…", "。", "！", "？", ".”", "!”", "?”")
_CLOSERS = "\"'”’»)]"
# Most text is ASCII, where counting bytes is faster than asking each character.
_UPPER, _LOWER, _DIGITS = (letters.encode() for letters in (ascii_uppercase, ascii_lowercase, digits))
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# A longer paragraph's shares are those of its first characters: the cost of a 10 MB paragraph stays bounded.
_SHARE_CHARS = 20_000


def quoted_share(text: str) -> float:
    """Share of the words of `text` that stand inside quotation marks, 0 to 1.

    Marks: “ ” „ “ « » " " and British ‘ ’ or ' ' where they are not apostrophes. An opening mark that is never
    closed counts to the end: news style leaves it open when the same speaker goes on in the next paragraph.
    """
    if not _MARK.search(text):
        return 0.0
    words = max(1, len(text.split()))
    inside = sum(len(match.group().strip("“”„«»\"‘’'").split()) for match in _QUOTE.finditer(text))
    return min(1.0, inside / words)


def is_prose(text: str, words: int) -> bool:
    """Whether a paragraph reads like running text: at least 15 words, ending like a sentence."""
    return words >= PROSE_WORDS and ends_sentence(text)


def ends_sentence(text: str) -> bool:
    return text[-8:].rstrip().rstrip(_CLOSERS).endswith(_TERMINAL)


def _counts(text: str) -> tuple[int, int, int]:
    """Capital letters, letters and digits of `text`."""
    raw = text.encode("ascii", "ignore")
    upper = len(raw) - len(raw.translate(None, _UPPER))
    letters = upper + len(raw) - len(raw.translate(None, _LOWER))
    numerals = len(raw) - len(raw.translate(None, _DIGITS))
    if len(raw) < len(text):
        others = _NOT_ASCII.findall(text)
        upper += sum(map(str.isupper, others))
        letters += sum(map(str.isalpha, others))
        numerals += sum(map(str.isdigit, others))
    return upper, letters, numerals


def _own(text: str) -> tuple[list[float], int]:
    sample = text[:_SHARE_CHARS]
    tokens = sample.split()
    words = len(tokens) if len(sample) == len(text) else len(text.split())
    characters = max(1, len(sample))
    upper, letters, numerals = _counts(sample)
    row = [
        1.0,
        min(1.0, log2(1 + words) / 8),
        min(1.0, log2(1 + len(text)) / 12),
        quoted_share(sample),
        float(ends_sentence(text)),
        sum([token[0].isupper() for token in tokens]) / max(1, len(tokens)),
        upper / max(1, letters),
        numerals / characters,
    ]
    return row, words


def page_features(paragraphs: Sequence[str]) -> npt.NDArray[np.float32]:
    """Features of each paragraph of a page, float32 [N, len(FEATURE_NAMES)]; time is linear in the page."""
    total = len(paragraphs)
    if not total:
        return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
    known = {text: _own(text) for text in dict.fromkeys(paragraphs)}
    counts = Counter(paragraphs)
    rows = [known[text][0] for text in paragraphs]
    prose = np.array([known[text][1] if is_prose(text, known[text][1]) else 0 for text in paragraphs])
    before = np.cumsum(prose) - prose
    columns = [
        np.array([counts[text] > 1 for text in paragraphs], dtype=float),
        (np.arange(total) + 0.5) / total,
        np.full(total, min(1.0, log2(1 + total) / 12)),
        np.minimum(1.0, np.log2(1 + before) / 12),
        np.minimum(1.0, np.log2(1 + prose.sum() - before - prose) / 12),
        _distances(prose),
        _distances(prose[::-1])[::-1],
    ]
    return np.column_stack([np.array(rows), *columns]).astype(np.float32)


def _distances(prose: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How far behind the last prose paragraph each paragraph is."""
    places = np.arange(len(prose))
    last = np.maximum.accumulate(np.where(prose > 0, places, -1))
    last = np.concatenate(([-1], last[:-1]))
    return np.where(last < 0, 1.0, np.minimum(1.0, np.log2(1 + places - last) / 8))
