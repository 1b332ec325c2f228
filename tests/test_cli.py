import gzip
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages

from pagelabel.cli import main
from pagelabel.commands import cleaning_up


@pytest.fixture
def label(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*args: object) -> tuple[int, str, str]:
        code = main(["label", "--model", str(tiny_bundle), *map(str, args)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_text_in_json_lines_out(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    page = toy_pages(1)[0]
    (tmp_path / "page.txt").write_text("\n".join(page.paragraphs), encoding="utf-8")
    code, out, _ = label(tmp_path / "page.txt")
    (record,) = map(json.loads, out.splitlines())
    assert code == 0
    assert record["labels"] == page.labels
    assert record["paragraphs"] == page.paragraphs


def test_labels_of_files_are_those_of_the_labeler(label, tiny_bundle: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from pagelabel import Labeler

    pages = toy_pages(8)
    _, out, _ = label(write_pages(tmp_path / "pages.jsonl", pages))
    expected = [page.labels for page in Labeler.load(tiny_bundle).label_pages(pages)]
    assert [json.loads(line)["labels"] for line in out.splitlines()] == expected


def test_standard_input(label, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    stdin = io.TextIOWrapper(io.BytesIO(b"<html><body><p>Skip to content</p><p>Menu 1</p></body></html>"))
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, _ = label("-", "--to", "tsv")
    assert code == 0
    assert out.splitlines()[1].split("\t")[4] == "Skip to content"


BAD_LINES = [
    b"not json",
    b'{"id": "x"}',
    b'{"id": "x", "paragraphs": "one string"}',
    b'{"id": "x", "paragraphs": [1, 2]}',
    b'{"id": "x", "paragraphs": ["a"], "url": 1}',
    b"[]",
    b'{"id": {}, "paragraphs": []}',
]


def test_bad_lines_are_told_and_the_rest_is_labelled(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    good = [page.to_json().encode() for page in toy_pages(len(BAD_LINES) + 1)]
    lines = [good[0]]
    for i, bad in enumerate(BAD_LINES):
        lines += [bad, good[i + 1]]
    source = tmp_path / "mixed.jsonl"
    source.write_bytes(b"\n".join(lines) + b"\n")
    code, out, err = label(source, "--errors", tmp_path / "errors.jsonl")
    assert code == 1
    assert [json.loads(line)["id"] for line in out.splitlines()] == [f"toy-{i}" for i in range(len(good))]
    errors = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]
    assert len(errors) == len(BAD_LINES)
    for i, error in enumerate(errors):
        assert error["source"].endswith("mixed.jsonl")
        assert error["position"] == f"line {2 * i + 2}"
        assert error["cause"]
        assert f"line {2 * i + 2}" in err


def test_odd_pages_are_pages(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    lines = [
        b'{"id": "empty", "paragraphs": []}',
        b'{"id": "nul", "paragraphs": ["a\\u0000b", "\\u0000"]}',
        b'{"id": "surrogate", "paragraphs": ["\\ud800"]}',
        b'{"id": "broken", "paragraphs": ["caf\xe9"]}',
        b'{"id": "long", "paragraphs": ["' + b"word " * 2_000_000 + b'"]}',
    ]
    source = tmp_path / "odd.jsonl"
    source.write_bytes(b"\n".join(lines))
    for form in ("jsonl", "tsv", "text", "html"):
        code, out, _ = label(source, "--to", form)
        assert code == 0
        out.encode("utf-8")
    code, out, _ = label(source)
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["id"] for record in records] == ["empty", "nul", "surrogate", "broken", "long"]
    assert all(len(record["labels"]) == len(record["paragraphs"]) for record in records)


def test_a_truncated_file_gives_the_pages_before_the_cut_and_an_error(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole = gzip.compress("".join(page.to_json() + "\n" for page in toy_pages(300)).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    code, out, err = label(tmp_path / "cut.jsonl.gz")
    assert code == 1
    assert len(out.splitlines()) > 20
    assert "cut.jsonl.gz" in err


def test_a_missing_file_is_named_and_the_others_are_labelled(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "page.txt").write_text("Skip to content\n")
    code, out, err = label(tmp_path / "nowhere.jsonl", tmp_path / "page.txt")
    assert code == 1
    assert len(out.splitlines()) == 1
    assert "nowhere.jsonl" in err


def test_an_output_file_is_complete_or_not_there(label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    source, out = write_pages(tmp_path / "pages.jsonl", toy_pages(4)), tmp_path / "out.jsonl"
    assert label(source, "-o", out)[0] == 0
    before = out.read_text()
    assert len(before.splitlines()) == 4
    from pagelabel.outputs import JsonLines

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JsonLines, "page", full)
    code, _, err = label(source, "-o", out)
    assert code == 1
    assert "No space left" in err
    assert out.read_text() == before
    assert {file.name for file in tmp_path.iterdir()} == {"pages.jsonl", "out.jsonl"}


def test_min_score_makes_labels_unsure_and_text_keeps_them(label, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "page.txt").write_text("Skip to content\nDonate to our newsroom\n")
    assert label(tmp_path / "page.txt", "--to", "text")[1].strip() == ""
    # Of the two lines above the model may be as sure as can be, hardly of all that lies between them.
    words = ["Skip", "to", "content", "Donate", "our", "newsroom"]
    (tmp_path / "page.txt").write_text("".join(f"{' '.join(words[i:] + words[:i])}\n{words[i]}\n" for i in range(6)))
    sure = set(label(tmp_path / "page.txt", "--to", "text")[1].split("\n"))
    unsure = set(label(tmp_path / "page.txt", "--to", "text", "--min-score", "1")[1].split("\n"))
    assert sure < unsure


@pytest.mark.parametrize(
    ("args", "word"),
    [(["--keep", "bodi"], "bodi"), (["--min-score", "2"], "0 to 1"), (["--min-score", "nan"], "0 to 1")],
)
def test_wrong_usage_is_exit_2(label, tmp_path: Path, args: list[str], word: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "page.txt").write_text("Menu\n")
    code, _, err = label(tmp_path / "page.txt", *args)
    assert code == 2
    assert word in err


def test_unknown_options_are_exit_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["label", "--to", "pdf", "x"])
    assert stopped.value.code == 2


def test_a_broken_pipe_is_quiet(tiny_bundle: Path, tmp_path: Path) -> None:
    source = write_pages(tmp_path / "pages.jsonl", toy_pages(24) * 100)
    command = [sys.executable, "-m", "pagelabel", "label", "--model", str(tiny_bundle), source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert b"Traceback" not in process.stderr.read()


def test_info_tells_labels_and_digests(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tiny_bundle)]) == 0
    out = capsys.readouterr().out
    assert "body, quote, promo, teaser, donation" in out
    assert "model.onnx" in out
    assert "macro_f1" in out


def test_a_broken_bundle_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("info", "check"):
        assert main([verb, str(tmp_path)]) == 1
        assert "not a bundle" in capsys.readouterr().err


HANGUP = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")


def end_a_run(tiny_bundle: Path, folder: Path, number: signal.Signals, before: signal.Handlers) -> int:
    """Exit code of a run that is sent `number` while it writes to a file in `folder`, and has one page to read after
    that; `before` is what the signal does where the run is started."""
    code = "import signal, sys\nsignal.signal(int(sys.argv[1]), int(sys.argv[2]))\n"
    code += "from pagelabel.cli import main\nsys.exit(main(sys.argv[3:]))"
    command = [sys.executable, "-c", code, str(int(number)), str(int(before)), "label", "-", "--from", "jsonl"]
    command += ["--model", str(tiny_bundle), "-o", str(folder / "out.jsonl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as run:
        deadline = time.time() + 60
        while not list(folder.iterdir()) and time.time() < deadline:
            time.sleep(0.05)
        assert [file.name for file in folder.iterdir()] == [f".out.jsonl.tmp{run.pid}"]
        run.send_signal(number)
        if before == signal.SIG_DFL:
            return run.wait(30)
        run.communicate(toy_pages(1)[0].to_json().encode(), 30)
        return run.returncode


@HANGUP
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_ended_leaves_nothing_behind(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    number = signal.Signals[name]
    assert end_a_run(tiny_bundle, tmp_path, number, signal.SIG_DFL) == 128 + number
    assert list(tmp_path.iterdir()) == []


@HANGUP
def test_a_run_under_nohup_outlives_its_terminal(tiny_bundle: Path, tmp_path: Path) -> None:
    assert end_a_run(tiny_bundle, tmp_path, signal.SIGHUP, signal.SIG_IGN) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1


@pytest.fixture
def hangups_end() -> Iterator[None]:
    """As in a terminal, whatever these tests run under."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@HANGUP
@pytest.mark.usefixtures("hangups_end")
def test_cleaning_up_is_not_broken_off_by_the_next_signal() -> None:
    steps = []

    def run() -> None:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            for number in (signal.SIGHUP, signal.SIGTERM):
                signal.raise_signal(number)
                steps.append(number)

    with pytest.raises(SystemExit) as ended, cleaning_up():
        run()
    assert ended.value.code == 128 + signal.SIGHUP
    assert len(steps) == 2
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
