"""How a command ends, `pagelabel` or one of the modules that are run with `python -m`: what it cannot go on from is one
line on stderr, and what it leaves behind is cleaned up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pagelabel.data.readers import EXTRAS
from pagelabel.model.bundle import BundleError
from pagelabel.workers import WorkerError


def finish(name: str, run: Callable[[], int]) -> int:
    """Run the command `name`; returns the exit code (0 done, 1 failed, 2 wrong usage)."""
    try:
        with cleaning_up():
            return run()
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("pagelabel: interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0], "train")
        print(f"pagelabel: {name} needs {error.name}: pip install 'pagelabel[{extra}]'", file=sys.stderr)
        return 2
    except (BundleError, WorkerError, ValueError, OSError) as error:
        print(f"pagelabel: {error}", file=sys.stderr)
        return 1


@contextmanager
def cleaning_up() -> Iterator[None]:
    """Let a request to end (SIGTERM, or SIGHUP of a closed terminal) take the way of an exception: temporary files are
    removed, workers ended."""

    def end(number: int, _: object) -> None:
        # Shell and kernel both tell of a closed terminal: the second time must not break off the cleaning up.
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM]
    # Windows has none, and nohup, which ignores it, lets a run outlive its terminal.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
