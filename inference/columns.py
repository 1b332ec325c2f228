"""Labelled pages as a Parquet file, written a group of rows at a time."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from pagelabel.data.page import FIELDS, Page, as_unicode, is_unicode

_GROUP_PAGES = 500
_GROUP_CHARACTERS = 32_000_000
_OWN = (*FIELDS, "extra")


class ParquetSink:
    """Columns `id`, `url`, `paragraphs`, `labels`, `scores`, then the input's own.

    A field that in the first group of pages is text, a whole number, a number or true/false becomes a column of that
    type, and `link` (see `pagelabel.data.page.Page.link`) one of lists of numbers. All others (lists, objects, fields
    that come later, values of another type) are kept as JSON in `extra`.
    """

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow.parquet  # noqa: F401 - so that a missing package is told before any work is done

        self._file = file
        self._pages: list[Page] = []
        self._characters = 0
        self._types: dict[str, type] | None = None
        self._writer: Any = None

    def write(self, page: Page) -> None:
        self._pages.append(page)
        self._characters += page.characters
        if len(self._pages) >= _GROUP_PAGES or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def close(self) -> None:
        """Write what is left and the file's end; the file itself stays open."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._types is None:
            self._types = _types(self._pages)
        kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), list: pa.list_(pa.float64())}
        schema = pa.schema(
            [
                ("id", pa.string()),
                ("url", pa.string()),
                ("paragraphs", pa.list_(pa.string())),
                ("labels", pa.list_(pa.string())),
                ("scores", pa.list_(pa.float32())),
                *((name, kinds[kind]) for name, kind in self._types.items()),
                ("extra", pa.string()),
            ]
        )
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")
        if self._pages:
            rows = [_row(page, self._types) for page in self._pages]
            self._writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        self._pages, self._characters = [], 0


def _types(pages: list[Page]) -> dict[str, type]:
    found: dict[str, set[type]] = {}
    for page in pages:
        for name, value in page.extra.items():
            found.setdefault(name, set()).add(type(value))
    types: dict[str, type] = {"link": list} if any(page.link is not None for page in pages) else {}
    for name, kinds in found.items():
        kinds.discard(type(None))
        kind = float if kinds == {int, float} else next(iter(kinds)) if len(kinds) == 1 else None
        if kind in (str, int, float, bool) and name not in _OWN and is_unicode(name):
            types[name] = kind
    return types


def _row(page: Page, types: dict[str, type]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": _clean(page.id),
        "url": _clean(page.url),
        "paragraphs": page.paragraphs if is_unicode("".join(page.paragraphs)) else [*map(_clean, page.paragraphs)],
        "labels": page.labels,
        "scores": page.scores,
    }
    rest, link = {}, page.link
    for name, value in page.extra.items():
        kind = types.get(name)
        if kind is list and link is not None:
            row[name] = link
        elif kind is not None and kind is not list and _fits(value, kind):
            row[name] = _clean(value)
        elif value is not None:
            rest[name] = value
    row["extra"] = json.dumps(rest) if rest else None
    return row


def _fits(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and -(1 << 63) <= value < 1 << 63
    if kind is float:
        return type(value) is float or (type(value) is int and abs(value) <= 1 << 53)
    return value is None or type(value) is kind


def _clean(value: Any) -> Any:
    """Text as Parquet can hold it."""
    return as_unicode(value) if isinstance(value, str) else value
