"""What the README tells people to run, runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pagelabel.cli import _parser

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "README.md", ROOT / "training" / "README.md"]
README = FILES[0].read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[list[str]]:
    texts = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    lines = [line for block in blocks("sh", texts) for line in block.replace("\\\n", " ").splitlines()]
    parts = [part for line in lines for part in re.split(r"&&|\|", line)]
    found = [shlex.split(part, comments=True) for part in parts]
    return [words[1:] for words in found if words and Path(words[0]).name == "pagelabel"]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_one_that_the_command_line_knows(words: list[str]) -> None:
    _parser().parse_args(words)


def test_the_first_command_labels_the_example(tmp_path: Path) -> None:
    first = next(words for words in commands() if words[0] == "label")
    done = subprocess.run(
        [sys.executable, "-m", "pagelabel", *first], cwd=ROOT, capture_output=True, text=True, check=True
    )
    labels = {line.split("\t")[2] for line in done.stdout.splitlines()[1:]}
    assert labels == {"body", "quote", "promo", "teaser", "donation"}


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_examples_run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_verb_is_in_the_readme() -> None:
    verbs = next(action for action in _parser()._actions if action.dest == "verb").choices or ()
    assert [verb for verb in verbs if f"pagelabel {verb}" not in README] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_files_that_it_names_are_there(file: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (file.parent / link).exists()] == []
