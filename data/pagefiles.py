"""Files of pages for the scripts that make training data: all of it, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages
from pagelabel.data.written import compressed, replaced


def valid_pages(files: Iterable[str]) -> Iterator[Page]:
    """The pages of the files, in order. Raises ValueError that names file and place of what cannot be read."""
    for file in files:
        for page in read_pages(file):
            if isinstance(page, PageError):
                raise ValueError(str(page))
            yield page


def write_pages(path: Path, pages: Iterable[Page]) -> None:
    """Write JSON lines, compressed where the name ends with `.gz` or `.zst`. The file appears when it is whole."""
    with replaced(path) as file, compressed(file, path.suffix) as out:
        for page in pages:
            out.write(page.to_json().encode() + b"\n")
