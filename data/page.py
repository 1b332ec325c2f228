"""The one record that every step of pagelabel passes on: a page, and what could not become one."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

ARTICLE_LABELS = ("body", "quote")
FIELDS = ("id", "url", "paragraphs", "labels", "scores")
"""What a page's record may say of itself; all else is kept as it is."""


@dataclass(frozen=True, slots=True)
class Page:
    """A web page as its visible text blocks ("paragraphs") in document order.

    `labels` and `scores` (the calibrated probability of each label given) are as long as `paragraphs`,
    or None where the page has not been labelled. `extra` holds the fields of the page's JSON line that
    pagelabel does not know, so that they survive a round trip. `source_field` names the one of them that holds the
    text which the paragraphs were cut from, for records that had a text in their place.
    """

    id: str
    paragraphs: list[str]
    url: str | None = None
    labels: list[str] | None = None
    scores: list[float] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    source_field: str | None = None

    @property
    def source_text(self) -> str | None:
        """The text that the paragraphs were cut from, where the record had one."""
        return None if self.source_field is None else str(self.extra[self.source_field])

    @property
    def title(self) -> str | None:
        """What the page calls itself, where the record has a string `title`."""
        title = self.extra.get("title")
        return title if isinstance(title, str) else None

    @property
    def link(self) -> list[float] | None:
        """Percent of each paragraph's characters that lie in links, where the record has such a list `link`: as long as
        the paragraphs, numbers from 0 to 100. HTML tells it; text alone does not."""
        link: Any = self.extra.get("link")
        link = link.tolist() if hasattr(link, "tolist") else list(link) if isinstance(link, tuple) else link
        if not isinstance(link, list) or len(link) != len(self.paragraphs):
            return None
        known = all(isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 100 for x in link)
        return link if known else None

    @property
    def group(self) -> str:
        """The id of the page that this one is a view of, as the record's field `page` says, else its own: what is told
        of one page in several forms belongs together."""
        whole = self.extra.get("page")
        return self.id if whole is None else str(whole)

    @property
    def view(self) -> str | None:
        """What kind of view of a page it is, where the record has a field `view`; None for a whole page."""
        view = self.extra.get("view")
        return None if view is None else str(view)

    @property
    def characters(self) -> int:
        """How many characters its paragraphs and its further texts have."""
        texts = (value for value in self.extra.values() if isinstance(value, str))
        return sum(map(len, self.paragraphs)) + sum(map(len, texts))

    def text(self, keep: Collection[str] = ARTICLE_LABELS) -> str:
        """The paragraphs whose label is in `keep`, one a line. Raises ValueError on a page without labels."""
        if self.labels is None:
            raise ValueError(f"page {self.id!r} has no labels: label it first")
        return "\n".join(p for p, label in zip(self.paragraphs, self.labels, strict=True) if label in keep)

    def to_json(self) -> str:
        """The page as one JSON line (without the newline)."""
        record: dict[str, Any] = {"id": self.id}
        if self.url is not None:
            record["url"] = self.url
        record["paragraphs"] = self.paragraphs
        if self.labels is not None:
            record["labels"] = self.labels
        if self.scores is not None:
            record["scores"] = self.scores
        record.update(self.extra)
        # A lone surrogate (possible in JSON as "\ud800") cannot be written as UTF-8, so it stays escaped.
        line = json.dumps(record, ensure_ascii=False)
        return line if is_unicode(line) else json.dumps(record)

    @classmethod
    def from_record(cls, record: object, default_id: str) -> Page:
        """Make a page of a parsed JSON object. Raises ValueError that says which field is wrong and why."""
        if not isinstance(record, Mapping):
            raise ValueError(f"expected a JSON object with 'paragraphs', found {kind_of(record)}")
        if "paragraphs" not in record:
            raise ValueError("field 'paragraphs' is missing: expected a list of strings")
        fields = dict(record)
        paragraphs = _strings(fields.pop("paragraphs"), "paragraphs")
        page_id = fields.pop("id", None)
        if page_id is None:
            page_id = default_id
        elif isinstance(page_id, int) and not isinstance(page_id, bool):
            page_id = str(page_id)
        elif not isinstance(page_id, str):
            raise ValueError(f"field 'id' should be a string, found {kind_of(page_id)}")
        url = fields.pop("url", None)
        if url is not None and not isinstance(url, str):
            raise ValueError(f"field 'url' should be a string, found {kind_of(url)}")
        labels = fields.pop("labels", None)
        if labels is not None:
            labels = _strings(labels, "labels")
            _check_length(labels, "labels", paragraphs)
        scores = fields.pop("scores", None)
        if scores is not None:
            scores = _numbers(scores, "scores")
            _check_length(scores, "scores", paragraphs)
        return cls(page_id, paragraphs, url, labels, scores, fields)


@dataclass(frozen=True, slots=True)
class PageError:
    """One page (or record) that could not be read or labelled: where it is, and what is wrong with it.

    `source` is a file name or "-"; `position` says where in it ("line 7", "page 'x'", or "" for all of it).
    """

    source: str
    position: str
    cause: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.position}" if self.position else self.source
        return f"{where}: {self.cause}"

    def to_json(self) -> str:
        return json.dumps({"source": self.source, "position": self.position, "cause": self.cause})


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: without lone surrogates (possible in JSON)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_unicode(text: str) -> str:
    """`text` with "?" for each lone surrogate."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def kind_of(value: object) -> str:
    """What a parsed JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def _strings(value: object, name: str) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"field '{name}' should be a list of strings, found {kind_of(value)}")
    for i, item in enumerate(value):
        if not isinstance(item, str):
            raise ValueError(f"field '{name}' should be a list of strings, but item {i} is {kind_of(item)}")
    return value


def _numbers(value: object, name: str) -> list[float]:
    if not isinstance(value, list):
        raise ValueError(f"field '{name}' should be a list of numbers, found {kind_of(value)}")
    for i, item in enumerate(value):
        # A comparison is false for NaN, and takes integers that no float can hold.
        finite = isinstance(item, (int, float)) and not isinstance(item, bool) and abs(item) <= sys.float_info.max
        if not finite:
            raise ValueError(f"field '{name}' should be a list of numbers, but item {i} is {kind_of(item)}")
    return [float(item) for item in value]


def _check_length(values: list[Any], name: str, paragraphs: list[str]) -> None:
    if len(values) != len(paragraphs):
        raise ValueError(f"field '{name}' has {len(values)} items for {len(paragraphs)} paragraphs")
