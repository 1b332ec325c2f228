import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagelabel import BundleError, Labeler, Page, PageError


@pytest.fixture(scope="module")
def labeler(tiny_bundle: Path) -> Labeler:
    return Labeler.load(tiny_bundle, threads=1)


def test_a_list_of_paragraphs_becomes_a_labelled_page(labeler: Labeler) -> None:
    expected = toy_pages(1)[0]
    page = labeler.label(expected.paragraphs)
    assert page.labels == expected.labels
    assert page.scores is not None
    assert all(0.2 < score <= 1 for score in page.scores)


def test_a_page_keeps_its_fields(labeler: Labeler) -> None:
    page = labeler.label(Page("a", ["Skip to content"], "https://river.example", None, None, {"crawl": 7}))
    assert (page.id, page.url, page.extra) == ("a", "https://river.example", {"crawl": 7})


def test_labels_do_not_depend_on_the_pages_beside_it(labeler: Labeler) -> None:
    pages = toy_pages(30)
    together = list(labeler.label_pages(pages))
    backwards = list(labeler.label_pages(reversed(pages)))[::-1]
    alone = [labeler.label(page) for page in pages]
    assert together == backwards == alone


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text(max_size=40), max_size=8), max_size=6))
def test_any_pages_come_back_in_order_with_a_label_each(labeler: Labeler, pages: list[list[str]]) -> None:
    given_pages = [Page(str(i), paragraphs) for i, paragraphs in enumerate(pages)]
    labelled = list(labeler.label_pages(given_pages))
    assert [page.id for page in labelled] == [page.id for page in given_pages]
    for page in labelled:
        assert page.labels is not None
        assert page.scores is not None
        assert len(page.labels) == len(page.scores) == len(page.paragraphs)
        assert set(page.labels) <= set(labeler.labels)


def test_an_empty_page_and_a_one_word_page(labeler: Labeler) -> None:
    assert labeler.label([]).labels == []
    assert len(labeler.label(["Donate"]).labels or []) == 1


def test_a_page_of_ten_thousand_paragraphs(labeler: Labeler) -> None:
    page = labeler.label([f"Menu {i}" for i in range(10_000)])
    assert len(page.labels or []) == 10_000


def test_a_ten_megabyte_paragraph(labeler: Labeler) -> None:
    assert len(labeler.label(["Menu", "bridge " * 1_500_000, "x" * 10_000_000]).labels or []) == 3


def test_a_stream_is_labelled_in_bounded_memory(labeler: Labeler) -> None:
    def pages(count: int) -> int:
        stream = (Page(str(i), ["Skip to content", f"Menu {i}"]) for i in range(count))
        return sum(1 for _ in labeler.label_pages(stream))

    pages(50)
    tracemalloc.start()
    pages(4000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def test_pages_come_before_the_stream_ends(labeler: Labeler) -> None:
    def endless() -> object:
        while True:
            yield ["Skip to content"] * 500

    stream = labeler.label_pages(endless())  # type: ignore[arg-type]
    assert len(next(stream).labels or []) == 500


def test_one_string_is_not_a_page(labeler: Labeler) -> None:
    with pytest.raises(TypeError, match="paragraph 1 should be a string, found NoneType"):
        labeler.label(["a", None])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="split it"):
        labeler.label("Mayor resigns")


def test_logits_are_a_row_a_paragraph(labeler: Labeler) -> None:
    logits = labeler.logits(["Menu"] * 300)
    assert logits.shape == (300, len(labeler.labels))
    assert np.isfinite(logits).all()


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        Labeler.load(tmp_path)


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        (PageError("a.jsonl", "line 7", "not JSON"), ValueError, r"a\.jsonl: line 7: not JSON; .*isinstance"),
        (Page("a", "hello there"), TypeError, "page 'a': paragraphs are one string; split it"),
        (Page("a", None), TypeError, "page 'a': paragraphs should be a list of strings, found NoneType"),
        (Page("a", ["b", None]), TypeError, "page 'a': paragraph 1 should be a string, found NoneType"),
        (Page("a", [5]), TypeError, "page 'a': paragraph 0 should be a string, found int"),
        (Page("a", ["b"], url=5), TypeError, "page 'a': url should be a string or None, found int"),
        (["b", 5], TypeError, "page '1': paragraph 1 should be a string, found int"),
        ({"paragraphs": ["b"]}, TypeError, r"page '1' .* found dict; .* Page\.from_record\(record, id\)"),
        (None, TypeError, "page '1' should be a Page or a list of paragraphs, found NoneType"),
    ],
)
def test_what_is_no_page_is_refused_by_name(labeler: Labeler, item: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        list(labeler.label_pages([["One"], item]))  # type: ignore[list-item]


def test_paragraphs_can_be_a_tuple(labeler: Labeler) -> None:
    texts = tuple(toy_pages(1)[0].paragraphs)
    page = labeler.label(Page("a", texts))  # type: ignore[arg-type]
    assert page.labels == labeler.label(texts).labels == toy_pages(1)[0].labels


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(tiny_bundle: Path, threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads should be at least 1, or None for all cores, found {threads}"):
        Labeler.load(tiny_bundle, threads=threads)


def test_lines_of_one_paragraph_are_labelled_as_one(labeler: Labeler) -> None:
    page = toy_pages(1)[0]
    text = page.paragraphs[3]
    cut = text.index("and the work")
    lines = [*page.paragraphs[:3], text[: cut - 1], text[cut:], *page.paragraphs[4:]]
    extra = {**page.extra, "link": None}
    whole, wrapped = (
        labeler.label(Page("a", page.paragraphs, page.url, extra=extra)),
        Page("a", lines, page.url, extra=extra),
    )
    found = labeler.label(wrapped)
    assert whole.labels is not None
    assert whole.scores is not None
    assert found.paragraphs == lines
    assert found.labels == [*whole.labels[:4], *whole.labels[3:]]
    assert found.scores == [*whole.scores[:4], *whole.scores[3:]]
    assert labeler.logits(wrapped).shape == (len(lines), len(labeler.labels))
