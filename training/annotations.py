"""Labels that we gave to pages whose text is not ours to ship: joined with the pages, they are training data.

    python -m pagelabel.training.annotations LABELS PAGES -o LABELLED [--rest FILE]

`data/annotations.jsonl` has one page a line, its labels as runs: {"id": …, "labels": [["promo", 12], ["body", 3]]}.
Pages of PAGES that have none go to `--rest`, for `pagelabel.training.pseudo`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages


def to_runs(labels: Sequence[str]) -> list[tuple[str, int]]:
    """Labels as runs of (label, how many)."""
    return [(label, len(list(group))) for label, group in groupby(labels)]


def read_annotations(file: Path) -> dict[str, list[str]]:
    """The labels of each page id. Raises ValueError that names file and line of a line of another form, or of an id
    that comes twice."""
    found: dict[str, list[str]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            name = str(record["id"])
            labels = [str(label) for label, count in record["labels"] for _ in range(count)]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{file}: line {number}: expected {{"id": …, "labels": [["<label>", <count>], …]}}: {error!r}'
            ) from error
        if name in found:
            raise ValueError(f"{file}: line {number}: page {name!r} is annotated a second time")
        found[name] = labels
    return found


def annotated(page: Page, labels: list[str], file: Path) -> Page:
    """The page with these labels. Raises ValueError where they are not as many as its paragraphs."""
    if len(labels) != len(page.paragraphs):
        raise ValueError(
            f"{file}: page {page.id!r} has {len(labels)} labels for {len(page.paragraphs)} paragraphs: "
            "was the page cut into blocks in another way?"
        )
    return replace(page, labels=labels, scores=None)


def main() -> int:
    parser = argparse.ArgumentParser(description="Join our labels with the pages that they belong to.")
    parser.add_argument("labels", type=Path)
    parser.add_argument("pages")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rest", type=Path, help="where the pages without labels go")
    args = parser.parse_args()
    labels = read_annotations(args.labels)
    joined: list[Page] = []
    rest: list[Page] = []
    for page in read_pages(args.pages):
        if isinstance(page, PageError):
            raise ValueError(str(page))
        known = labels.pop(page.id, None)
        if known is None:
            rest.append(page)
        else:
            joined.append(annotated(page, known, args.labels))
    if labels:
        print(f"{args.pages}: {len(labels)} annotated pages are not in it, such as {min(labels)!r}", file=sys.stderr)
    for path, pages in ((args.output, joined), (args.rest, rest)):
        if path is not None:
            _write(path, pages)
    print(f"{len(joined)} pages labelled, {len(rest)} without labels", file=sys.stderr)
    return 1 if labels else 0


def _write(path: Path, pages: Sequence[Page]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as out:
        for page in pages:
            out.write(page.to_json() + "\n")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
