"""A report as JSON and as text."""

import json

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.metrics import score


def report(gold, given, scores=None, labels=LABELS):
    paragraphs = ["some words"] * len(gold)
    return score([Page("a", paragraphs, None, gold)], [Page("a", paragraphs, None, given, scores)], labels)


def test_json():
    found = report(["body", "promo"], ["body", "body"], [0.9, 0.4])
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["macro_f1"] == found.macro_f1
    assert record["labels"][0] == {"label": "body", "precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 1}
    assert record["article"]["words"] == 2
    assert record["confusion"][2] == [1, 0, 0, 0, 0]
    assert len(record["calibration"]["bins"]) == 15
    assert report(["body"], ["body"]).to_dict()["calibration"] is None


def test_text():
    lines = report(["body", "promo"], ["body", "body"], [0.9, 0.4]).to_text().splitlines()
    assert lines[:5] == [
        "1 pages, 2 paragraphs",
        "macro-F1  0.333  (95% interval 0.333 to 0.333, 1 pages resampled)",
        "accuracy  0.500",
        "article   F1 0.667, precision 0.500, recall 1.000  (body + quote against the rest, by words)",
        "calibration error  0.250",
    ]
    table = lines.index("label     precision  recall     F1  support")
    assert lines[table + 1].split() == ["body", "0.500", "1.000", "0.667", "1"]
    assert lines[table + 5].split(maxsplit=2) == ["donation", "-", "not in gold: left out of macro-F1"]
    assert lines[-3].split() == ["promo", "1", "0", "0", "0", "0"]
    assert not any(line != line.rstrip() for line in lines)


def test_text_without_scores_and_article():
    text = report(["x", "a longer label"], ["x", "x"], labels=("x", "a longer label")).to_text()
    assert "calibration" not in text
    assert "article" not in text
    header, row = text.splitlines()[-3], text.splitlines()[-1]
    assert header.index("a longer label") + len("a longer label") == len(row)
