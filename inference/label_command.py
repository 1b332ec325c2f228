"""`pagelabel label`: files in, labels out, and nothing lost on the way."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from pagelabel.data.page import ARTICLE_LABELS, FIELDS, Page, PageError
from pagelabel.data.readers import READERS, read_files
from pagelabel.data.sources import size_of
from pagelabel.data.streams import COMPRESSED_SUFFIXES, MAX_PAGE_BYTES, ReadOptions
from pagelabel.data.written import replaced
from pagelabel.filters import UNSURE, keep_labels, mark_unsure
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import SHIPPED, BundleConfig, find_bundle, read_bundle
from pagelabel.outputs import FORMATS, NEVER_WRITTEN, Writer, make_writer
from pagelabel.places import UsageError, check_outputs, inputs_of
from pagelabel.progress import Progress
from pagelabel.runs import ShardedRun
from pagelabel.sinks import open_sink
from pagelabel.workers import Item, label_here, label_in_workers

_SHARD_PAGES = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="files, folders, globs, s3:// gs:// https:// addresses, or - for stdin",
    )
    add("--from", dest="reader", choices=sorted(READERS), help="how to read them (default: by name)")
    add(
        "--text-mode",
        choices=("auto", "lines", "paragraphs"),
        default="auto",
        help="text input: one paragraph a line, or hard-wrapped paragraphs between blank lines (default: detected)",
    )
    add("--text-column", default="text", help="field or column to cut where there are no paragraphs (default: text)")
    add("--max-page-bytes", type=int, default=MAX_PAGE_BYTES, help="larger pages are errors (default: 64 MiB)")
    add("--to", dest="format", choices=tuple(FORMATS), help="output format (default: by the output's name, else jsonl)")
    add("--keep", help="write paragraphs of these labels only (default: all; for --to text body,quote)")
    add("--drop", help="write no paragraphs of these labels")
    add("--min-score", type=float, default=0.0, help='labels with a lower score become "unsure", which is kept')
    add(
        "-o",
        "--output",
        help="output file, complete or not there, or a folder (ends with /) for a run in shards that can be resumed "
        "(default: stdout)",
    )
    add("--shard-pages", type=int, help=f"input pages a shard of a folder (default: {_SHARD_PAGES:,})")
    add("--errors", type=Path, help="write a JSON line for each page that could not be read (a folder has its own)")
    shipped = ", ".join(SHIPPED)
    add(
        "--model",
        help=f"bundle folder, or the name of a model that comes with the package: {shipped} (default: the first)",
    )
    add("--workers", type=int, default=1, help="processes to label in, one thread each (default: 1)")
    add("--threads", type=int, help="cores to use without --workers (default: all)")


def run(args: argparse.Namespace) -> int:
    """0 if every page was labelled, 1 if any was not, 2 on wrong usage."""
    config = read_bundle(find_bundle(args.model))
    try:
        _choose_format(args)
        keep = _kept_labels(args, config.labels)
        folder = _folder(args)
        inputs = inputs_of(args.sources, folder)
        check_outputs((args.output, args.errors), args.sources, inputs)
    except UsageError as error:
        print(f"pagelabel: {error}", file=sys.stderr)
        return 2

    def change(page: Page) -> Page:
        page = mark_unsure(page, args.min_score)
        return page if keep is None else keep_labels(page, keep)

    def new_writer() -> Writer | None:
        return None if args.format == "parquet" else make_writer(args.format, config.labels, min_score=args.min_score)

    with Progress(inputs) as progress:
        options = ReadOptions(args.text_mode, args.max_page_bytes, args.text_column, labelled=False)
        items = progress.watch(read_files(inputs, args.reader, options, progress.opened))
        label: Callable[[Iterable[Item]], Generator[Item, None, None]]
        if args.workers > 1:
            label = partial(label_in_workers, model=args.model, workers=args.workers)
        else:
            label = partial(label_here, labeler=Labeler.load(args.model, threads=args.threads))
        if folder is not None:
            shards = ShardedRun(
                folder, FORMATS[args.format], args.shard_pages or _SHARD_PAGES, _settings(args, inputs, config, keep)
            )
            if shards.done:
                progress.say(f"pagelabel: {shards.done} shard(s) are there already")
            pages, errors = shards.write(items, label, new_writer, change, progress.tell)
        else:
            with closing(label(items)) as labelled:
                pages, errors = _write_one(args, labelled, new_writer, change, progress.tell)
    if errors:
        print(f"pagelabel: {pages:,} page(s) labelled, {errors:,} could not be read, see above", file=sys.stderr)
    return 1 if errors else 0


def _write_one(
    args: argparse.Namespace,
    items: Iterator[Item],
    new_writer: Callable[[], Writer | None],
    change: Callable[[Page], Page],
    tell: Callable[[PageError], None],
) -> tuple[int, int]:
    pages = errors = 0
    output = Path(args.output) if args.output else None
    with ExitStack() as stack:
        failed = stack.enter_context(replaced(args.errors)) if args.errors else None
        with suppress(_NothingLabelledError), open_sink(output, new_writer()) as sink:
            for item in items:
                if isinstance(item, PageError):
                    errors += 1
                    tell(item)
                    if failed is not None:
                        failed.write((item.to_json() + "\n").encode())
                else:
                    pages += 1
                    sink.write(change(item))
            if errors and not pages and output is not None:
                # A name that is mistyped must not empty the output of a run before.
                raise _NothingLabelledError
    return pages, errors


class _NothingLabelledError(Exception):
    """There is nothing to write."""


def _choose_format(args: argparse.Namespace) -> None:
    """Where no format is named, that of the output's name."""
    if args.output == "-":
        args.output = None
    # A folder's name says nothing of what is in it.
    folder = args.output is not None and _is_folder(args.output)
    name = PurePath("" if folder else args.output or "")
    packed = name.suffix.lower() in COMPRESSED_SUFFIXES
    suffix = (name.with_suffix("") if packed else name).suffix.lower()
    instead = "columns are compressed in themselves" if packed and suffix == ".parquet" else NEVER_WRITTEN.get(suffix)
    if instead:
        raise UsageError(f"{args.output}: a file of that name is not written; {instead}")
    if suffix == ".htm":
        suffix = FORMATS["html"]
    if args.format is None:
        args.format = next((name for name, ending in FORMATS.items() if ending == suffix), "jsonl")
    elif (suffix == ".parquet") != (args.format == "parquet") and suffix in FORMATS.values():
        raise UsageError(f"--to {args.format} does not go with the name {args.output}")


def _kept_labels(args: argparse.Namespace, labels: tuple[str, ...]) -> list[str] | None:
    """Labels that are written, None for all. What the model is not sure of is never left out."""
    if args.keep is not None and args.drop is not None:
        raise UsageError("--keep and --drop do not go together: one says it all")
    if not 0.0 <= args.min_score <= 1.0:
        raise UsageError(f"--min-score should be 0 to 1, found {args.min_score}")
    for name in ("max_page_bytes", "workers", "shard_pages", "threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} should be at least 1, found {value}")
    if args.text_column in FIELDS:
        raise UsageError(f"--text-column: {args.text_column!r} is a field of its own, and no text to cut")
    for option in ("keep", "drop"):
        given = _names(getattr(args, option))
        if given == []:
            raise UsageError(f"--{option} names no label; labels are {', '.join(labels)}")
        unknown = sorted(set(given or ()) - set(labels))
        if unknown:
            raise UsageError(f"--{option}: unknown label {unknown[0]!r}; labels are {', '.join(labels)}")
    keep, drop = _names(args.keep), _names(args.drop)
    if args.format == "dolma" and (keep is not None or drop is not None):
        raise UsageError("--to dolma writes where labels stand and leaves nothing out: filter by its attributes")
    if drop is not None:
        keep = [label for label in labels if label not in drop]
    elif keep is None and args.format == "text":
        keep = [label for label in labels if label in ARTICLE_LABELS]
        if not keep:
            raise UsageError(f"--to text needs --keep or --drop with this model's labels: {', '.join(labels)}")
    return None if keep is None else [*keep, UNSURE]


def _names(value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _is_folder(output: str) -> bool:
    return output.endswith("/") or Path(output).is_dir()


def _folder(args: argparse.Namespace) -> Path | None:
    """The folder of a run in shards, or None."""
    folder = args.output is not None and _is_folder(args.output)
    if args.shard_pages is not None and not folder:
        raise UsageError("--shard-pages needs a folder: end the name after -o with /")
    if folder and args.errors:
        raise UsageError("a folder keeps the errors beside each shard: leave --errors out")
    if folder and "-" in args.sources:
        raise UsageError("standard input cannot be read again to go on with a run: write to a file")
    if not folder and args.output is None and args.format == "parquet":
        raise UsageError("Parquet cannot be written to standard output: name a file with -o")
    return Path(args.output) if folder else None


def _settings(
    args: argparse.Namespace, inputs: Iterable[str | PageError], config: BundleConfig, keep: list[str] | None
) -> dict[str, Any]:
    """What decides the output of a run: resumed with anything else, its shards would not fit together."""
    return {
        "inputs": [[str(name), size_of(name) if isinstance(name, str) else None] for name in inputs],
        "reader": args.reader,
        "text_mode": args.text_mode,
        "text_column": args.text_column,
        "max_page_bytes": args.max_page_bytes,
        "format": args.format,
        "keep": keep,
        "min_score": args.min_score,
        "model": config.decisive,
    }
