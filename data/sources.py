"""What a user names as input to the files that are meant: folders, globs, addresses of remote storage."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Iterator
from typing import Any

from pagelabel.data.page import PageError
from pagelabel.data.streams import why_unreadable

_GLOB = frozenset("*?[")
_THROUGH = "**"


def expand(source: str) -> Iterator[str | PageError]:
    """The files that `source` means, in an order that is always the same.

    A file or "-" is itself; a folder is its files, those of folders in it too; a name with `*`, `?` or `[…]` is what it
    matches, folders too (with `**`, which goes through them, files alone); `s3://…`, `gs://…`, `https://…` and what
    else fsspec knows may be any of these.
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
            files = [[name] if filesystem.isfile(name) else filesystem.find(name) for name in matched]
            found = [name for some in files for name in some if _THROUGH not in path or some == [name]]
        elif filesystem.isdir(path):
            found = filesystem.find(path)
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
        folders.sort()
        for name in sorted(files):
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
        yield PageError(folder, "", "the folder has no files")
