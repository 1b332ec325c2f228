from collections.abc import Iterator
from pathlib import Path

import pytest

from pagelabel.data.page import Page
from pagelabel.data.pagefiles import valid_pages, write_pages

PAGES = [Page("a", ["x", "\ud800"], labels=["body", "promo"]), Page("b", [], extra={"site": "s"})]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_pages(tmp_path / "1.jsonl", PAGES[:1])
    write_pages(tmp_path / "2.jsonl", PAGES[1:])
    assert list(valid_pages([str(tmp_path / "1.jsonl"), str(tmp_path / "2.jsonl")])) == PAGES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.jsonl", "2.jsonl"]


@pytest.mark.parametrize(("suffix", "magic"), [(".gz", b"\x1f\x8b"), (".zst", b"\x28\xb5\x2f\xfd")])
def test_a_name_says_how_a_file_is_compressed(tmp_path: Path, suffix: str, magic: bytes) -> None:
    file = tmp_path / f"1.jsonl{suffix}"
    write_pages(file, PAGES)
    assert file.read_bytes().startswith(magic)
    assert list(valid_pages([str(file)])) == PAGES


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    def broken() -> Iterator[Page]:
        yield PAGES[0]
        raise RuntimeError("gone")

    write_pages(tmp_path / "1.jsonl", PAGES)
    with pytest.raises(RuntimeError, match="gone"):
        write_pages(tmp_path / "1.jsonl", broken())
    assert list(valid_pages([str(tmp_path / "1.jsonl")])) == PAGES
    assert [file.name for file in tmp_path.iterdir()] == ["1.jsonl"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"paragraphs": ["x"]}\n{]\n')
    with pytest.raises(ValueError, match=r"1\.jsonl.*line 2"):
        list(valid_pages([str(tmp_path / "1.jsonl")]))
