"""Where a run reads and writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pagelabel.data.page import PageError
from pagelabel.places import UsageError, check_outputs, inputs_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "in/b.jsonl", "labels/part-00000.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    return tmp_path


def test_a_pattern_does_not_match_what_the_run_has_written(here: Path) -> None:
    assert inputs_of(["**/*.jsonl"], Path("labels/")) == ["a.jsonl", "in/b.jsonl"]
    assert inputs_of(["**/*.jsonl"], here / "labels") == ["a.jsonl", "in/b.jsonl"]
    assert inputs_of(["**/*.jsonl"], None) == ["a.jsonl", "in/b.jsonl", "labels/part-00000.jsonl"]
    # A name that begins alike is another folder's.
    assert inputs_of(["**/*.jsonl"], Path("lab")) == ["a.jsonl", "in/b.jsonl", "labels/part-00000.jsonl"]


def test_what_matches_nothing_is_an_error_of_the_run(here: Path) -> None:
    (found,) = inputs_of(["*.warc"], None)
    assert isinstance(found, PageError)
    assert inputs_of(["gone.jsonl", "-", "https://example.org/a?b"], Path("labels")) == [
        "gone.jsonl",
        "-",
        "https://example.org/a?b",
    ]


@pytest.mark.parametrize("source", ["labels", "labels/part-00000.jsonl"])
def test_the_output_folder_is_not_read(here: Path, source: str) -> None:
    with pytest.raises(UsageError, match="inside the output folder"):
        inputs_of([source], Path("labels/"))


@pytest.mark.parametrize("output", ["a.jsonl", "./a.jsonl", "link.jsonl", "hard.jsonl"])
def test_an_input_is_not_replaced(here: Path, output: str) -> None:
    os.symlink("a.jsonl", "link.jsonl")
    os.link("a.jsonl", "hard.jsonl")
    inputs = inputs_of(["a.jsonl", "in"], None)
    for outputs in ((output, None), (None, Path(output))):
        with pytest.raises(UsageError, match=r"a\.jsonl is an input, too"):
            check_outputs(outputs, ["a.jsonl", "in"], inputs)
    check_outputs(("b.jsonl", Path("e.jsonl")), ["a.jsonl", "in"], inputs)


def test_output_and_errors_are_two_files(here: Path) -> None:
    with pytest.raises(UsageError, match="need a file each"):
        check_outputs(("out.jsonl", Path("./out.jsonl")), ["a.jsonl"], ["a.jsonl"])
    check_outputs(("/dev/null", Path("/dev/null")), ["a.jsonl"], ["a.jsonl"])
