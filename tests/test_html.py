import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagelabel.data.html import page_of_html, read_html
from pagelabel.data.page import Page, PageError
from pagelabel.data.streams import ReadOptions

PAGES = Path(__file__).parent / "pages"


def paragraphs(html: str | bytes) -> list[str]:
    return page_of_html(html.encode() if isinstance(html, str) else html, "x").paragraphs


def read(html: str | bytes, limit: int = 1 << 26) -> Page | PageError:
    data = html.encode() if isinstance(html, str) else html
    (item,) = read_html(io.BufferedReader(io.BytesIO(data)), "x.html", ReadOptions(max_page_bytes=limit))
    return item


@pytest.mark.parametrize("folder", sorted(PAGES.iterdir()), ids=lambda folder: folder.name)
def test_golden_pages(folder: Path) -> None:
    page = page_of_html((folder / "source.html").read_bytes(), folder.name)
    assert json.loads(page.to_json()) == json.loads((folder / "expected.jsonl").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p hidden>a</p><p style='color:red; Display: NONE'>b</p><p style=visibility:hidden>c</p><p>d", ["d"]),
        ("<dialog>a</dialog><dialog open>b</dialog>c", ["b", "c"]),
        ("<body><script>a</script><style>b</style><noscript>c</noscript><template>d</template><!-- e -->f", ["f"]),
        ("<img alt=a><svg><title>b</title></svg><video>c</video><object>d</object><iframe>e</iframe>f", ["f"]),
        ("<figure><img alt=a><table><tr><td>b</table><figcaption>c</figcaption></figure>d", ["b", "c", "d"]),
        ("<textarea>a</textarea><select><option>b</select><input value=c><input type=hidden value=d>e", ["e"]),
        ("<button>$5</button><button>$10</button><input type=SUBMIT value='Give now'>", ["$5", "$10", "Give now"]),
        ("<p>Press <button>Start</button>, then<label>wait</label>here.</p>", ["Press Start, then wait here."]),
        ("<button hidden>a</button><button style='display:none'>b</button><button>c</button>", ["c"]),
        ("<details><summary>a</summary>b</details><fieldset><legend>c</legend>d</fieldset>", ["a", "b", "c", "d"]),
        ("<ul><li>a<ol start=3><li>b</ol></ul><dl><dt>c<dd>d</dl>", ["a", "b", "c", "d"]),
        ("<pre>a\n  b\n\nc</pre>", ["a", "b", "c"]),
        ("a<br>b<br><br>c", ["a", "b", "c"]),
        ("<table><tr><th>Day<th>Open<tr><td>Monday<td>" + "w" * 40 + "</table>", ["Day Open", "Monday " + "w" * 40]),
        ("<table><tr><td>Menu<td>" + "w" * 41 + "</table>", ["Menu", "w" * 41]),
        ("<body style='visibility:hidden'><p>a</p></body>", ["a"]),
        ("<p>a\u200bb\u00adc&nbsp;\n d\0</p><p>&nbsp;&#8203;</p>", ["abc d"]),
    ],
)
def test_what_is_seen(html: str, expected: list[str]) -> None:
    assert paragraphs(html) == expected


def test_more_buttons_than_can_be_searched_for_are_kept_all_the_same() -> None:
    found = paragraphs("<li><button>a</button></li>" * 2100 + "<p><label>last</label><input value=x></p>")
    assert found[0] == "a"
    assert len(found) == 2101
    assert found[-1] == "last"


@pytest.mark.parametrize(
    ("head", "url", "title"),
    [
        ("<title> A\n&amp; B </title>", None, "A & B"),
        ("<base href=https://b.example/><link rel='x CANONICAL' href=https://c.example/>", "https://c.example/", None),
        ("<base href=https://b.example/><meta property=og:url content=https://o.example/>", "https://o.example/", None),
        ("<link rel=canonical href=/relative><base href=https://b.example/>", "https://b.example/", None),
        ("<title></title><link rel=canonical><base target=_top>", None, None),
    ],
)
def test_title_and_address(head: str, url: str | None, title: str | None) -> None:
    page = page_of_html(f"<html><head>{head}</head><body>x</body></html>".encode(), "id")
    assert (page.paragraphs, page.url, page.title) == (["x"], url, title)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252", "iso-8859-1"])
@pytest.mark.parametrize("declared", ["", "<meta charset='{}'>", "<meta http-equiv=x content='text/html; charset={}'>"])
def test_encodings(encoding: str, declared: str) -> None:
    text = "Größe, café and naïve façades: a text that is long enough to tell its encoding by."
    html = f"<html><head>{declared.format(encoding)}</head><body><p>{text}</p></body></html>"
    assert paragraphs(html.encode(encoding)) == [text]


def test_a_declaration_decides_and_a_wrong_one_does_not() -> None:
    assert paragraphs("<meta charset=shift_jis><p>東京</p>".encode("shift_jis")) == ["東京"]
    assert paragraphs("<?xml version='1.0' encoding='koi8-r'?><html><p>да</p></html>".encode("koi8-r")) == ["да"]
    assert paragraphs("<meta charset=iso-8859-1><p>café</p>".encode()) == ["café"]
    assert paragraphs("<meta charset=utf-8><p>the “café’s” best</p>".encode("cp1252")) == ["the “café’s” best"]
    assert paragraphs(b"<meta charset=nonsense><p>caf\xe9 of the old town</p>") == ["café of the old town"]


def test_empty_xhtml_elements_end() -> None:
    html = """<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">
    <head><script src="x.js"/><title>T</title></head>
    <body><p>a<br/>b<a id="n"/></p><div class="c" /><p>c</p></body></html>"""
    assert page_of_html(html.encode(), "x") == Page("x", ["a", "b", "c"], extra={"title": "T", "link": [0, 0, 0]})


@pytest.mark.parametrize(
    "html", ["", " ", "\0", "<html>", "<!--", "<frameset><frame src=a></frameset>", "<", "</p>", "<title>"]
)
def test_pages_without_text_are_empty(html: str) -> None:
    page = read(html)
    assert isinstance(page, Page)
    assert page.paragraphs == [] or html == "<"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "x",
        "<span>" * 100_000 + "</x>" * 100_000,
        "<font size=1>" * 9_000 + "".join(f"<font size={i}>" for i in range(100_000)),
        "<div " + " ".join(f"a{i}=1" for i in range(100_000)) + ">x",
        "a<b " + "word " * 500_000,
    ],
    ids=["depth", "end tags", "formatting", "attributes", "tag without end"],
)
def test_html_that_would_take_minutes_is_refused(html: str) -> None:
    error = read(html)
    assert isinstance(error, PageError)
    assert "too tangled" in error.cause


@pytest.mark.parametrize(
    "html",
    [
        "<ul><li>x" * 9_000,
        "<p>x</p>" * 100_000,
        "<button>x</button>" * 20_000,
        "<table><tr>" + "<td>x" * 100_000,
        "<script>" + "if (a<b) {c<d};" * 100_000 + "</script>x",
        "<script>" + json.dumps({"a": list(range(100_000))}) + "</script>x",
        "<div>" * 5_000 + "x",
        "<" * 1_000_000,
        "<p>" + "x " * 5_000_000,
    ],
    ids=["lists", "blocks", "buttons", "cells", "comparisons", "data", "depth", "brackets", "10 MB"],
)
def test_large_html_is_read_in_time_and_memory(html: str) -> None:
    started = time.process_time()
    page = read(html)
    assert isinstance(page, Page)
    assert page.paragraphs[0][0] in "x<"
    assert time.process_time() - started < 30


def test_too_large_and_binary_files_are_refused() -> None:
    for data, words in ((b"<p>" + b"x" * 1000, "larger than 1,000 bytes"), (b"\x89PNG\r\n\x1a\n\xff\0\0", "binary")):
        error = read(data, 1000)
        assert isinstance(error, PageError)
        assert words in error.cause


TAGS = (
    "p div b a table tr td ul li button label input form select option template svg math p/ /p /div /table /b "
    "body "
    "html frameset script /script style title !-- ?xml summary details dialog figure pre br"
)
tags = st.sampled_from(TAGS.split())
soup = st.lists(st.one_of(tags.map("<{}>".format), st.text(max_size=8), st.sampled_from(["<", "&", "\0"])), max_size=60)


@settings(deadline=None)
@given(soup.map("".join))
def test_any_markup_is_a_page_with_clean_paragraphs(html: str) -> None:
    page = read(html.encode("utf-8", "surrogatepass"))
    if isinstance(page, Page):
        assert all(text and text == " ".join(text.split()) for text in page.paragraphs)
        json.loads(page.to_json())
    else:
        assert "binary" in page.cause


@settings(deadline=None)
@given(st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=12), st.data())
def test_no_block_is_lost_or_moved(words: list[str], data: st.DataObject) -> None:
    shapes = st.sampled_from(
        ["p", "div", "li", "h2", "td", "dd", "button", "label", "figcaption", "summary", "blockquote"]
    )
    blocks = [(data.draw(shapes), word) for word in words]
    html = "".join(
        f"<table><tr><td>{word}</td></tr></table>" if shape == "td" else f"<{shape}>{word}</{shape}>"
        for shape, word in blocks
    )
    assert paragraphs(f"<body>{html}</body>") == words
