import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.annotations import annotated, read_annotations, report, to_runs
from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.pages import load_pages


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pagelabel.data.annotations", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@given(st.lists(st.sampled_from(LABELS)))
def test_runs_tell_every_label(labels: list[str]) -> None:
    assert [label for label, count in to_runs(labels) for _ in range(count)] == labels


def test_labels_come_to_their_pages(tmp_path: Path) -> None:
    pages = toy_pages(6)
    source = write_pages(tmp_path / "in.jsonl", [Page(page.id, page.paragraphs) for page in pages])
    labels = write(tmp_path / "l.jsonl", [{"id": p.id, "labels": to_runs(p.labels or [])} for p in pages[1:4]])
    done = run(labels, source, "-o", tmp_path / "out.jsonl", "--rest", tmp_path / "rest.jsonl")
    assert done.returncode == 0, done.stderr
    assert [page.labels for page in load_pages([str(tmp_path / "out.jsonl")], LABELS)] == [p.labels for p in pages[1:4]]
    rest = [json.loads(line)["id"] for line in (tmp_path / "rest.jsonl").read_text().splitlines()]
    assert rest == [page.id for page in (pages[0], *pages[4:])]


def test_a_models_opinion_is_gone() -> None:
    page = Page("a", ["x"], labels=["body"], scores=[0.4], extra={"site": "s", "weights": [0.4]})
    assert annotated(page, ["promo"], Path("l")) == Page("a", ["x"], labels=["promo"], extra={"site": "s"})


def test_a_page_that_is_not_there_is_told(tmp_path: Path) -> None:
    source = write_pages(tmp_path / "in.jsonl", [Page("a", ["x"])])
    labels = write(tmp_path / "l.jsonl", [{"id": "lost", "labels": [["body", 1]]}])
    done = run(labels, source, "-o", tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert "'lost'" in done.stderr


def test_too_few_labels() -> None:
    with pytest.raises(ValueError, match=r"l\.jsonl: page 'a' has 1 labels for 2 paragraphs"):
        annotated(Page("a", ["x", "y"]), ["body"], Path("l.jsonl"))


@pytest.mark.parametrize("row", [[], {"id": "a"}, {"labels": []}, {"id": "a", "labels": [["body"]]}, "x"])
def test_a_line_of_another_form_is_named(tmp_path: Path, row: object) -> None:
    with pytest.raises(ValueError, match=r"l\.jsonl: line 2: expected"):
        read_annotations(write(tmp_path / "l.jsonl", [{"id": "b", "labels": []}, row]))


def test_a_page_annotated_twice_is_named(tmp_path: Path) -> None:
    row = {"id": "a", "labels": [["body", 1]]}
    with pytest.raises(ValueError, match=r"line 2: page 'a' is annotated a second time"):
        read_annotations(write(tmp_path / "l.jsonl", [row, row]))


def test_what_ships_has_labels_and_no_text() -> None:
    folder = Path(__file__).parents[1] / "data" / "annotated"
    for file in folder.glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            assert set(record) == {"id", "labels"}
            assert {label for label, _ in record["labels"]} <= set(LABELS)
            assert all(isinstance(count, int) and count > 0 for _, count in record["labels"])


def test_the_readme_has_the_figures() -> None:
    folder = Path(__file__).parents[1] / "data" / "annotated"
    assert report(folder) in (folder / "README.md").read_text(encoding="utf-8")
