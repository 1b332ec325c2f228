"""What a user names as input to the files that are meant: folders, globs, addresses of remote storage."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pagelabel.data.page import PageError
from pagelabel.data.streams import why_unreadable

_GLOB = frozenset("*?[")
_THROUGH = "**"

RUN, ERRORS = "run.json", ".errors.jsonl"
"""What a run of `pagelabel label` keeps of itself beside its shards, `part-00000…`."""
# What Spark keeps beside its data, and where it puts what is not done.
_MARKS, _UNDONE = ("_SUCCESS", "_started_", "_committed_"), "_temporary"


def expand(source: str) -> Iterator[str | PageError]:
    """The files that `source` means, in an order that is always the same.

    A file or "-" is itself; a folder is its files, those of folders in it too (but not hidden ones, nor what Spark and
    a run of `pagelabel label` keep beside their data); a name with `*`, `?` or `[…]` is what it matches, folders too
    (with `**`, which goes through them, files alone); `s3://…`, `gs://…`, `https://…` and what else fsspec knows may be
    any of these.
    What means no file at all yields a PageError.
    """
    if source == "-":
        yield source
    elif source.startswith(("http://", "https://")):
        # A web address may hold a question mark, and a server has no folders.
        yield source
    elif is_remote(source):
        yield from _expand_remote(source)
    elif os.path.isdir(source):
        yield from _folder(source)
    elif not os.path.exists(source) and _GLOB.intersection(source):
        found = sorted(glob.glob(source, recursive=True))
        if _THROUGH in source:
            found = [path for path in found if not os.path.isdir(path)]
        for path in found:
            yield from _folder(path) if os.path.isdir(path) else (path,)
        if not found:
            yield PageError(source, "", "matches no file")
    else:
        yield source


def is_remote(source: str) -> bool:
    return "://" in source


def open_source(source: str) -> io.BufferedReader:
    """The file's bytes, read as they are asked for. Raises OSError, and ValueError for an address of no known kind."""
    if not is_remote(source):
        return open(source, "rb")
    filesystem, path = _filesystem(source)
    return io.BufferedReader(_RemoteFile(filesystem.open(path, "rb")), 1 << 16)


class _RemoteFile(io.RawIOBase):
    """A file of fsspec. What goes wrong when it is read is an OSError, whatever library it is from."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(target))
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"the transfer broke off ({error}): what came after the last page is lost") from error
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def size_of(source: str) -> int | None:
    """Bytes of a local file, None for anything else."""
    try:
        return os.path.getsize(source) if source != "-" and not is_remote(source) else None
    except OSError:
        return None


def _filesystem(source: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ValueError("remote files need fsspec: pip install 'pagelabel[remote]'") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except ImportError as error:
        raise ValueError(str(error)) from error
    return filesystem, path


def _expand_remote(source: str) -> Iterator[str | PageError]:
    try:
        filesystem, path = _filesystem(source)
        if _GLOB.intersection(path):
            matched = sorted(filesystem.glob(path))
            files = [[name] if filesystem.isfile(name) else _found(filesystem, name) for name in matched]
            found = [name for some in files for name in some if _THROUGH not in path or some == [name]]
        elif filesystem.isdir(path):
            found = _found(filesystem, path)
        else:
            yield source
            return
        names = sorted(filesystem.unstrip_protocol(name) for name in found)
    except (OSError, ValueError) as error:
        yield PageError(source, "", why_unreadable(error) if isinstance(error, OSError) else str(error))
        return
    yield from names
    if not names:
        yield PageError(source, "", "matches no file")


def _found(filesystem: Any, folder: str) -> list[str]:
    """The files of a folder that hold data."""
    by_place: dict[str, list[str]] = {}
    for path in filesystem.find(folder):
        place, _, name = path.rpartition("/")
        if all(map(_is_data_folder, place.removeprefix(folder.rstrip("/")).split("/"))):
            by_place.setdefault(place, []).append(name)
    return [f"{place}/{name}" for place, names in by_place.items() for name in _data(names)]


def _data(names: Sequence[str]) -> list[str]:
    """Of the files of a folder those that hold data."""
    names = [name for name in names if not name.startswith((".", *_MARKS))]
    if RUN in names and any(name.startswith("part-00000") for name in names):
        names = [name for name in names if name != RUN and not name.endswith(ERRORS)]
    return names


def _is_data_folder(name: str) -> bool:
    return not name.startswith((".", _UNDONE))


def _folder(folder: str) -> Iterator[str | PageError]:
    broken: list[OSError] = []
    empty = True
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, onerror=broken.append, followlinks=True):
        # Links are followed, each folder once: they may lead in circles.
        known = os.stat(place)
        if (known.st_dev, known.st_ino) in seen:
            folders.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        folders[:] = sorted(filter(_is_data_folder, folders))
        for name in sorted(_data(files)):
            empty = False
            path = os.path.join(place, name)
            if os.path.exists(path) and not os.path.isfile(path):
                # Opening a pipe that nobody writes to would wait forever.
                yield PageError(path, "", "not a regular file")
            else:
                yield path
    for error in broken:
        yield PageError(str(error.filename), "", why_unreadable(error))
    if empty and not broken:
        yield PageError(folder, "", "the folder has no files to read")
