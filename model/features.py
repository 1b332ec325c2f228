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
        _counts("".join([token[0] for token in tokens]))[0] / max(1, len(tokens)),
        upper / max(1, letters),
        numerals / characters,
    ]
    return row, words


def page_features(paragraphs: Sequence[str]) -> npt.NDArray[np.float32]:
    """Features of each paragraph of a page, float32 [N, len(FEATURE_NAMES)]; time is linear in the page."""
    total = len(paragraphs)
    known = {text: _own(text) for text in dict.fromkeys(paragraphs)}
    counts = Counter(paragraphs)
    prose = [known[text][1] if is_prose(text, known[text][1]) else 0 for text in paragraphs]
    size = min(1.0, log2(1 + total) / 12)
    before = 0
    after = sum(prose)
    since = _distances(prose)
    until = _distances(prose[::-1])[::-1]
    rows = []
    for i, text in enumerate(paragraphs):
        after -= prose[i]
        rows.append(
            [
                *known[text][0],
                float(counts[text] > 1),
                (i + 0.5) / total,
                size,
                min(1.0, log2(1 + before) / 12),
                min(1.0, log2(1 + after) / 12),
                since[i],
                until[i],
            ]
        )
        before += prose[i]
    return np.array(rows, dtype=np.float32).reshape(total, len(FEATURE_NAMES))


def _distances(prose: Sequence[int]) -> list[float]:
    out = []
    distance: int | None = None
    for words in prose:
        distance = None if distance is None else distance + 1
        out.append(1.0 if distance is None else min(1.0, log2(1 + distance) / 8))
        if words:
            distance = 0
    return out
