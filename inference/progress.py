"""What a long run shows on a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pagelabel.data.page import PageError
from pagelabel.data.sources import size_of
from pagelabel.workers import Item

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """A bar on a terminal: bytes read of all local input, pages and pages a second, time left."""

    def __init__(self, inputs: Sequence[str | PageError]) -> None:
        self._hidden = not sys.stderr.isatty()
        sizes: list[int | None] = [None]
        if not self._hidden:
            sizes = [size_of(name) for name in inputs if isinstance(name, str)]
        total = sum(size for size in sizes if size is not None) if None not in sizes else None
        self._bar: tqdm[None] | None = None
        if not self._hidden:
            # Importing it is a twentieth of the start-up, which a pipe need not wait for.
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="B", unit_scale=True, smoothing=0.05)
        self._file: io.BufferedReader | None = None
        self._before = self._pages = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def opened(self, source: str, file: io.BufferedReader) -> None:
        self._before += size_of(source) or 0
        self._file = file

    def watch(self, items: Iterator[Item]) -> Iterator[Item]:
        if self._bar is None:
            yield from items
            return
        for item in items:
            self._pages += 1
            if self._pages % 16 == 0:
                self._show(self._bar)
            yield item

    def _show(self, bar: tqdm[None]) -> None:
        if self._file is not None and not self._file.closed:
            size = size_of(str(getattr(self._file, "name", "-"))) or 0
            # A pipe does not tell where it is.
            at = self._file.tell() if self._file.seekable() else 0
            bar.update(max(0, self._before - size + at - bar.n))
        seconds = bar.format_dict["elapsed"]
        bar.set_postfix_str(f"{self._pages:,} pages, {self._pages / max(seconds, 1e-9):.1f} pages/s", refresh=False)

    def tell(self, error: PageError) -> None:
        self.say(f"pagelabel: {error}")

    def say(self, message: str) -> None:
        if self._bar is None:
            print(message, file=sys.stderr)
        else:
            self._bar.write(message, file=sys.stderr)
