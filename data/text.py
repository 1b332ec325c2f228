"""Pages from plain text, and what every reader does with bytes and strings: decoding and cleaning."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pagelabel.data.page import Page, PageError
from pagelabel.data.streams import ReadOptions, Stream, TextMode, read_whole

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What goes by the narrower name is often the wider one; cp949 is what the detector calls Korean.
_WIDER = {"gbk": "gb18030", "euc_kr": "cp949", "cp949": "cp949", "shift_jis": "cp932", "iso8859-11": "cp874"}
_TEXT_TYPE = re.compile("text/|application/(?:octet-stream|.*(?:xml|json|javascript))")
# Not those that text files hold: tab, line ends, form feed, escape.
_BINARY_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\v\f\r\x1b"})
_NON_ASCII = re.compile(r"[^\x00-\x7f]")

# C0 controls that str.split does not take for whitespace, the soft hyphen, and marks of no width.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f\xad\u200b\u200e\u200f\u2060\ufeff]")
_C1 = re.compile("[\x80-\x9f]")
_TWICE_ENCODED = re.compile("[\xc2-\xf4][\x80-\xbf]{1,3}")
# Joiners shape the letters (Persian, Hindi, emoji) that they stand between, and are padding anywhere else.
_STRAY_JOINER = re.compile("(?<![^\\s\u200c\u200d])[\u200c\u200d]+|[\u200c\u200d]+(?!\\S)")
_BIDI_CONTROLS = "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))) + " "

# A script without spaces between words is wrapped between any two of its characters.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_FIRST_WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")
_ENDS_UNSPACED = re.compile(f"[{_UNSPACED}]$")
_HYPHENATED = re.compile(r"[^\W\d_]-$")
_SENTENCE_END = re.compile(r"[.!?:;。！？：；…]['\"”’»)\]]*$")

_ENDS = "\n\r\v\f\x1c-\x1e\u2028\u2029"
_LINES = re.compile(f"[^{_ENDS}]*(?:\r\n|[{_ENDS}])|[^{_ENDS}]+")

_MIN_WIDTH, _MAX_WIDTH = 40, 160
_MIN_UNSPACED_WIDTH = 20


def read_text(stream: Stream, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    """One page: the whole stream, named `source`, or a PageError where it is binary or too large."""
    try:
        text = decode(read_whole(stream, options.max_page_bytes))
    except ValueError as error:
        yield PageError(source, "", str(error))
    else:
        yield Page(source, paragraphs_of_text(text, options.text_mode))


def paragraphs_of_text(text: str, mode: TextMode = "auto") -> list[str]:
    """The paragraphs of a text, cleaned, without empty ones.

    "lines": each line is one. "paragraphs": lines are joined up to the next blank one. "auto": "lines", unless the text
    proves to be hard-wrapped; then the blocks that are wrapped are joined, and a list or a verse keeps its lines.
    """
    lines = [clean(line) for line in lines_of(text)]
    if mode == "lines":
        return [line for line in lines if line]
    blocks = list(_blocks(lines))
    if mode == "paragraphs":
        return [_join(block) for block in blocks]
    width = _wrapping_width(blocks)
    if width is None:
        return [line for block in blocks for line in block]
    return [paragraph for block in blocks for paragraph in _unwrapped(block, width)]


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends. U+0085 ends none, as it does for `str.splitlines`: on the web it is what a
    wrong decoding made of "…", or half of a letter, see `clean`."""
    return text.splitlines(keepends=True) if "\x85" not in text else _LINES.findall(text)


def clean(text: str) -> str:
    """The text with each run of whitespace as one space, stripped, without control characters and marks of no width.

    C1 controls are what a wrong decoding made of typographic marks, quotation marks above all: they are turned back.
    """
    if not text.isascii() and _C1.search(text):
        text = _C1.sub(_cp1252, _TWICE_ENCODED.sub(_decoded_again, text))
    text = " ".join(text.split())
    if text.isprintable():
        return text
    text = _STRAY_JOINER.sub("", _UNSEEN.sub("", text))
    text = " ".join(text.split())
    return text if text.strip(_BIDI_CONTROLS) else ""


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of a file: by its byte order mark, as UTF-8 if it is that, as `declared`, or as the detector finds.

    A few broken bytes do not change the choice and become U+FFFD. Raises ValueError if the data are binary.
    """
    from resiliparse.parse.encoding import detect_encoding, detect_mime

    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, "replace")
    if encoding_of_nuls := _utf16_without_mark(data):
        return data.decode(encoding_of_nuls, "replace")
    # ISO-2022-JP is seven-bit: only its escapes tell it from ASCII.
    if b"\x1b$" not in data or not data.isascii():
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("utf-8", "replace")
        if _mostly_utf8(data, text):
            return text
    start = data[:8192]
    controls = len(start) - len(start.translate(None, _BINARY_CONTROLS))
    kind = detect_mime(data)
    # A first word such as "BM" alone does not make a picture of a text.
    if controls > len(start) // 50 or (controls and not _TEXT_TYPE.match(kind)):
        raise ValueError(f"binary data ({kind}), not text")
    names = [declared, detect_encoding(data, html5_compatible=False), "cp1252"]
    codecs_left = [_codec(name) for name in names if name]
    texts = [data.decode(codec, "replace") for codec in codecs_left if not codec.startswith("utf")]
    # The first encoding that fits the data well enough (the last one fits anything), or else the one that fits best.
    return min(texts, key=lambda text: max(text.count("\ufffd") / max(len(text), 1), 0.05))


def _codec(name: str) -> str:
    """The Python codec for an encoding that a page declares or the detector finds; cp1252 if browsers know none."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    mapped = map_encoding_to_html5(name, fallback_utf8=False)
    return _WIDER.get(mapped or name, mapped or "cp1252")


def _cp1252(control: re.Match[str]) -> str:
    return control[0].encode("latin-1").decode("cp1252", "ignore")


def _decoded_again(bytes_as_characters: re.Match[str]) -> str:
    characters = bytes_as_characters[0]
    try:
        return characters.encode("latin-1").decode() if _C1.search(characters) else characters
    except UnicodeDecodeError:
        return characters


def _mostly_utf8(data: bytes, text: str) -> bool:
    """Whether `text`, decoded from `data` as UTF-8, holds far more characters of several bytes than broken ones."""
    broken = text.count("\ufffd") - data.count("\ufffd".encode())
    return broken == 0 or broken * 4 <= len(_NON_ASCII.findall(text)) - broken


def _utf16_without_mark(data: bytes) -> str | None:
    start = data[:4096]
    half = len(start) // 2
    for encoding, text_half, zero_half in (("utf-16-le", 0, 1), ("utf-16-be", 1, 0)):
        # Latin text, which is mostly zeros in its high bytes; CJK text without a mark stays unrecognised.
        if half and start[zero_half::2].count(0) > half * 0.6 and start[text_half::2].count(0) < half * 0.1:
            return encoding
    return None


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in [*lines, ""]:
        if line:
            block.append(line)
        elif block:
            yield block
            block = []


def _wrapping_width(blocks: Sequence[list[str]]) -> int | None:
    """The width that the text was wrapped at, or None if its line ends are those of its paragraphs.

    Wrapped text gives itself away twice: a line ends where the next word would not have fitted, and it ends in the
    middle of a sentence.
    """
    breaks = [(line, after) for block in blocks for line, after in pairwise(block)]
    unspaced = sum(bool(_ENDS_UNSPACED.search(line)) for line, _ in breaks) > len(breaks) // 2
    narrowest = _MIN_UNSPACED_WIDTH if unspaced else _MIN_WIDTH
    # The menus of a page say nothing about how its prose is wrapped.
    breaks = [(line, after) for line, after in breaks if len(line) >= narrowest * 3 // 4]
    if len(breaks) < 2:
        return None
    lengths = sorted(len(line) for line, _ in breaks)
    # Not the longest: an address too long for its line stands out.
    width = lengths[len(lengths) * 9 // 10]
    if not narrowest <= width <= _MAX_WIDTH:
        return None
    full = sum(_is_full(line, after, width) for line, after in breaks)
    running = sum(_runs_on(line, after) for line, after in breaks)
    return width if full >= len(breaks) * 0.6 and running >= len(breaks) * 0.3 else None


def _is_full(line: str, after: str, width: int) -> bool:
    return len(line) + 1 + len(_first_word(after)) > width


def _runs_on(line: str, after: str) -> bool:
    letter = after.lstrip("\"'“‘«(")[:1]
    return letter.islower() or (letter.isalpha() and not letter.isupper() and not _SENTENCE_END.search(line))


def _first_word(line: str) -> str:
    match = _FIRST_WORD.match(line)
    return match[0] if match else ""


def _unwrapped(block: list[str], width: int) -> Iterator[str]:
    breaks = list(pairwise(block))
    if sum(_is_full(line, after, width) for line, after in breaks) * 2 < len(breaks):
        yield from block
        return
    start = 0
    for i, (line, after) in enumerate(breaks, 1):
        # A paragraph may end without a blank line after it: well before the margin, and with its sentence.
        if not _is_full(line, after, width - width // 10) and _SENTENCE_END.search(line):
            yield _join(block[start:i])
            start = i
    yield _join(block[start:])


def _join(lines: Sequence[str]) -> str:
    joined = [lines[0]]
    for line, after in pairwise(lines):
        split_word = _HYPHENATED.search(line) and after[0].isalpha()
        unspaced = _ENDS_UNSPACED.search(line) and _ENDS_UNSPACED.match(after[0])
        joined.append(after if split_word or unspaced else f" {after}")
    return "".join(joined)
