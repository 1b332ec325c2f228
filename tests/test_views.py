import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pages

from pagelabel.data.page import Page
from pagelabel.data.readers import read_pages
from pagelabel.training.views import extractor_features, kept_paragraphs, learn, simulated

PROSE = "The council met on Tuesday and agreed to repair the bridge before the winter, said the mayor of the town {}."
ROWS = [("Home", 100, "promo"), ("News", 100, "promo"), ("Repairs agreed", 0, "body"), *[(PROSE, 0, "body")] * 4]


def page(name: str) -> Page:
    texts, links, labels = zip(*[*ROWS, ("More stories", 100, "teaser"), ("Contact us", 100, "promo")], strict=True)
    paragraphs = [text.format(f"{name} {i}") for i, text in enumerate(texts)]
    return Page(name, paragraphs, labels=list(labels), extra={"link": list(links), "site": name, "doubt": [0]})


def view_of(whole: Page, name: str, kept: list[int]) -> Page:
    paragraphs = [whole.paragraphs[i] for i in kept]
    return Page(f"{whole.id}#{name}", paragraphs, extra={"page": whole.id, "view": name})


def test_a_text_that_comes_again_is_kept_as_often_as_it_was() -> None:
    whole = Page("a", ["x", "y", "x", "x"])
    assert kept_paragraphs(whole, Page("v", ["x", "x", "z"])).tolist() == [True, False, True, False]


def test_the_features_see_the_neighbours() -> None:
    first, second = page("a"), page("a")
    second.extra["link"][3] = 100
    assert not np.array_equal(extractor_features(first)[0], extractor_features(second)[0])
    assert extractor_features(Page("e", [], extra={"link": []})).shape[0] == 0


@pytest.mark.parametrize("link", [None, [0], "x"])
def test_a_page_without_links_is_named(link: object) -> None:
    with pytest.raises(ValueError, match="page 'a': 'link' should be a percentage for each of its 2"):
        extractor_features(Page("a", ["x", "y"], extra={"link": link}))


def test_each_extractor_keeps_what_it_kept_elsewhere() -> None:
    pages = [page(f"p{i}") for i in range(12)]
    views = [view_of(p, "prose", [3, 4, 5, 6]) for p in pages] + [view_of(p, "all", list(range(9))) for p in pages]
    new = page("new")
    new.extra.update(doubt=[0, 4], weights=[i / 10 for i in range(len(new.paragraphs))])
    found = list(simulated(new, learn(pages, views, seed=1), seed=1))
    assert [(view.id, view.extra["page"], view.extra["view"]) for view in found] == [("new#prose", "new", "prose")]
    assert found[0].paragraphs == page("new").paragraphs[3:7]
    assert found[0].labels == ["body"] * 4
    assert found[0].extra["site"] == "new"
    assert found[0].extra["doubt"] == [1]
    assert found[0].extra["weights"] == [0.3, 0.4, 0.5, 0.6]
    assert "link" not in found[0].extra


def test_the_script_writes_views(tmp_path: Path) -> None:
    pages = [page(f"p{i}") for i in range(12)]
    whole = write_pages(tmp_path / "whole.jsonl", pages)
    views = write_pages(tmp_path / "views.jsonl", [view_of(p, "prose", [3, 4, 5, 6]) for p in pages])
    new = write_pages(tmp_path / "new.jsonl", [page("new")])
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "pagelabel.training.views", new, "-o", str(out)]
    subprocess.run([*command, "--whole", whole, "--views", views], check=True)
    assert [view.id for view in read_pages(str(out)) if isinstance(view, Page)] == ["new#prose"]
    assert json.loads(out.read_text())["labels"] == ["body"] * 4
