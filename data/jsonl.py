"""Pages from JSON lines: one object a line, `{"id": …, "url": …, "paragraphs": […], …}` or with a `text` to be cut."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pagelabel.data.page import Page, PageError
from pagelabel.data.records import page_of_record
from pagelabel.data.streams import ReadOptions, Stream, bounded_lines

_ARRAY = re.compile(rb"\s*\[\s*(\{|$)")


def read_jsonl(stream: Stream, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    """The pages of a file of JSON lines; a line that is no page yields a PageError at "line N".

    Blank lines are skipped. A page without an id is named "<source>:<line number>". Bytes that are not UTF-8 become
    U+FFFD: page text is dirty, and a page with a scar is worth more than none. NaN and infinite numbers, which JSON
    does not have but many programs write, become null. A key that an object holds twice is an error, as keeping either
    value would silently lose the other.
    """
    begun = False
    for number, line in bounded_lines(stream, options.max_page_bytes):
        position = f"line {number}"
        if line is None:
            yield PageError(source, position, f"longer than {options.max_page_bytes:,} bytes, the most a page may have")
            continue
        if number == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                yield PageError(source, "", "the file is in UTF-16: JSON lines should be in UTF-8")
                return
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        if not begun and _ARRAY.match(line):
            yield PageError(source, position, "a JSON array: write one object a line, with jq -c '.[]' for example")
            return
        begun = True
        try:
            yield page_of_record(_parse(line.decode("utf-8", "replace")), f"{source}:{number}", options)
        except json.JSONDecodeError as error:
            yield PageError(source, position, f"not valid JSON: {error.msg} (column {error.colno})")
        except RecursionError:
            yield PageError(source, position, "not readable: its JSON is nested too deeply")
        except ValueError as error:
            yield PageError(source, position, str(error))


def _parse(line: str) -> object:
    return json.loads(
        line, object_pairs_hook=_object, parse_constant=lambda _: None, parse_float=_float, parse_int=_int
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:100]!r} stands twice in one object")
    return fields


def _float(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _int(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"a number of {len(digits):,} digits is too long to read") from None
