import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.page import Page
from pagelabel.filters import keep_labels, mark_unsure
from pagelabel.model.labels import LABELS
from pagelabel.outputs import FORMATS, make_writer

TEXT_FORMATS = [name for name in FORMATS if name != "parquet"]

ROWS = [("Mayor resigns", "body", 0.99), ("“I go,”\nhe said.", "quote", 0.8), ("a\tb & <script>", "promo", 0.5)]


def make_page(rows: list[tuple[str, str, float]] = ROWS) -> Page:
    texts, labels, scores = ([row[i] for row in rows] for i in range(3))
    return Page("p<1>", texts, None, labels, scores)  # type: ignore[arg-type]


def write(name: str, page: Page) -> str:
    writer = make_writer(name, LABELS)
    return writer.head + writer.page(page) + writer.tail


def test_text_is_the_kept_paragraphs_one_a_line() -> None:
    assert write("text", keep_labels(make_page(), ("body", "quote"))) == "Mayor resigns\n“I go,” he said.\n\n"
    assert write("text", keep_labels(make_page(), ("promo",))) == "a b & <script>\n\n"


def test_tsv_has_one_row_of_five_columns_a_paragraph() -> None:
    lines = write("tsv", make_page()).splitlines()
    assert lines[0].split("\t") == ["page", "paragraph", "label", "score", "text"]
    assert lines[3].split("\t") == ["p<1>", "2", "promo", "0.5000", "a b & <script>"]


def test_jsonl_reads_back_as_the_page() -> None:
    page = make_page()
    assert Page.from_record(json.loads(write("jsonl", page)), "x") == page


def test_html_escapes_what_the_page_says() -> None:
    text = write("html", make_page())
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "p&lt;1&gt;" in text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


@given(st.text(), st.sampled_from(TEXT_FORMATS))
def test_any_text_can_be_written_as_utf8(text: str, name: str) -> None:
    out = write(name, Page(text, [text, text], None, ["body", "donation"], [1.0, 0.5]))
    out.encode("utf-8")
    if name == "tsv":
        assert [line.count("\t") for line in out.rstrip("\n").split("\n")] == [4, 4, 4]
    if name == "html":
        parser = _Tags()
        parser.feed(out)
        assert parser.seen <= {"html", "meta", "title", "style", "h2", "p", "b"}


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_an_empty_page_is_written(name: str) -> None:
    write(name, Page("empty", [], None, [], [])).encode("utf-8")


def test_labels_below_the_least_score_become_unsure() -> None:
    page = mark_unsure(make_page(), 0.7)
    assert page.labels == ["body", "quote", "unsure"]
    assert "unsure 0.50" in write("html", page)
    assert mark_unsure(make_page(), 0.0) == make_page()


def test_dolma_has_every_label_of_the_run_on_every_page() -> None:
    page = make_page()
    for min_score in (0.0, 0.1, 0.7):
        writer = make_writer("dolma", LABELS, min_score=min_score)
        attributes = json.loads(writer.page(mark_unsure(page, min_score)))["attributes"]
        names = [*LABELS, "unsure"] if min_score else list(LABELS)
        assert list(attributes) == [f"pagelabel__{name}" for name in names]
        assert len(attributes.get("pagelabel__unsure", [])) == (min_score == 0.7)
