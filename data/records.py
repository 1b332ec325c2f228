"""Records of JSON lines, Parquet and Arrow to pages: paragraphs as they are, or cut from a text."""

from __future__ import annotations

from pagelabel.data.page import Page
from pagelabel.data.streams import ReadOptions
from pagelabel.data.text import paragraphs_of_text


def page_of_record(record: object, default_id: str, options: ReadOptions) -> Page:
    """The page of a record with `paragraphs`, or with a text in their place, which is kept beside them.

    Raises ValueError that says what is wrong with the record.
    """
    column = options.text_column
    if not isinstance(record, dict) or "paragraphs" in record or column not in record:
        if isinstance(record, dict) and "paragraphs" not in record:
            raise ValueError(f"fields 'paragraphs' and {column!r} are missing: expected a list of strings, or a text")
        return Page.from_record(record, default_id)
    text = record[column]
    if not isinstance(text, str):
        raise ValueError(f"field {column!r} should be a string, found {type(text).__name__}")
    page = Page.from_record({**record, "paragraphs": paragraphs_of_text(text, options.text_mode)}, default_id)
    return Page(page.id, page.paragraphs, page.url, page.labels, page.scores, page.extra, column)
