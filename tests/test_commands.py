"""How commands end."""

import subprocess
import sys
from pathlib import Path

import pytest

from pagelabel.commands import finish
from pagelabel.model.bundle import BundleError
from pagelabel.workers import WorkerError


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("the words"), 1, "pagelabel: the words\n"),
        (OSError("the disk"), 1, "pagelabel: the disk\n"),
        (BundleError("the bundle"), 1, "pagelabel: the bundle\n"),
        (WorkerError("a worker"), 1, "pagelabel: a worker\n"),
        (KeyboardInterrupt(), 130, "pagelabel: interrupted\n"),
        (ModuleNotFoundError("no", name="torch"), 2, "pagelabel: work needs torch: pip install 'pagelabel[train]'\n"),
        (ModuleNotFoundError("no", name="pyarrow.x"), 2, "work needs pyarrow.x: pip install 'pagelabel[parquet]'\n"),
    ],
)
def test_what_it_cannot_go_on_from_is_one_line(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        raise error

    assert finish("work", run) == code
    told = capsys.readouterr()
    assert told.err.endswith(words)
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_defect_of_ours_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        finish("work", lambda: {}["nowhere"])
    assert finish("work", lambda: 3) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("cli", "train", "--config", "gone.toml", "-o", "out"),
        ("training.fast_soup", "gone", "gone", "-o", "out"),
        ("training.soup", "gone", "gone", "-o", "out"),
        ("training.teacher", "gone", "pages.jsonl", "-o", "out"),
        ("cli", "export", "gone", "-o", "out", "--dev", "gone.jsonl"),
        ("cli", "pair", "gone", "gone", "-o", "out", "--dev", "gone.jsonl"),
    ],
)
def test_modules_that_are_run_end_as_the_command_does(arguments: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    command = [sys.executable, "-m", f"pagelabel.{arguments[0]}", *arguments[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("pagelabel: ")
    assert "gone" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
