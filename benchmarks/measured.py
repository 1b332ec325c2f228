"""The pages that the scripts here measure on."""

from __future__ import annotations

import sys

from pagelabel import Page, PageError, read_pages


def measured(source: str) -> list[Page]:
    """All pages of `source`; ends the script where one cannot be read."""
    pages = []
    for item in read_pages(source):
        if isinstance(item, PageError):
            sys.exit(f"{item}; the measured pages are not part of this repository")
        pages.append(item)
    return pages
