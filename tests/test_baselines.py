"""The baseline script on a toy set that we wrote, where neighbours tell what the paragraph alone cannot."""

import gzip
import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.metrics import score

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "baselines.py"
TOWNS = ["Alder", "Birch", "Cedar", "Dogwood", "Elm"]


@pytest.fixture(scope="module")
def baselines():
    spec = importlib.util.spec_from_file_location("baselines", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def toy_page(i):
    """The same headline stands above the story (body) and in the list of other stories (teaser)."""
    town, other = TOWNS[i % 5], TOWNS[(i + 2) % 5]
    rows = [
        ("Home News Sport Weather", "promo"),
        ("Subscribe to our newsletter", "promo"),
        (f"Mayor of {town} resigns", "body"),
        (f"The mayor said the council of {town} had agreed to the plan in {i} days.", "body"),
        (f"“We waited {i} years for this,” the neighbours wrote in a letter.", "quote"),
        (f"The council of {town} will meet again and the plan was read aloud.", "body"),
        ("Support our newsroom. Donate today.", "donation"),
        ("More in Local News", "promo"),
        (f"Mayor of {other} resigns", "teaser"),
        (f"Fire in {other} harbour", "teaser"),
    ]
    labels = [label for _, label in rows]
    return Page(
        f"toy{i}", [text for text, _ in rows], None, labels, None, {"site": f"site{i}.example", "kind": "article"}
    )


@pytest.fixture(scope="module")
def pages():
    return [toy_page(i) for i in range(20)]


@pytest.fixture
def files(pages, tmp_path):
    train, dev = tmp_path / "train.jsonl.gz", tmp_path / "dev.jsonl"
    with gzip.open(train, "wt", encoding="utf-8") as out:
        out.writelines(page.to_json() + "\n" for page in pages[:14])
    pages[14].extra["doubt"] = [6]
    dev.write_text("".join(page.to_json() + "\n" for page in pages[14:]), encoding="utf-8")
    return train, dev


def fit(baselines, pages, offsets, settings):
    words = baselines.Words()
    features = baselines.with_neighbours(words.fit_matrix(pages), pages, offsets)
    model = baselines.train(features, pages, settings)

    def label(others):
        return baselines.label(model, baselines.with_neighbours(words.matrix(others), others, offsets), others)

    return label


def test_both_beat_chance_and_neighbours_help(baselines, pages):
    found = {}
    for name, offsets in baselines.OFFSETS.items():
        labelled = fit(baselines, pages[:14], offsets, baselines.Settings(10.0, False))(pages[14:])
        assert all(0 < s <= 1 for page in labelled for s in page.scores)
        found[name] = score(pages[14:], labelled, LABELS).macro_f1
    assert found["paragraph"] > 0.6
    assert found["neighbours"] > found["paragraph"]


def test_neighbours_stop_at_the_edge_of_the_page(baselines):
    pages = [Page("a", ["x"] * 3), Page("empty", []), Page("b", ["x"] * 2)]
    words = sp.csr_matrix(np.arange(1, 6).reshape(5, 1))
    blocks = baselines.with_neighbours(words, pages, (0, -2, -1, 1, 2)).toarray()
    assert blocks.tolist() == [[1, 0, 0, 2, 3], [2, 0, 1, 3, 0], [3, 1, 2, 0, 0], [4, 0, 0, 5, 0], [5, 0, 4, 0, 0]]


def test_labels_do_not_depend_on_the_other_pages(baselines, pages):
    label = fit(baselines, pages, (0, -2, -1, 1, 2), baselines.Settings(1.0, True))
    apart = [label([page])[0].labels for page in pages[:3]]
    together = label([pages[0], Page("empty", []), *pages[1:3]])
    assert [page.labels for page in together] == [apart[0], [], apart[1], apart[2]]


def test_command(baselines, files, tmp_path, capsys):
    train, dev = files
    out = tmp_path / "results" / "baselines.json"
    arguments = ["--train", str(train), "--dev", str(dev), "--out", str(out), "--cv-sites", "9", "--folds", "2"]
    assert baselines.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "neighbours  dev.jsonl" in printed
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["command"].startswith("python benchmarks/baselines.py --train")
    assert record["files"][str(train)] == hashlib.sha256(train.read_bytes()).hexdigest()
    assert set(record["baselines"]) == {"paragraph", "neighbours"}
    assert record["cross_validation"]["sites"] == 9
    assert len(record["cross_validation"]["tried"]["neighbours"]) == len(baselines.GRID)
    scores = record["baselines"]["neighbours"]["dev"]["dev.jsonl"]
    assert scores["report"]["paragraphs"] == 60
    assert scores["without_doubt"]["paragraphs"] == 59
    assert set(scores["by_kind"]) == {"article"}
    assert "by_view" not in scores


def test_missing_file_is_said_clearly(baselines, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        baselines.main(["--train", str(tmp_path / "none.jsonl.gz"), "--dev", str(tmp_path / "none.jsonl.gz")])
    assert "labelled pages are not shipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1"),
        ('{"paragraphs": "x"}', "line 1: field 'paragraphs' should be a list"),
        ('{"id": "a", "paragraphs": ["x"]}', "page 'a' has no labels"),
    ],
)
def test_bad_lines_are_named(baselines, tmp_path, line, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        baselines.read_labelled(path)
