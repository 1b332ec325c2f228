"""Options of `pagelabel label`: forms of output, filters, wrong usage."""

import gzip
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from conftest import toy_pages, write_pages

from pagelabel.cli import main
from pagelabel.data.page import Page
from pagelabel.data.readers import read_pages


@pytest.fixture
def label(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*args: object) -> tuple[int, str, str]:
        code = main(["label", "--model", str(tiny_bundle), *map(str, args)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_pages(tmp_path / "pages.jsonl", toy_pages(5))


@pytest.mark.parametrize(
    ("name", "unpack"), [("x.jsonl.gz", gzip.decompress), ("x.jsonl.zst", zstandard.ZstdDecompressor().decompressobj)]
)
def test_output_is_compressed_by_its_name(label, source: str, tmp_path: Path, name: str, unpack) -> None:  # type: ignore[no-untyped-def]
    _, plain, _ = label(source)
    assert label(source, "-o", tmp_path / name)[0] == 0
    data = (tmp_path / name).read_bytes()
    assert (unpack(data) if name.endswith("gz") else unpack().decompress(data)).decode() == plain
    first = data
    assert label(source, "-o", tmp_path / name)[0] == 0
    assert (tmp_path / name).read_bytes() == first
    assert len(list(read_pages(str(tmp_path / name)))) == 5


def test_what_is_no_regular_file_stays_what_it_is(label, source: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, plain, _ = label(source)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        assert label(source, "-o", pipe)[0] == 0
        assert read.result(timeout=30).decode() == plain
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("options", [["-o", "in/out.jsonl"], ["-o", "in/out/"], ["--errors", "in/deep/e.jsonl"]])
def test_nothing_is_written_where_it_would_be_read(  # type: ignore[no-untyped-def]
    label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    (tmp_path / "in").mkdir()
    write_pages(tmp_path / "in" / "pages.jsonl", toy_pages(2))
    monkeypatch.chdir(tmp_path)
    code, _, err = label("in", *options)
    assert code == 2
    assert "is inside the input folder" in err
    assert len(list((tmp_path / "in").iterdir())) == 1


def test_a_link_goes_on_leading_to_the_output(label, source: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, plain, _ = label(source)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "elsewhere" / "target.jsonl")
    assert label(source, "-o", link)[0] == 0
    assert link.is_symlink()
    assert (tmp_path / "elsewhere" / "target.jsonl").read_text(encoding="utf-8") == plain


def test_dolma_attributes_index_the_original_text(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pages = toy_pages(3)
    texts = ["\n\n  ".join(page.paragraphs) + "\n" for page in pages]
    lines = [json.dumps({"id": f"d{i}", "text": text, "source": "s"}) for i, text in enumerate(texts)]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    code, out, _ = label(tmp_path / "docs.jsonl", "--to", "dolma")
    assert code == 0
    for page, text, line in zip(pages, texts, out.splitlines(), strict=True):
        attributes = json.loads(line)["attributes"]
        assert set(attributes) == {f"pagelabel__{name}" for name in ("body", "quote", "promo", "teaser", "donation")}
        spans = sorted((start, end, name) for name, found in attributes.items() for start, end, _ in found)
        assert [text[start:end] for start, end, _ in spans] == page.paragraphs
        assert [name.removeprefix("pagelabel__") for *_, name in spans] == page.labels


def test_keep_and_drop_filter_records(label, source: str) -> None:  # type: ignore[no-untyped-def]
    _, kept, _ = label(source, "--keep", "body,quote")
    _, dropped, _ = label(source, "--drop", "promo,teaser,donation")
    assert kept == dropped
    record = json.loads(kept.splitlines()[0])
    assert set(record["labels"]) == {"body", "quote"}
    assert len(record["paragraphs"]) == len(record["labels"]) == len(record["scores"]) == 3
    assert record["dropped"] == 6


def test_what_labels_a_record_has_does_not_count(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "old.jsonl").write_text('{"id": "a", "paragraphs": ["One."], "labels": ["x", "y"], "scores": "none"}\n')
    code, out, _ = label(str(tmp_path / "old.jsonl"))
    page = json.loads(out)
    assert (code, len(page["labels"]), len(page["scores"])) == (0, 1, 1)


def test_nothing_is_left_out_unless_asked(label, source: str) -> None:  # type: ignore[no-untyped-def]
    _, out, _ = label(source)
    assert [json.loads(line)["paragraphs"] for line in out.splitlines()] == [page.paragraphs for page in toy_pages(5)]


def test_text_of_records_is_cut_by_the_column_named(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "docs.jsonl").write_text('{"id": "x", "content": "Menu 1\\nDonate to our newsroom"}\n')
    code, out, _ = label(tmp_path / "docs.jsonl", "--text-column", "content")
    assert code == 0
    assert json.loads(out)["paragraphs"] == ["Menu 1", "Donate to our newsroom"]


def test_pages_that_are_too_large_are_told(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pages = [Page("a", ["x" * 5000]), Page("b", ["Menu"])]
    code, out, err = label(write_pages(tmp_path / "p.jsonl", pages), "--max-page-bytes", 1000)
    assert code == 1
    assert "longer than 1,000 bytes" in err
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["b"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--keep", "body", "--drop", "promo"], "do not go together"),
        (["--keep", "boddy"], "unknown label 'boddy'"),
        (["--drop", "boddy"], "unknown label 'boddy'"),
        (["--to", "dolma", "--keep", "body"], "leaves nothing out"),
        (["--to", "parquet"], "name a file with -o"),
        (["--shard-pages", "5"], "needs a folder"),
        (["--workers", "0"], "--workers should be at least 1"),
        (["--threads", "-1"], "--threads should be at least 1"),
        (["--max-page-bytes", "0"], "--max-page-bytes should be at least 1"),
        (["--min-score", "1.5"], "--min-score should be 0 to 1"),
        (["-o", "out/", "--errors", "e.jsonl"], "leave --errors out"),
        (["-o", "out/", "-"], "cannot be read again"),
        (["--keep", ""], "--keep names no label"),
        (["--text-column", "url"], "'url' is a field of its own"),
        (["--to", "parquet", "-o", "x.jsonl"], "does not go with the name x.jsonl"),
        (["--to", "jsonl", "-o", "x.parquet"], "does not go with the name x.parquet"),
        (["-o", "x.jsonl", "--errors", "x.jsonl"], "need a file each"),
        (["--errors", "pages.jsonl"], "is an input, too"),
        (["-o", "x.feather"], "x.feather: a file of that name is not written; columns are written as .parquet"),
        (["-o", "x.warc.gz"], "pages are written as .jsonl"),
        (["-o", "x.jsonl.bz2"], "compressed as .gz or .zst"),
        (["-o", "x.parquet.gz"], "compressed in themselves"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(  # type: ignore[no-untyped-def]
    label, source: str, args: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = label(*args, source)
    assert (code, out) == (2, "")
    assert words in err
    assert [file.name for file in tmp_path.iterdir()] == ["pages.jsonl"]


def test_a_reader_that_goes_away_ends_the_run_quietly(tiny_bundle: Path, tmp_path: Path) -> None:
    many = write_pages(tmp_path / "many.jsonl", toy_pages(3000))
    command = [sys.executable, "-m", "pagelabel", "label", "--model", str(tiny_bundle), many, "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
    assert process.returncode == 1
    assert stderr == b""


def test_an_output_of_before_is_not_emptied_where_nothing_was_labelled(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    before, errors = tmp_path / "out.jsonl", tmp_path / "errors.jsonl"
    before.write_text("precious\n")
    code, _, err = label(tmp_path / "nope.jsonl", "-o", before, "--errors", errors)
    assert code == 1
    assert "0 page(s) labelled" in err
    assert before.read_text() == "precious\n"
    assert json.loads(errors.read_text())["source"].endswith("nope.jsonl")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "magic"),
    [
        (["-o", "x.parquet"], b"PAR1"),
        (["-o", "x.tsv"], b"page\t"),
        (["-o", "x.html.gz"], b"\x1f\x8b"),
        (["-o", "x.htm"], b"<!doctype html>"),
        (["-o", "x.jsonl.GZ"], b"\x1f\x8b"),
        (["-o", "x.out"], b'{"id"'),
        (["-o", "x.out", "--to", "tsv"], b"page\t"),
        (["-o", "x.jsonl", "--to", "dolma"], b'{"id"'),
    ],
)
def test_the_format_is_that_of_the_name(  # type: ignore[no-untyped-def]
    label, source: str, options: list[str], magic: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert label(source, *options)[0] == 0
    assert Path(options[1]).read_bytes().startswith(magic)


def test_the_name_of_a_folder_says_nothing_of_the_format(  # type: ignore[no-untyped-def]
    label, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert label(source, "-o", "labels.txt/")[0] == 0
    assert [file.suffix for file in Path("labels.txt").glob("part-*")] == [".jsonl"]
    assert label(source, "-o", "x.jsonl/", "--to", "parquet")[0] == 0


def test_standard_output_has_a_name(label, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    assert label(source, "-o", "-")[1] == label(source)[1] != ""
    assert not Path("-").exists()


def test_what_the_shell_has_opened_keeps_what_others_write_there(
    tiny_bundle: Path, source: str, tmp_path: Path
) -> None:
    label = f'"{sys.executable}" -m pagelabel label --model "{tiny_bundle}"'
    script = f"""
    echo earlier > all
    {{ echo first; {label} "{source}" -o /dev/stdout; echo last; }} >> all
    {{ echo first >&2; {label} nope.jsonl --errors /dev/stderr; echo last >&2; }} 2> log
    {label} "{source}" -o /dev/fd/3 3>> third
    """
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    first, second, *pages, last = (tmp_path / "all").read_text().splitlines()
    assert (first, second, last) == ("earlier", "first", "last")
    assert len(pages) == len(Path(source).read_text().splitlines())
    assert (tmp_path / "third").read_text().splitlines() == pages
    log = (tmp_path / "log").read_text()
    assert log.startswith("first\n")
    assert '"source": "nope.jsonl"' in log
    assert log.endswith("last\n")


def test_a_folder_that_is_missing_is_named(label, source: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = label(source, "-o", str(tmp_path / "none" / "x.jsonl"))
    assert code != 0
    assert f"no such folder, make it first: '{tmp_path / 'none'}'" in err


def test_a_run_over_a_pattern_goes_on(label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    write_pages(tmp_path / "pages.jsonl", toy_pages(3))
    assert label("**/*.jsonl", "-o", "labels/")[0] == 0
    code, _, err = label("**/*.jsonl", "-o", "labels/")
    assert code == 0
    assert "1 shard(s) are there already" in err


def test_remote_names_are_looked_up_once(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("fsspec")
    (tmp_path / "in").mkdir()
    for name in ("a[1].jsonl", "b.jsonl"):
        write_pages(tmp_path / "in" / name, toy_pages(1))
    code, out, err = label(f"file://{tmp_path}/in")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 2


def test_a_closed_output_or_input_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    source = write_pages(tmp_path / "pages.jsonl", toy_pages(1))
    command = f"{sys.executable} -m pagelabel label {source} --model {tiny_bundle} >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr == "pagelabel: standard output is closed: name a file with -o\n"
    command = f"{sys.executable} -m pagelabel label - --model {tiny_bundle} <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pagelabel: -: standard input is closed\n")
