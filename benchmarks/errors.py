"""Where a model is wrong: confusions, how few pages make most of them, and a sample, without any page's text.

    python benchmarks/errors.py --pages ../shared/data/dev.jsonl.gz ../shared/data/dev_views.jsonl.gz \
        --out benchmarks/results

The sample takes every confusion in proportion, at most three paragraphs of a page. `--text` prints its paragraphs to
stderr, for reading them against the guide; they belong to their publishers and are not written to files.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from measured import measured

from pagelabel import Labeler, Page

_SAMPLE, _OF_A_PAGE = 100, 3


class Error(NamedTuple):
    page: str
    view: str
    index: int
    gold: str
    given: str
    score: float
    doubt: bool
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", nargs="+", required=True, help="labelled pages (JSON lines)")
    parser.add_argument("--model", help="bundle folder or name (default: the one that ships)")
    parser.add_argument("--text", action="store_true", help="print the sampled paragraphs to stderr")
    parser.add_argument("--out", type=Path, required=True, help="folder for errors.md")
    args = parser.parse_args()
    pages = [page for file in args.pages for page in measured(file)]
    labeler = Labeler.load(args.model)
    errors = []
    for page, labelled in zip(pages, labeler.label_pages(pages), strict=True):
        errors += _errors(page, labelled)
    sample = _sample(errors)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "errors.md").write_text(_report(pages, errors, sample), encoding="utf-8")
    if args.text:
        for number, error in enumerate(sample, 1):
            print(f"{number} {error.gold} -> {error.given}: {error.text[:300]}", file=sys.stderr)


def _errors(page: Page, labelled: Page) -> list[Error]:
    doubt = set(page.extra.get("doubt") or ())
    whole, view = page.group, page.view or "whole"
    rows = zip(page.paragraphs, page.labels or (), labelled.labels or (), labelled.scores or (), strict=True)
    return [
        Error(whole, view, i, gold, given, score, i in doubt, text)
        for i, (text, gold, given, score) in enumerate(rows)
        if gold != given
    ]


def _sample(errors: list[Error]) -> list[Error]:
    taken: Counter[str] = Counter()
    sample: list[Error] = []
    for error in random.Random(0).sample(errors, len(errors)):
        if len(sample) < _SAMPLE and taken[error.page] < _OF_A_PAGE:
            taken[error.page] += 1
            sample.append(error)
    return sorted(sample, key=lambda e: (e.gold, e.given, e.page, e.view, e.index))


def _report(pages: list[Page], errors: list[Error], sample: list[Error]) -> str:
    paragraphs = sum(len(page.paragraphs) for page in pages)
    groups: dict[tuple[str, str], list[Error]] = defaultdict(list)
    for error in errors:
        groups[error.gold, error.given].append(error)
    lines = [
        "# Errors",
        "",
        f"{len(errors):,} of {paragraphs:,} paragraphs of {len(pages):,} pages and views have another label than the "
        "annotation gives them. Made by `benchmarks/errors.py`.",
        "",
        "| gold | given | paragraphs | unsure in annotation | pages | in the 3 pages that have most |",
        "|---|---|---|---|---|---|",
    ]
    for (gold, given), found in sorted(groups.items(), key=lambda item: -len(item[1])):
        by_page = Counter(error.page for error in found)
        most = sum(count for _, count in by_page.most_common(3))
        doubt = sum(error.doubt for error in found)
        lines.append(f"| {gold} | {given} | {len(found):,} | {doubt:,} | {len(by_page)} | {most / len(found):.0%} |")
    lines += [
        "",
        f"A sample of {len(sample)}, at most {_OF_A_PAGE} of a page:",
        "",
        "| gold | given | score | page | view | paragraph | words |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {e.gold} | {e.given} | {e.score:.2f} | `{e.page}` | {e.view} | {e.index}{' (unsure)' * e.doubt} | "
        f"{len(e.text.split())} |"
        for e in sample
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
