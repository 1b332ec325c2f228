"""Long runs: output in shards, each whole or not there, so that the same command goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, BinaryIO

from pagelabel.data.page import Page, PageError
from pagelabel.data.sources import ERRORS, RUN
from pagelabel.data.written import replaced
from pagelabel.outputs import Writer
from pagelabel.sinks import open_sink
from pagelabel.workers import LABELLING

try:
    import fcntl
except ModuleNotFoundError:
    fcntl = None  # type: ignore[assignment]

Item = Page | PageError


class RunError(ValueError):
    """A folder holds something else than this run; the message says what to do."""


class ShardedRun:
    """A folder of `part-00000.jsonl`, `part-00001.jsonl`, …, each the output of `shard_pages` input pages, and beside
    each that had any the errors (`part-00000.errors.jsonl`). `run.json` holds the settings.

    A shard gets its name when it is on the disk; its errors get theirs before. So the shards that are there are right,
    whenever and however the run before was ended. One process at a time writes it.
    """

    def __init__(self, folder: Path, suffix: str, shard_pages: int, settings: dict[str, Any]) -> None:
        """Begin a run, or go on with it. Raises RunError where `folder` holds another one, or is being written to."""
        self.folder, self._suffix, self.shard_pages = folder, suffix, shard_pages
        settings = {"shard_pages": shard_pages, **settings}
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / RUN
        if file.exists():
            self._check(file, settings)
        elif any(folder.iterdir()) and not _only_leftovers(folder):
            raise RunError(f"{folder}: not empty, and no run of pagelabel: choose another folder")
        else:
            with replaced(file) as out:
                out.write((json.dumps(settings, indent=1) + "\n").encode())
        self._held = _hold(file)
        # What a run that was killed had begun.
        for leftover in folder.glob(".*.tmp*"):
            leftover.unlink(missing_ok=True)
        self.done = 0
        while self._shard(self.done).exists():
            self.done += 1

    def write(
        self,
        items: Iterable[Item],
        label: Callable[[Iterable[Item]], Generator[Item, None, None]],
        make_writer: Callable[[], Writer | None],
        change: Callable[[Page], Page],
        report: Callable[[PageError], None],
    ) -> tuple[int, int]:
        """Pass over the items of finished shards, label and write the rest. Returns pages and errors of all shards.

        Raises RunError where other items of those shards can be read than could be then: what is skipped would not be
        what is written.
        """
        with self._held:
            stream = iter(items)
            passed = errors = 0
            found: list[PageError]
            for number in range(self.done):
                # One page at a time: a shard of them may be too much for the memory.
                found = []
                for item in islice(stream, self.shard_pages):
                    passed += 1
                    if isinstance(item, PageError):
                        found.append(item)
                errors += self._check_errors(number, found)
            pages = passed - errors
            with closing(label(stream)) as labelled:
                for number in count(self.done):
                    first = next(labelled, None)
                    if first is None:
                        break
                    found = []
                    with open_sink(self._shard(number), make_writer()) as sink:
                        for item in chain([first], islice(labelled, self.shard_pages - 1)):
                            if isinstance(item, PageError):
                                found.append(item)
                                report(item)
                            else:
                                sink.write(change(item))
                                pages += 1
                        self._keep(number, found)
                    errors += len(found)
            return pages, errors

    def _check(self, file: Path, settings: dict[str, Any]) -> None:
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(before, dict):
                raise ValueError("no JSON object")
        except ValueError as error:
            raise RunError(f"{file}: not readable ({error}): choose another folder") from error
        model = settings.get("model")
        if isinstance(model, dict) and before.get("model") == model.get("sha256"):
            # So runs were begun before more was kept of the model.
            before["model"] = model
        if before != settings:
            changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
            raise RunError(
                f"{self.folder} holds a run with other {', '.join(changed)}: repeat its command to go on with it, or "
                "choose another folder"
            )

    def _check_errors(self, number: int, found: list[PageError]) -> int:
        """How many errors shard `number` had. Those of reading must be the ones `found` now."""
        file = self._errors(number)
        stored = [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []
        then = {(error["source"], error["position"]) for error in stored if error["source"] != LABELLING}
        now = {(error.source, error.position) for error in found}
        for source, position in sorted(then ^ now):
            place = f"{source}, {position}" if position else source
            was = "could not be read then, and can be now" if (source, position) in then else "could be read then"
            raise RunError(f"{self.folder}: {place}: {was}, so its shards do not fit any more: choose another folder")
        return len(stored)

    def _keep(self, number: int, errors: list[PageError]) -> None:
        if errors:
            with replaced(self._errors(number)) as out:
                out.write("".join(error.to_json() + "\n" for error in errors).encode())
        else:
            self._errors(number).unlink(missing_ok=True)

    def _shard(self, number: int) -> Path:
        return self.folder / f"part-{number:05}{self._suffix}"

    def _errors(self, number: int) -> Path:
        return self.folder / f"part-{number:05}{ERRORS}"


def _hold(file: Path) -> BinaryIO:
    """The open file, which no other process holds until it is closed or this process ends, however it does: two that
    write one run would take each other's half shards for leftovers. Raises RunError where another one holds it."""
    # Network file systems lock only what is open for writing.
    held = file.open("r+b")
    # Windows has none.
    if fcntl is not None:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise RunError(f"{file.parent}: another process writes this run: wait, or choose another folder") from None
        except OSError:
            # Where there are no locks, runs can be written as before there were any.
            pass
    return held


def _only_leftovers(folder: Path) -> bool:
    """Whether a run was killed before it had written its settings."""
    return all(path.name.startswith(f".{RUN}.tmp") for path in folder.iterdir())
