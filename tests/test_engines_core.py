"""The core of the engines: no engine needed, so it is tested wherever the other tests are."""

import os
import pickle
import subprocess
import sys
from itertools import count, islice

import pytest
from engine_pages import KEEP, expected, paragraphs, texts
from hypothesis import given
from hypothesis import strategies as st

from pagelabel import BundleError, Labeler, Page
from pagelabel.data.spans import spans_in
from pagelabel.data.streams import TextMode
from pagelabel.data.text import paragraphs_of_text
from pagelabel.engines.core import PageStage, paragraph_at


def test_texts_get_the_labels_of_the_labeler_and_where_they_stand() -> None:
    assert list(PageStage(keep=KEEP).rows(texts())) == expected(texts())


def test_lists_of_paragraphs_get_the_same_labels() -> None:
    pages = [paragraphs(text) for text in texts()]
    rows = list(PageStage(column="paragraphs").rows(pages))
    assert [row["pagelabel_labels"] for row in rows] == [row["pagelabel_labels"] for row in expected(texts())]
    for page, row in zip(pages, rows, strict=True):
        assert ["\n".join(page)[start:end] for start, end in row["pagelabel_spans"]] == page


def test_a_value_that_is_no_page_gets_an_error_and_the_others_their_labels() -> None:
    good = texts(2)
    values = [good[0], None, float("nan"), 3, {"a": 1}, b"bytes", ["a", None], "", [], good[1]]
    rows = list(PageStage(keep=KEEP).rows(values))
    assert [rows[0], rows[-1]] == expected(good)
    for row in rows[1:7]:
        assert row["pagelabel_error"]
        assert {value for name, value in row.items() if name != "pagelabel_error"} == {None}
    assert "found NoneType" in rows[1]["pagelabel_error"]
    assert "item 1 is null" in rows[6]["pagelabel_error"]
    for row in rows[7:9]:
        assert (row["pagelabel_labels"], row["pagelabel_text"], row["pagelabel_error"]) == ([], "", None)


def test_titles_and_addresses_are_read_where_they_are_strings() -> None:
    known = [{"title": "The bridge", "url": "https://example.com/news"}, {"title": None, "url": 7, "label": "x"}]
    pages = [paragraphs(text) for text in texts(3)]
    rows = list(PageStage(column="paragraphs").rows(pages, known))
    expected = [
        Page("0", pages[0], "https://example.com/news", extra={"title": "The bridge"}),
        Page("1", pages[1]),
        Page("2", pages[2]),
    ]
    labelled = list(Labeler.load(threads=1).label_pages(expected))
    assert [row["pagelabel_scores"] for row in rows] == [page.scores for page in labelled]
    assert labelled[0].scores != Labeler.load(threads=1).label(pages[0]).scores


def test_it_streams() -> None:
    endless = (["Menu"] * 700 if i % 2 else None for i in count())
    assert len(list(islice(PageStage().rows(endless), 4))) == 4


def test_hard_wrapped_text_is_cut_as_asked() -> None:
    wrapped = "Council votes\nfor the bridge\n\nDonate to our\nnewsroom"
    [lines] = PageStage(text_mode="lines").rows([wrapped])
    [blocks] = PageStage(text_mode="paragraphs").rows([wrapped])
    assert len(lines["pagelabel_spans"]) == 4
    assert [paragraph_at(wrapped, span) for span in blocks["pagelabel_spans"]] == [
        "Council votes for the bridge",
        "Donate to our newsroom",
    ]


def test_settings_are_small_to_send_and_hold_no_model() -> None:
    stage = PageStage(keep=KEEP)
    list(stage.rows(texts(1)))
    assert len(pickle.dumps(stage)) < 500
    assert pickle.loads(pickle.dumps(stage)) == stage


def test_a_process_has_one_model_and_a_forked_one_its_own() -> None:
    stage = PageStage()
    assert stage.load() is PageStage(column="paragraphs").load()
    code = """
import os
from pagelabel.engines.core import PageStage
parent = PageStage().load()
if (child := os.fork()) == 0:
    os._exit(int(PageStage().load() is parent))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"})


@given(
    st.text(st.sampled_from("ab-.\n\r\t\x0c\u2028\x00\u200b\x93 漢")), st.sampled_from(["auto", "lines", "paragraphs"])
)
def test_a_span_gives_its_paragraph_back(text: str, mode: TextMode) -> None:
    found = paragraphs_of_text(text, mode)
    assert [paragraph_at(text, span) for span in spans_in(text, found, "x")] == found


@pytest.mark.parametrize("span", [[3, 2], [-1, 2], [0, 9]])
def test_a_span_outside_its_text_is_refused(span: list[int]) -> None:
    with pytest.raises(ValueError, match="changed since"):
        paragraph_at("Donate", span)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="text_mode"):
        PageStage(text_mode="words")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="list of labels"):
        PageStage(keep="body")
    with pytest.raises(ValueError, match="unknown label 'bodi'"):
        next(PageStage(keep=["bodi"]).rows(["Donate"]))
    with pytest.raises(BundleError):
        next(PageStage(model="no/such/bundle").rows(["Donate"]))


@pytest.mark.parametrize(
    ("engine", "package", "extra"), [("datatrove", "datatrove", "datatrove"), ("spark", "pyspark", "spark")]
)
def test_an_engine_that_is_missing_names_its_extra(engine: str, package: str, extra: str) -> None:
    code = f"import sys\nsys.modules['{package}'] = None\nimport pagelabel.engines.{engine}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"pip install 'pagelabel[{extra}]'" in done.stderr
