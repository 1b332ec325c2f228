"""Labels that we gave to pages whose text is not ours to ship: joined with the pages, they are training data.

    python -m pagelabel.data.annotations LABELS PAGES -o LABELLED [--rest FILE]

A file of `data/annotated/` has one page a line, its labels as runs: {"id": …, "labels": [["promo", 12], ["body", 3]]}.
They take the place of what a model said (`pagelabel.training.pseudo`); the pages that have none go to `--rest`.
Without arguments it prints the figures of the folder's README.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from pagelabel.data.corpus import agreement
from pagelabel.data.page import Page
from pagelabel.data.pagefiles import valid_pages, write_pages


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
    """The page with these labels, and without a model's weights and probabilities. Raises ValueError where
    there are not as many labels as paragraphs."""
    if len(labels) != len(page.paragraphs):
        raise ValueError(
            f"{file}: page {page.id!r} has {len(labels)} labels for {len(page.paragraphs)} paragraphs: "
            "was the page cut into blocks in another way?"
        )
    extra = {key: value for key, value in page.extra.items() if key not in ("weights", "probabilities")}
    return replace(page, labels=labels, scores=None, extra=extra)


def report(folder: Path) -> str:
    """How many pages and paragraphs each file of `folder` has, and how far `second_pass.jsonl` agrees, as Markdown."""
    second = folder / "second_pass.jsonl"
    files = {file: read_annotations(file) for file in sorted(folder.glob("*.jsonl")) if file != second}
    counts = {file: Counter(label for labels in found.values() for label in labels) for file, found in files.items()}
    names = [label for label, _ in sum(counts.values(), Counter[str]()).most_common()]
    lines = [f"| file | pages | paragraphs | {' | '.join(names)} |", "|---|" + "---:|" * (2 + len(names))]
    for file, found in files.items():
        numbers = [len(found), counts[file].total(), *(counts[file][name] for name in names)]
        lines.append(f"| `{file.name}` | {' | '.join(f'{number:,}' for number in numbers)} |")
    first = {name: labels for found in files.values() for name, labels in found.items()}
    again = read_annotations(second)
    passes = agreement(
        [label for name in again for label in first[name]], [label for labels in again.values() for label in labels]
    )
    by_label = ", ".join(f"{label} {passes.f1[label]:.3f}" for label in names if label in passes.f1)
    lines += [
        "",
        f"A second pass over {len(again)} of the pages agrees on {passes.same:,} of {passes.paragraphs:,} paragraphs "
        f"({passes.share:.1%}), macro-F1 {passes.macro_f1:.3f}: {by_label}.",
    ]
    return "\n".join(lines)


def main() -> int:
    if len(sys.argv) == 1:
        print(report(Path(str(importlib.resources.files("pagelabel.data"))) / "annotated"))
        return 0
    parser = argparse.ArgumentParser(description="Join our labels with the pages that they belong to.")
    parser.add_argument("labels", type=Path)
    parser.add_argument("pages")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rest", type=Path, help="where the pages without labels go")
    args = parser.parse_args()
    labels = read_annotations(args.labels)
    joined: list[Page] = []
    rest: list[Page] = []
    for page in valid_pages([args.pages]):
        known = labels.pop(page.id, None)
        if known is None:
            rest.append(page)
        else:
            joined.append(annotated(page, known, args.labels))
    if labels:
        print(f"{args.pages}: {len(labels)} annotated pages are not in it, such as {min(labels)!r}", file=sys.stderr)
    for path, pages in ((args.output, joined), (args.rest, rest)):
        if path is not None:
            write_pages(path, pages)
    print(f"{len(joined)} pages labelled, {len(rest)} without labels", file=sys.stderr)
    return 1 if labels else 0


if __name__ == "__main__":
    sys.exit(main())
