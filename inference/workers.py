"""Labelling a stream in this process or in several, in order, a bounded part of it in memory at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from pagelabel.data.page import Page, PageError
from pagelabel.labeler import Labeler

_BATCH_PARAGRAPHS = 2048
_BATCH_PAGES = 256
# Of a batch's pages with all that they carry: their number says nothing of the memory that they take.
_BATCH_CHARACTERS = 16_000_000
# Enough that no worker waits for the reader, few enough that memory stays small.
_BATCHES_AHEAD = 3

Item = Page | PageError
Labelled = tuple[list[str] | None, list[float] | None]

# The source of errors that are not of reading.
LABELLING = "labelling"


class WorkerError(RuntimeError):
    """A worker process ended before its work was done."""


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Consecutive items, a few thousand paragraphs or one larger page together. Where one ends depends on the items
    alone."""
    batch: list[Item] = []
    paragraphs = characters = 0
    for item in items:
        batch.append(item)
        if isinstance(item, Page):
            paragraphs += len(item.paragraphs)
            characters += item.characters
        if paragraphs >= _BATCH_PARAGRAPHS or len(batch) >= _BATCH_PAGES or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, paragraphs, characters = [], 0, 0
    if batch:
        yield batch


def label_batch(labeler: Labeler, batch: list[Item]) -> list[Item]:
    """The pages of a batch labelled, what could not be read as it is. A page that cannot be labelled becomes a
    PageError."""
    pages = [item for item in batch if isinstance(item, Page)]
    try:
        found: Iterator[Item] = iter(list(labeler.label_pages(pages)))
    except Exception:  # noqa: BLE001 - whatever it is, it is told of the page that caused it
        found = iter([_label_alone(labeler, page) for page in pages])
    return [next(found) if isinstance(item, Page) else item for item in batch]


def _label_alone(labeler: Labeler, page: Page) -> Item:
    try:
        return labeler.label(page)
    except Exception as error:  # noqa: BLE001
        return PageError(LABELLING, f"page {page.id!r}", f"{type(error).__name__}: {error}")


def label_here(items: Iterable[Item], labeler: Labeler) -> Generator[Item, None, None]:
    """Items labelled in this process."""
    for batch in batches(items):
        yield from label_batch(labeler, batch)


def label_in_workers(items: Iterable[Item], model: str | None, workers: int) -> Generator[Item, None, None]:
    """Items labelled by `workers` processes of one thread each, in the order of `items`.

    Raises WorkerError when a process was ended from outside; what was yielded until then is right.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (model,))
    ahead: deque[tuple[list[Item], Future[list[Labelled | PageError]]]] = deque()
    try:
        for batch in batches(items):
            ahead.append((batch, pool.submit(_label, [_bare(item) for item in batch if isinstance(item, Page)])))
            if len(ahead) >= workers * _BATCHES_AHEAD:
                yield from _joined(ahead)
        while ahead:
            yield from _joined(ahead)
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process was ended from outside, perhaps by the system for want of memory: use fewer --workers"
        ) from error
    finally:
        if ahead:
            _abandon(pool)
        pool.shutdown(wait=not ahead, cancel_futures=True)


def _bare(page: Page) -> Page:
    """What labelling reads of a page. The rest stays here: it may be large, or too deeply nested to be sent."""
    known = {"title": page.title, "link": page.link}
    return Page(page.id, page.paragraphs, page.url, extra={key: value for key, value in known.items() if value})


def _joined(ahead: deque[tuple[list[Item], Future[list[Labelled | PageError]]]]) -> Iterator[Item]:
    """The items of the first batch, which leaves `ahead` when it is labelled, with what was found of its pages."""
    batch, future = ahead[0]
    found = iter(future.result())
    ahead.popleft()
    for item in batch:
        if isinstance(item, Page):
            labelled = next(found)
            yield labelled if isinstance(labelled, PageError) else replace(item, labels=labelled[0], scores=labelled[1])
        else:
            yield item


def _abandon(pool: ProcessPoolExecutor) -> None:
    """End the processes: what is under way when the caller stops is not waited for.

    One may be ended within writing a result. The pool's thread would wait for the rest forever, and the interpreter for
    the thread, as long as this process holds the pipe open for writing, too (3 of 25 runs with results of 8 MB). The
    same goes for a batch that is half written to a process, as long as this one holds the pipe open for reading (with
    Python 3.11.2, not with 3.11.7).
    """
    # Later versions close it themselves, in the pool's thread, which must not find it closed.
    if sys.version_info < (3, 11, 7):
        pool._call_queue._reader.close()  # type: ignore[attr-defined]
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool._result_queue._writer.close()  # type: ignore[attr-defined]


_labeler: Labeler


def _start(model: str | None) -> None:
    global _labeler
    # Ctrl-C goes to every process of the terminal; the parent tells the workers to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _labeler = Labeler.load(model, threads=1)


def _end_with_parent() -> None:
    """A parent that was killed tells its workers nothing: they would wait for it forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _label(pages: list[Page]) -> list[Labelled | PageError]:
    found = label_batch(_labeler, list(pages))
    return [item if isinstance(item, PageError) else (item.labels, item.scores) for item in found]
