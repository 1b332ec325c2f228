"""The corpus and the examples: valid, consistent, and as described."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from pagelabel.data.corpus import agreement, corpus_files, corpus_pages, report
from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages():
    return list(corpus_pages())


def lines(file):
    text = (ROOT / "examples" / file).read_text(encoding="utf-8")
    return [Page.from_record(json.loads(line), "no id") for line in text.splitlines()]


def plain(text):
    return " ".join(re.findall(r"\w+", text.lower()))


def test_files():
    files = corpus_files()
    assert files == sorted(files)
    names = (
        "afterwords almanacs almsgiving appeals appendages archives assemblies benefactors blogs blurbs "
        "briefings broadcast broadsheets brochures bulletins bystanders campaigns cards catalogues chambers "
        "chroniclers circulars clippings columnists comments companies congregations crossings dailies "
        "departments dialogues diaries digests discussions dispatches drives excerpts extracts fixtures "
        "fragments frontpages gazettes giving gutters handbooks hard homepages indexes institutions interludes "
        "intermissions kindnesses laboratories ledgers leftovers letters lexicons local magazines mailbags "
        "manuals misc near_appeals newsrooms noticeboards oldweb outposts particulars pinboards playgrounds "
        "playlists portals quarterlies quotes reactions references rejoinders remnants replies ripostes "
        "roundups rundowns sayings scraps screeds sections shopfronts snippets stations storefronts strays "
        "tabloids testimony threads tipjars travelogues tributes vendors voices wrapped yarns"
    )
    assert [Path(file).name for file in files] == [f"{name}.jsonl" for name in names.split()]


def test_pages(pages):
    assert len(pages) >= 2000
    assert len({page.id for page in pages}) == len(pages)
    for page in pages:
        assert page.paragraphs, page.id
        assert len(page.labels) == len(page.paragraphs), page.id
        assert set(page.labels) <= set(LABELS), page.id
        assert all(p.strip() and p.splitlines() == [p] for p in page.paragraphs), page.id
        assert page.extra["site"].endswith(".example"), page.id
        assert page.url is None or page.extra["site"] in page.url, page.id
        assert page.extra["form"] in ("page", "extract"), page.id


def test_passes(pages):
    for page in pages:
        first, second = page.extra["labels_a"], page.extra["labels_b"]
        assert len(first) == len(second) == len(page.paragraphs), page.id
        assert {*first, *second} <= set(LABELS), page.id
        differing = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
        assert page.extra["doubt"] == differing, page.id
        for i in differing:
            assert page.labels[i] in (first[i], second[i]), (page.id, i)
    overruled = [
        (page.id, i)
        for page in pages
        for i, label in enumerate(page.labels)
        if label not in (page.extra["labels_a"][i], page.extra["labels_b"][i])
    ]
    assert len(overruled) == 6


def test_nothing_repeated(pages):
    found = defaultdict(set)
    for page in pages:
        for paragraph in page.paragraphs:
            text = plain(paragraph)
            if len(text.split()) > 6:
                found[text].add(page.id)
    assert {text: ids for text, ids in found.items() if len(ids) > 1} == {}


def test_agreement():
    passes = agreement(["body", "body", "promo", "quote"], ["body", "promo", "promo", "teaser"])
    assert (passes.paragraphs, passes.same, passes.share) == (4, 2, 0.5)
    assert passes.f1 == {"body": 2 / 3, "promo": 2 / 3, "quote": 0.0, "teaser": 0.0}
    assert passes.macro_f1 == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="shorter"):
        agreement(["body", "body"], ["body"])
    with pytest.raises(ValueError, match="without a paragraph"):
        agreement([], [])


def test_report():
    record = {"kind": "forum", "form": "extract", "labels_a": ["body", "promo"], "labels_b": ["body", "body"]}
    assert report([Page("a", ["x", "y"], None, ["body", "quote"], None, record)]).splitlines() == [
        "| kind | pages | whole page | extract |",
        "|---|---:|---:|---:|",
        "| forum | 1 | 0 | 1 |",
        "| all | 1 | 0 | 1 |",
        "",
        "| label | paragraphs | F1 between the passes |",
        "|---|---:|---:|",
        "| body | 1 | 0.667 |",
        "| quote | 1 | 0.000 |",
        "| all | 2 | 0.333 (macro) |",
        "",
        "The passes agree on 1 of 2 paragraphs: 50.0%.",
    ]


def test_readme_holds_the_figures(pages):
    readme = (ROOT / "data" / "corpus" / "README.md").read_text(encoding="utf-8")
    assert report(pages) in readme
    assert f"\n{len(pages)} web pages" in readme


def test_command_needs_no_heavy_package():
    heavy = "sklearn", "torch", "transformers"
    code = (
        "import runpy, sys\n"
        "runpy.run_module('pagelabel.data.corpus', run_name='__main__')\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("| kind |")
    assert done.stdout.splitlines()[-1] == "[]"


def test_example_page():
    [expected] = lines("mayor-resigns.expected.jsonl")
    text = (ROOT / "examples" / "mayor-resigns.txt").read_text(encoding="utf-8")
    assert expected.id == "mayor-resigns"
    assert expected.paragraphs == text.splitlines()
    assert set(expected.labels) == set(LABELS)


def test_example_pages():
    pages = lines("pages.jsonl")
    assert len(pages) == len({page.id for page in pages}) == 4
    assert all(page.url and page.paragraphs and page.labels is None for page in pages)


def test_examples_are_not_in_the_corpus(pages):
    known = {plain(paragraph) for page in pages for paragraph in page.paragraphs}
    examples = [*lines("pages.jsonl"), *lines("mayor-resigns.expected.jsonl")]
    shown = {plain(paragraph) for page in examples for paragraph in page.paragraphs}
    assert not [text for text in shown & known if len(text.split()) > 4]
