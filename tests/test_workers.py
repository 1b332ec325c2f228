import multiprocessing
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from conftest import toy_pages

from pagelabel.data.page import Page, PageError
from pagelabel.labeler import Labeler
from pagelabel.workers import Item, _abandon, batches, label_batch, label_here, label_in_workers


def mixed(count: int) -> list[Item]:
    items: list[Item] = list(toy_pages(count))
    return [
        item for i, page in enumerate(items) for item in ([PageError("x", f"line {i}", "bad")] * (i % 5 == 1) + [page])
    ]


def test_order_and_errors_are_kept(tiny_bundle: Path) -> None:
    items = mixed(40)
    labeler = Labeler.load(tiny_bundle, threads=1)
    here = list(label_here(items, labeler))
    assert [type(item) for item in here] == [type(item) for item in items]
    expected = list(labeler.label_pages(item for item in items if isinstance(item, Page)))
    assert [item for item in here if isinstance(item, Page)] == expected


def test_workers_label_as_one_process_does(tiny_bundle: Path) -> None:
    items = mixed(700)
    here = list(label_here(items, Labeler.load(tiny_bundle, threads=1)))
    assert list(label_in_workers(items, str(tiny_bundle), 2)) == here


def test_batches_are_bounded_and_lose_nothing() -> None:
    items: list[Item] = [Page("long", ["a"] * 5000), *toy_pages(1000), Page("empty", [])]
    found = list(batches(items))
    assert [item for batch in found for item in batch] == items
    assert found[0] == items[:1]
    assert all(len(batch) <= 256 for batch in found)


def test_pages_with_much_beside_their_paragraphs_are_few_in_a_batch() -> None:
    items: list[Item] = [Page(str(i), ["a"], extra={"html": "x" * 5_000_000}) for i in range(10)]
    assert [len(batch) for batch in batches(items)] == [4, 4, 2]


def test_what_labelling_does_not_read_stays_here(tiny_bundle: Path) -> None:
    nested: list[object] = []
    for _ in range(500):
        nested = [nested]
    items: list[Item] = [Page("deep", ["Menu"], extra={"title": "A", "deep": nested, "number": 7}), *toy_pages(3)]
    found = list(label_in_workers(items, str(tiny_bundle), 2))
    assert found == list(label_here(items, Labeler.load(tiny_bundle, threads=1)))
    assert isinstance(found[0], Page)
    assert found[0].extra["deep"] is nested


def processes_of(parent: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_end_with_their_parent(tiny_bundle: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "pagelabel", "label", "-", "--model", str(tiny_bundle), "--workers", "2"]
    command += ["-o", str(tmp_path / "out.jsonl")]
    pages = "".join(page.to_json() + "\n" for page in toy_pages(2000)).encode()
    with subprocess.Popen(command, stdin=subprocess.PIPE) as run:
        assert run.stdin is not None
        run.stdin.write(pages)
        run.stdin.flush()
        deadline = time.time() + 60
        while len(processes_of(run.pid)) < 3 and time.time() < deadline:
            time.sleep(0.05)
        workers = processes_of(run.pid)
        assert len(workers) >= 3
        run.send_signal(number)
        assert run.wait(30) == code
    while time.time() < deadline and any(Path(f"/proc/{worker}").exists() for worker in workers):
        time.sleep(0.05)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    if number == signal.SIGTERM:
        assert list(tmp_path.iterdir()) == []


def test_the_reader_is_not_run_ahead_of(tiny_bundle: Path) -> None:
    taken = 0

    def endless():  # type: ignore[no-untyped-def]
        nonlocal taken
        while True:
            taken += 1
            yield Page(str(taken), ["Menu"] * 500)

    stream = label_in_workers(endless(), str(tiny_bundle), 2)
    for _ in range(8):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert taken < 60


def test_a_page_that_cannot_be_labelled_is_told_and_the_others_are_labelled(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labeler = Labeler.load(tiny_bundle, threads=1)
    logits = labeler.model.logits

    def failing(pages: list[Page]) -> object:
        if any("poison" in page.paragraphs for page in pages):
            raise MemoryError("no room")
        return logits(pages)

    monkeypatch.setattr(labeler.model, "logits", failing)
    pages: list[Item] = [Page("a", ["Menu"]), Page("b", ["poison"]), Page("c", ["Donate"])]
    a, b, c = label_batch(labeler, pages)
    assert isinstance(a, Page)
    assert isinstance(c, Page)
    assert isinstance(b, PageError)
    assert str(b) == "labelling: page 'b': MemoryError: no room"


def assert_abandoned(pool: ProcessPoolExecutor, under_way: Callable[[], bool]) -> None:
    """Once `under_way`, and a while for what comes after it, the pool is abandoned, and its thread ends."""
    deadline = time.monotonic() + 60
    while not under_way():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    thread = pool._executor_manager_thread
    assert thread is not None
    _abandon(pool)
    pool.shutdown(wait=False, cancel_futures=True)
    thread.join(20)
    assert not thread.is_alive()


def begin_a_result(told: Path) -> None:
    """In a worker process: write the head of a result that is a megabyte long, and no more."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    frame.f_locals["result_queue"]._writer._send(struct.pack("!i", 1 << 20))
    told.touch()
    time.sleep(60)


def test_a_process_that_is_ended_within_a_result_holds_nothing_up(tmp_path: Path) -> None:
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    pool.submit(begin_a_result, tmp_path / "told")
    # The pool's thread reads the head, and waits for the rest.
    assert_abandoned(pool, (tmp_path / "told").exists)


def sleep_over(batch: bytes) -> None:
    time.sleep(60)


def test_a_batch_that_is_half_written_to_an_ended_process_holds_nothing_up() -> None:
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    futures = [pool.submit(sleep_over, bytes(1_000_000)) for _ in range(3)]
    # One is worked on, and of the next no more than a pipe holds is written.
    assert_abandoned(pool, futures[1].running)
