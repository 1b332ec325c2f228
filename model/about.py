"""What is known of a page beside its paragraphs, for models that read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pagelabel.data.page import Page

ABOUT = ("title", "url")
"""What a model may read, in this order."""
_SCHEME = re.compile(r"\A\s*(?:[a-z]+://)?(?:www\.)?", re.IGNORECASE)


def check_about(names: Sequence[str]) -> None:
    """Raises ValueError where `names` are not some of `ABOUT` in its order."""
    if tuple(names) != tuple(name for name in ABOUT if name in names):
        raise ValueError(f"about should be some of {list(ABOUT)} in this order, found {list(names)}")


def about_texts(page: Page, names: Sequence[str]) -> list[str]:
    """The page's title and its address (without scheme and "www."), those that are named; "" where unknown."""
    known = {"title": page.title or "", "url": _SCHEME.sub("", page.url or "")}
    return [known[name].strip() for name in names]
