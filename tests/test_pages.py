from pathlib import Path

import pytest
from conftest import toy_pages, toy_views, write_pages

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.pages import load_pages, one_view


def test_pages_that_cannot_be_trained_on_are_refused_by_name(tmp_path: Path) -> None:
    file = write_pages(tmp_path / "a.jsonl", [Page("p1", ["a"], labels=["boddy"])])
    with pytest.raises(ValueError, match=r"a\.jsonl.*p1.*boddy"):
        load_pages([file], LABELS)
    file = write_pages(tmp_path / "b.jsonl", [Page("p2", ["a"])])
    with pytest.raises(ValueError, match=r"b\.jsonl.*p2.*no labels"):
        load_pages([file], LABELS)
    (tmp_path / "c.jsonl").write_text("{]\n")
    with pytest.raises(ValueError, match=r"c\.jsonl.*line 1"):
        load_pages([str(tmp_path / "c.jsonl")], LABELS)
    with pytest.raises(ValueError, match="no such file"):
        load_pages([str(tmp_path / "d.jsonl")], LABELS)


@pytest.mark.parametrize("doubt", [[2], [-1], ["0"], 1, {"0": 1}])
def test_doubt_that_is_no_list_of_indexes_is_refused_by_page(tmp_path: Path, doubt: object) -> None:
    page = Page("p1", ["a", "b"], labels=["body", "body"], extra={"doubt": doubt})
    with pytest.raises(ValueError, match=r"a\.jsonl: page 'p1': 'doubt'"):
        load_pages([write_pages(tmp_path / "a.jsonl", [page])], LABELS)


def test_pages_without_paragraphs_are_left_out(tmp_path: Path) -> None:
    pages = [Page("p1", [], labels=[]), Page("p2", ["a"], labels=["body"])]
    assert load_pages([write_pages(tmp_path / "a.jsonl", pages)], LABELS) == pages[1:]


def test_one_view_of_each_page_stays_and_every_whole_page() -> None:
    pages = toy_pages(4)
    kept = one_view(pages + toy_views(pages))
    assert kept[:4] == pages
    assert [page.extra["page"] for page in kept[4:]] == [page.id for page in pages]
