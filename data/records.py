"""Records of JSON lines, Parquet and Arrow to pages: paragraphs as they are, or cut from a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pagelabel.data.page import Page, kind_of
from pagelabel.data.spans import is_cut_from
from pagelabel.data.streams import ReadOptions
from pagelabel.data.text import paragraphs_of_text

_GIVEN = ("labels", "scores")


def page_of_record(record: object, default_id: str, options: ReadOptions) -> Page:
    """The page of a record with `paragraphs`, or with a text in their place, which is kept beside them. Where there are
    both, and the paragraphs are those of the text (as in what pagelabel wrote), the page has them from it.

    Of a record with a text `labels` and `scores` are taken only where they are those of its paragraphs: many such
    records have others, of the whole text, by these names. Raises ValueError that says what is wrong with the record.
    """
    column = options.text_column
    if not isinstance(record, dict):
        return Page.from_record(record, default_id)
    if not options.labelled:
        record = {name: value for name, value in record.items() if name not in _GIVEN}
    text = record.get(column)
    if "paragraphs" in record and not (record["paragraphs"] is None and column in record):
        page = Page.from_record(record, default_id)
        cut = isinstance(text, str) and column in page.extra and is_cut_from(text, page.paragraphs)
        return replace(page, source_field=column) if cut else page
    if column not in record:
        raise ValueError(f"fields 'paragraphs' and {column!r} are missing: expected a list of strings, or a text")
    if not isinstance(text, str):
        raise ValueError(f"field {column!r} should be a string, found {kind_of(text)}")
    fields = {**record, "paragraphs": paragraphs_of_text(text, options.text_mode)}
    for name in _GIVEN:
        if name in fields and not _is_one_each(fields, name):
            del fields[name]
    return replace(Page.from_record(fields, default_id), source_field=column)


def _is_one_each(fields: dict[str, Any], name: str) -> bool:
    try:
        Page.from_record({key: fields[key] for key in ("paragraphs", name)}, "")
    except ValueError:
        return False
    return True
