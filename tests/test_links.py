import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pagelabel.data.html import page_of_html
from pagelabel.data.links import mark_links, unmarked, without_marks
from pagelabel.data.page import Page


def links(html: str) -> dict[str, int]:
    page = page_of_html(html.encode(), "x")
    assert page.link is not None
    return dict(zip(page.paragraphs, page.link, strict=True))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Read <a href=/x>this</a>.</p><p>no link</p>", {"Read this.": 44, "no link": 0}),
        ("<A\nHREF='/x'>all of it</A >", {"all of it": 100}),
        ("<a name=top>Top</a><p>x", {"Top": 0, "x": 0}),
        ("<a href=/x><h3>Title</h3><p>and <b>summary</b></p></a><p>x", {"Title": 100, "and summary": 100, "x": 0}),
        ("<ul><li><a href=/a>a</a><li><a href=/b><img src=i></a><li>c</ul>", {"a": 100, "c": 0}),
        ("<p><a href=/a>one<a href=/b>two</a> three</p>", {"onetwo three": 55}),
        ("<table><tr><td><a href=/a>Day</a><td>Open</table>", {"Day Open": 43}),
        ("<table><tr><td><a href=/m>Menu</a><td>" + "w" * 41 + "</table>", {"Menu": 100, "w" * 41: 0}),
        ("<p>a <button><a href=/x>b</a></button> c</p>", {"a b c": 33}),
        ("<script>'<a href=x>'</script><!-- <a href=y> --><p>x", {"x": 0}),
        ("<title><a href=x>t</a></title><p title='<a href=x>'>x", {"x": 0}),
        ("<p>\ufdd0a\ufdd1b", {"ab": 0}),
        ("<p><a href=/x title='a > b'>all</a> x", {"all x": 75}),
        ('<p><a title = "a < b" href="/x">all</a> x', {"all x": 75}),
        ("<p><a href=/x title=it's>all</a> it's", {"all it's": 43}),
        ("<p><a/href=/x>all</a> <a data-href=/x>x</a>", {"all x": 75}),
        ("<p><a href=/x>a</a foo>b", {"ab": 50}),
        # A link that is never closed.
        ("<a href=/x>a" + "<p>b</p>" * 20, {"a": 100, "b": 0}),
    ],
)
def test_share_of_links(html: str, expected: dict[str, int]) -> None:
    assert links(html) == expected


def test_marks_are_in_no_text() -> None:
    page = page_of_html(b"<title>\xef\xb7\x90a <a href=/x>b</a></title><p>c<a href=/x>d</a>", "x")
    assert (page.title, page.paragraphs) == ("a <a href=/x>b</a>", ["cd"])


@example([(" ", False), ("a", True), (" ", False)])
@example([("  ", True)])
@given(st.lists(st.tuples(st.text("ab \ufdd0\ufdd1"), st.booleans()), max_size=8))
def test_counts_of_any_text(parts: list[tuple[str, bool]]) -> None:
    html = "".join(f"<a href=x>{text}</a>" if link else text for text, link in parts)
    marked = mark_links(html).replace("<a href=x>", "").replace("</a>", "")
    ((text, percent),) = without_marks([marked])
    plain = [(unmarked(text), link) for text, link in parts]
    visible = [(len("".join(text.split())), link) for text, link in plain]
    total = sum(size for size, _ in visible)
    assert text == "".join(text for text, _ in plain)
    assert percent == round(100 * sum(size for size, link in visible if link) / max(1, total))


def test_hostile_html_takes_linear_time() -> None:
    start = time.perf_counter()
    for html in (
        "<a " * 400_000,
        "<a href" * 200_000,
        "<a href=x>" * 100_000,
        "</a" + " " * 1_000_000,
        "</a " * 300_000,
        '<a x="' * 200_000,
        "<a '=\"" * 200_000,
        "<a ==" * 200_000,
        "<a " + "=" * 1_000_000,
        "<a =" + " " * 1_000_000,
    ):
        mark_links(html)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "link",
    [None, "https://example.org", [100], [0, 101], [0, -1], [0, True], [0, "0"], [0, None], [0, float("nan")], 3],
)
def test_other_fields_of_that_name_are_no_links(link: object) -> None:
    page = Page.from_record({"paragraphs": ["a", "b"], "link": link}, "x")
    assert page.link is None
    assert page.extra["link"] is link


def test_links_of_a_record() -> None:
    assert Page.from_record({"paragraphs": ["a", "b"], "link": [0, 99.5]}, "x").link == [0, 99.5]


def test_end_tags_that_end_nothing_change_nothing() -> None:
    page = page_of_html(b"<head></a><title>T</title><link rel=canonical href=http://e.org/x></head><p>tail", "x")
    assert (page.title, page.url, page.paragraphs) == ("T", "http://e.org/x", ["tail"])
    page = page_of_html(b"<link rel=canonical href='http://e.org/<a href=x>'><p>tail", "x")
    assert page.url == "http://e.org/<a href=x>"


def test_links_may_be_an_array() -> None:
    assert Page("x", ["a", "b"], extra={"link": np.array([0, 100])}).link == [0, 100]
    assert Page("x", ["a", "b"], extra={"link": (0, 100)}).link == [0, 100]
