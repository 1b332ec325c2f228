import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages, write_pages

from pagelabel.data.page import Page
from pagelabel.data.readers import read_pages
from pagelabel.model.labels import LABELS
from pagelabel.training.pages import load_pages
from pagelabel.training.pseudo import join_main, pseudo_labelled

ROWS = np.array([[0.5, 0.0, 0.5, 0.0, 0.0], [0.3, 0.0, 0.0, 0.7, 0.0], [0.55, 0.0, 0.45, 0.0, 0.0]])


def test_the_main_text_of_the_corpus_turns_what_is_near() -> None:
    joined = join_main(ROWS, [1, 1, 0], LABELS)
    assert joined.sum(axis=1) == pytest.approx(1)
    assert [LABELS[i] for i in joined.argmax(axis=1)] == ["body", "body", "promo"]


@pytest.mark.parametrize("main", [None, [0, 0, 0]])
def test_without_a_main_text_the_model_has_its_say(main: list[int] | None) -> None:
    assert join_main(ROWS, main, LABELS) is ROWS


def test_what_the_model_is_not_sure_of_has_no_weight() -> None:
    page = pseudo_labelled(Page("a", ["x", "y", "z"], extra={"site": "s"}), ROWS, LABELS)
    assert page.labels == ["body", "teaser", "body"]
    assert page.extra["weights"] == [0.0, 0.7, 0.0]
    assert page.extra["site"] == "s"


def test_an_empty_page() -> None:
    assert pseudo_labelled(Page("a", []), np.zeros((0, 5)), LABELS).labels == []


def test_the_script_writes_pages_that_train(tiny_bundle: Path, tmp_path: Path) -> None:
    source = write_pages(tmp_path / "in.jsonl", [Page(page.id, page.paragraphs) for page in toy_pages(6)])
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "pagelabel.training.pseudo", source, "-o", str(out), "--model", str(tiny_bundle)]
    subprocess.run([*command, "--workers", "1"], check=True)
    pages = load_pages([str(out)], LABELS)
    assert [page.labels for page in pages] == [page.labels for page in toy_pages(6)]
    assert len(list(read_pages(str(out)))) == 6
