import io
from pathlib import Path

import pytest

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages
from pagelabel.data.sources import expand
from pagelabel.data.streams import why_unreadable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", "deep/er/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"id": "x", "paragraphs": ["One"]}\n')
    return tmp_path


def names(source: str, folder: Path) -> list[str]:
    return [str(name).removeprefix(f"{folder}/") for name in expand(source)]


def test_a_folder_is_its_files_in_order(folder: Path) -> None:
    assert names(str(folder), folder) == ["a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.txt"]


KEPT = ("part-00000.jsonl", "part-00001.jsonl", "_notes.txt", "in/run.json", "in/x.errors.jsonl")
BESIDE = (
    *("_SUCCESS", ".part-00000.crc", ".DS_Store", "_temporary/0/part-00001.jsonl", "_committed_71", ".git/config.txt"),
    *("run.json", "part-00000.errors.jsonl", ".part-00002.jsonl.tmp71"),
)


def test_what_is_kept_beside_data_is_none(tmp_path: Path) -> None:
    for name in (*KEPT, *BESIDE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("One")
    assert sorted(names(str(tmp_path), tmp_path)) == sorted(KEPT)
    # What is named itself is read.
    for name in BESIDE:
        assert names(str(tmp_path / name), tmp_path) == [name]


def test_what_is_kept_beside_data_is_none_in_remote_storage_either() -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for name in (*KEPT, *BESIDE):
        memory.pipe(f"/.lake/{name}", b"One")
    for source in ("memory://.lake", "memory://.l*e"):
        assert sorted(map(str, expand(source))) == sorted(f"memory:///.lake/{name}" for name in KEPT)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jsonl", ["a.jsonl", "b.jsonl"]),
        ("[b-z].jsonl", ["b.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b.jsonl", "deep/c.jsonl"]),
        ("?.jsonl", ["a.jsonl", "b.jsonl"]),
        ("*", ["a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.txt"]),
        ("d*", ["deep/c.jsonl", "deep/er/d.txt"]),
        ("**", ["a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.txt"]),
    ],
)
def test_globs(folder: Path, pattern: str, found: list[str]) -> None:
    assert names(f"{folder}/{pattern}", folder) == found


def test_a_name_with_a_glob_in_it_that_is_there_is_itself(folder: Path) -> None:
    (folder / "x[1].jsonl").write_text("")
    assert names(f"{folder}/x[1].jsonl", folder) == ["x[1].jsonl"]


def test_what_matches_nothing_is_an_error(folder: Path) -> None:
    (error,) = expand(f"{folder}/*.warc")
    assert isinstance(error, PageError)
    assert error.cause == "matches no file"


def test_remote_storage(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("b.jsonl", "a.jsonl"):
        memory.pipe(f"/crawl/{name}", b'{"id": "%s", "paragraphs": ["One"]}\n' % name.encode())
    assert list(expand("memory://crawl/*.jsonl")) == ["memory:///crawl/a.jsonl", "memory:///crawl/b.jsonl"]
    for source in ("memory://crawl", "memory://crawl/*.jsonl", "memory://cr*l", "memory://**/*.jsonl"):
        pages = [page for page in read_pages(source) if isinstance(page, Page)]
        assert [page.id for page in pages] == ["a.jsonl", "b.jsonl"]
    (error,) = read_pages("memory://crawl/none.jsonl")
    assert "no such file" in str(error)
    (error,) = read_pages("memory://crawl/*.warc")
    assert "matches no file" in str(error)


def test_a_web_address_without_an_ending_is_told_by_how_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    from pagelabel.data import readers

    def open_source(source: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(b"<!doctype html><p>One<p>Two"))  # type: ignore[arg-type]

    monkeypatch.setattr(readers, "open_source", open_source)
    (page,) = readers.read_pages("https://river.example/story?id=7")
    assert isinstance(page, Page)
    assert page.paragraphs == ["One", "Two"]


def test_an_unknown_kind_of_storage_is_named() -> None:
    pytest.importorskip("fsspec")
    (error,) = read_pages("nowhere://x/y.jsonl")
    assert "nowhere" in str(error)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fsspec", None)
    (error,) = read_pages("s3://bucket/x.jsonl")
    assert "pip install 'pagelabel[remote]'" in str(error)


def test_links_to_folders_are_followed_once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "e.jsonl").write_text("{}")
    (folder / "link").symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(folder)
    assert names(str(folder), folder) == ["a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.txt", "link/e.jsonl"]


class Broken(io.BytesIO):
    """A transfer that a library of its own kind gives up."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 0:
            raise RuntimeError("not enough data")
        return super().read(size)


def test_a_transfer_that_breaks_off_is_told_and_reading_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"".join(b'{"paragraphs": ["%d"]}\n' % i for i in range(20_000))
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(fsspec.filesystem("memory"), "open", lambda *_, **__: Broken(lines))
    items = list(read_pages("memory://pages.jsonl"))
    assert isinstance(items[0], Page)
    assert isinstance(items[-1], PageError)
    assert items[-1].cause == (
        "cannot be read: the transfer broke off (not enough data): what came after the last page is lost"
    )
    assert 1 < len(items) < 20_000


def test_what_a_server_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    for cause, told in (
        (aiohttp.ClientConnectionError("cannot connect to host"), "cannot be read: cannot connect to host"),
        (aiohttp.ClientResponseError(None, (), status=404), "no such file or directory"),
    ):
        error = FileNotFoundError("https://river.example/x")
        error.__cause__ = cause
        assert why_unreadable(error) == told
