"""`pagelabel label`: files in, labels out, and nothing lost on the way."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import READERS, read_pages
from pagelabel.labeler import Labeler
from pagelabel.outputs import FORMATS, UNSURE, make_writer, mark_unsure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", metavar="FILE", help="files or folders of pages, or - for standard input")
    parser.add_argument("--from", dest="reader", choices=sorted(READERS), help="how to read them (default: by name)")
    parser.add_argument(
        "--text-mode",
        choices=("auto", "lines", "paragraphs"),
        default="auto",
        help="text input: one paragraph a line, or hard-wrapped paragraphs between blank lines (default: detected)",
    )
    parser.add_argument("--to", dest="format", choices=FORMATS, default="jsonl", help="output format (default: jsonl)")
    parser.add_argument("--keep", default="body,quote", help="labels that --to text keeps (default: body,quote)")
    parser.add_argument("--min-score", type=float, default=0.0, help='labels with a lower score become "unsure"')
    parser.add_argument("-o", "--output", type=Path, help="output file, complete or not there (default: stdout)")
    parser.add_argument("--errors", type=Path, help="write a JSON line for each page that could not be read")
    parser.add_argument("--model", help="bundle folder (default: the model that comes with the package)")
    parser.add_argument("--threads", type=int, help="cores to use (default: all)")


def run(args: argparse.Namespace) -> int:
    """0 if every page was labelled, 1 if any was not, 2 on wrong usage."""
    labeler = Labeler.load(args.model, threads=args.threads)
    keep = [label.strip() for label in args.keep.split(",") if label.strip()]
    unknown = sorted(set(keep) - set(labeler.labels))
    if unknown:
        print(
            f"pagelabel: --keep: unknown label {unknown[0]!r}; labels are {', '.join(labeler.labels)}", file=sys.stderr
        )
        return 2
    if not 0.0 <= args.min_score <= 1.0:
        print(f"pagelabel: --min-score should be 0 to 1, found {args.min_score}", file=sys.stderr)
        return 2
    # What the model is not sure of is not dropped from text.
    writer = make_writer(args.format, labeler.labels, [*keep, UNSURE])
    failed: list[int] = []
    with _open(args.output) as out, _open_errors(args.errors) as errors:
        out.write(writer.head)
        pages = labeler.label_pages(_good(args, failed, errors))
        for page in tqdm(pages, unit="page", disable=not sys.stderr.isatty()):
            out.write(writer.page(mark_unsure(page, args.min_score)))
        out.write(writer.tail)
        out.flush()
    if failed:
        print(f"pagelabel: {len(failed)} page(s) could not be read, see above", file=sys.stderr)
    return 1 if failed else 0


def _good(args: argparse.Namespace, failed: list[int], errors: TextIO | None) -> Iterator[Page]:
    count = 0
    for source in args.sources:
        for item in read_pages(source, args.reader, text_mode=args.text_mode):
            count += 1
            if isinstance(item, PageError):
                failed.append(count)
                tqdm.write(f"pagelabel: {item}", file=sys.stderr)
                if errors is not None:
                    errors.write(item.to_json() + "\n")
            else:
                yield item


@contextmanager
def _open(path: Path | None) -> Iterator[TextIO]:
    """A UTF-8 text file that is renamed to `path` when all went well, or standard output."""
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        yield sys.stdout
        return
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _open_errors(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with _open(path) as file:
        yield file
