"""Labelling a stream in this process or in several, in order, a bounded part of it in memory at a time."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from pagelabel.data.page import Page, PageError
from pagelabel.labeler import Labeler

_BATCH_PARAGRAPHS = 2048
_BATCH_PAGES = 256
# Enough that no worker waits for the reader, few enough that memory stays small.
_BATCHES_AHEAD = 3

Item = Page | PageError


class WorkerError(RuntimeError):
    """A worker process ended before its work was done."""


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Consecutive items, a few thousand paragraphs or one larger page together. Where one ends depends on the items
    alone."""
    batch: list[Item] = []
    paragraphs = 0
    for item in items:
        batch.append(item)
        paragraphs += len(item.paragraphs) if isinstance(item, Page) else 0
        if paragraphs >= _BATCH_PARAGRAPHS or len(batch) >= _BATCH_PAGES:
            yield batch
            batch, paragraphs = [], 0
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
        return PageError("labelling", f"page {page.id!r}", f"{type(error).__name__}: {error}")


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
    ahead: deque[Future[list[Item]]] = deque()
    try:
        for batch in batches(items):
            ahead.append(pool.submit(_label, batch))
            if len(ahead) >= workers * _BATCHES_AHEAD:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process was ended from outside, perhaps by the system for want of memory: use fewer --workers"
        ) from error
    finally:
        if ahead:
            _abandon(pool)
        pool.shutdown(wait=not ahead, cancel_futures=True)


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
    _labeler = Labeler.load(model, threads=1)


def _label(batch: list[Item]) -> list[Item]:
    return label_batch(_labeler, batch)
