"""Where a run reads and writes: found once, before anything is written, so that no run reads what it writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pagelabel.data.page import PageError
from pagelabel.data.sources import expand, is_remote


class UsageError(ValueError):
    """Options that do not go together."""


def inputs_of(sources: Iterable[str], folder: Path | None) -> list[str | PageError]:
    """The files that the sources mean, see `pagelabel.data.sources.expand`.

    What a pattern matches in `folder`, where the output goes, is left out: it is the output of this run, begun before.
    Raises UsageError where that folder, or a file in it, is itself named as input.
    """
    found: list[str | PageError] = []
    for source in sources:
        if folder is None or is_remote(source):
            found += expand(source)
        elif os.path.exists(source):
            if _holds(folder, source):
                raise UsageError(f"{source} is inside the output folder {folder}: write elsewhere")
            found += expand(source)
        else:
            found += (name for name in expand(source) if not (isinstance(name, str) and _holds(folder, name)))
    return found


def _holds(folder: Path, name: str) -> bool:
    # Not `resolve`: there may be millions.
    return (os.path.abspath(name) + os.sep).startswith(os.path.abspath(folder) + os.sep)


def check_outputs(
    outputs: Iterable[str | Path | None], sources: Iterable[str], inputs: Iterable[str | PageError]
) -> None:
    """Raises UsageError where two outputs are one file, or one is a file that is read or inside a folder that is."""
    places = [Path(output).resolve() for output in outputs if output is not None]
    # What is there and no regular file (`/dev/null`) is not replaced.
    written = [place for place in places if place.is_file() or not place.exists() or place.is_dir()]
    if len(set(written)) < len(written):
        raise UsageError(f"{written[0]}: output and errors need a file each")
    for source in sources:
        folder = Path(source).resolve() if not is_remote(source) and os.path.isdir(source) else None
        for place in written if folder else ():
            if place == folder or folder in place.parents:
                raise UsageError(f"{place} is inside the input folder {source} and would be read: write elsewhere")
    there = {_identity(place) for place in written if place.is_file()}
    for name in inputs if there else ():
        if isinstance(name, str) and not is_remote(name) and _identity(name) in there:
            raise UsageError(f"{name} is an input, too, and would be replaced: write elsewhere")


def _identity(file: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
