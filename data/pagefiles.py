"""Files of pages for the scripts that make training data: all of it, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages


def valid_pages(files: Iterable[str]) -> Iterator[Page]:
    """The pages of the files, in order. Raises ValueError that names file and place of what cannot be read."""
    for file in files:
        for page in read_pages(file):
            if isinstance(page, PageError):
                raise ValueError(str(page))
            yield page


def write_pages(path: Path, pages: Iterable[Page]) -> None:
    """Write JSON lines under a temporary name, renamed when they are all there."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as out:
        for page in pages:
            out.write(page.to_json() + "\n")
    temporary.replace(path)
