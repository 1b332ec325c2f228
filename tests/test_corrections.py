import json
from pathlib import Path

import pytest
from conftest import write_pages

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.pages import load_pages


def test_corrections_are_applied_by_id_and_index(tmp_path: Path) -> None:
    file = write_pages(tmp_path / "a.jsonl", [Page("p1", ["a", "b"], labels=["body", "body"])])
    (tmp_path / "fix.jsonl").write_text(json.dumps({"id": "p1", "labels": {"1": "promo"}}) + "\n")
    (page,) = load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))
    assert page.labels == ["body", "promo"]


def test_corrections_of_one_page_may_stand_on_several_lines(tmp_path: Path) -> None:
    file = write_pages(tmp_path / "a.jsonl", [Page("p1", ["a", "b"], labels=["body", "body"])])
    lines = [json.dumps({"id": "p1", "labels": {index: "promo"}}) for index in ("0", "1")]
    (tmp_path / "fix.jsonl").write_text("\n\n".join(lines))
    (page,) = load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))
    assert page.labels == ["promo", "promo"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": "p1", "labels": {"2": "promo"}}', r"fix\.jsonl: page 'p1': there is no paragraph 2"),
        ('{"id": "p1", "labels": {"-1": "promo"}}', r"fix\.jsonl: page 'p1': there is no paragraph -1"),
        ('{"id": "p1", "labels": {"0": "boddy"}}', r"p1.*boddy"),
        ('{"id": "p1", "labels": {"one": "promo"}}', r"fix\.jsonl: line 1"),
        ('{"id": "p1", "labels": ["promo"]}', r"fix\.jsonl: line 1"),
        ('{"id": "p1"}', r"fix\.jsonl: line 1.*labels"),
        ("{]", r"fix\.jsonl: line 1"),
    ],
)
def test_a_correction_that_cannot_be_applied_is_refused_by_name(tmp_path: Path, line: str, words: str) -> None:
    file = write_pages(tmp_path / "a.jsonl", [Page("p1", ["a", "b"], labels=["body", "body"])])
    (tmp_path / "fix.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=words):
        load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))


def test_a_view_is_corrected_by_text(tmp_path: Path) -> None:
    texts = ["a", "b", "a", "c"]
    file = write_pages(
        tmp_path / "a.jsonl",
        [
            Page("p1", texts, labels=["body"] * 4),
            Page("p1#v", ["b", "c", "a"], labels=["body"] * 3, extra={"page": "p1", "view": "v"}),
            Page("p2#v", ["b"], labels=["body"], extra={"page": "p2", "view": "v"}),
        ],
    )
    (tmp_path / "fix.jsonl").write_text(json.dumps({"id": "p1", "labels": {"0": "promo", "1": "teaser"}}))
    whole, view, other = load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))
    assert whole.labels == ["promo", "teaser", "body", "body"]
    assert view.labels == ["teaser", "body", "body"]
    assert other.labels == ["body"]


def test_a_view_before_its_page_is_refused(tmp_path: Path) -> None:
    view = Page("p1#v", ["b"], labels=["body"], extra={"page": "p1", "view": "v"})
    file = write_pages(tmp_path / "a.jsonl", [view, Page("p1", ["b"], labels=["body"])])
    (tmp_path / "fix.jsonl").write_text(json.dumps({"id": "p1", "labels": {"0": "promo"}}))
    with pytest.raises(ValueError, match=r"fix\.jsonl: page 'p1' has corrections, and its view 'p1#v' comes before it"):
        load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))


def test_what_ships_has_labels_and_no_text() -> None:
    file = Path(__file__).parents[1] / "data" / "corrections.jsonl"
    for line in file.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        assert set(record) == {"id", "labels"}
        assert {*record["labels"].values()} <= set(LABELS)
        assert all(int(index) >= 0 for index in record["labels"])


def test_what_is_corrected_is_no_guess_any_more(tmp_path: Path) -> None:
    guess = {"weights": [0.0, 0.7], "probabilities": [[0.5, 0.2, 0.1, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1, 0.0]]}
    file = write_pages(
        tmp_path / "a.jsonl",
        [
            Page("p1", ["a", "b"], labels=["body", "promo"], extra=guess),
            Page(
                "p1#v", ["b", "a"], labels=["promo", "body"], extra={"page": "p1", "view": "v", "weights": [0.7, 0.0]}
            ),
        ],
    )
    (tmp_path / "fix.jsonl").write_text(json.dumps({"id": "p1", "labels": {"0": "donation"}}))
    whole, view = load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))
    assert whole.extra["weights"] == [1.0, 0.7]
    assert whole.extra["probabilities"] == [[0, 0, 0, 0, 1], guess["probabilities"][1]]
    assert view.labels == ["promo", "donation"]
    assert view.extra["weights"] == [0.7, 1.0]
