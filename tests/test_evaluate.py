import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages

from pagelabel.cli import main
from pagelabel.data.page import Page
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import read_bundle
from pagelabel.model.labels import LABELS
from pagelabel.training.evaluate import Evaluation, evaluate

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Toy pages in two forms; the first paragraph of each is in doubt."""
    pages = [replace(page, extra={**page.extra, "doubt": [0]}) for page in toy_pages()[18:]]
    views = [
        Page(f"{page.id}-view", page.paragraphs[3:6], None, (page.labels or [])[3:6], None, extra)
        for page in pages
        for extra in [{"page": page.id, "view": "inner", "kind": "article"}]
    ]
    return write_pages(tmp_path_factory.mktemp("dev") / "dev.jsonl", [*pages, *views])


def answered(pages: list[Page], wrong: int = 0) -> list[Page]:
    """The pages labelled right, but for the first `wrong` paragraphs of each."""
    return [
        replace(
            page,
            labels=["body" if label != "body" else "promo" for label in (page.labels or [])[:wrong]]
            + (page.labels or [])[wrong:],
            scores=[0.9] * len(page.paragraphs),
        )
        for page in pages
    ]


def test_a_bundle_is_scored_and_the_scores_are_written(tiny_bundle: Path, dev: str, tmp_path: Path) -> None:
    evaluation = evaluate(tiny_bundle, [dev], tmp_path / "new" / "out", threads=1)
    assert evaluation.all.macro_f1 > 0.7
    assert (evaluation.all.pages, evaluation.all.paragraphs) == (12, 6 * 9 + 6 * 3)
    files = {file.name: file.read_bytes() for file in (tmp_path / "new" / "out").iterdir()}
    assert set(files) == {"evaluation.json", "confusion.png", "reliability.png"}
    assert files["confusion.png"].startswith(PNG)
    assert files["reliability.png"].startswith(PNG)
    record = json.loads(files["evaluation.json"])
    assert record["files"] == [dev]
    assert record["bundle"] == read_bundle(tiny_bundle).sha256
    assert record["all"]["macro_f1"] == evaluation.all.macro_f1
    assert set(record["by_view"]) == {"none", "inner"}
    assert record["without_doubt"]["paragraphs"] == 6 * 8 + 6 * 3
    assert record["coverage"][0]["coverage"] == 1


def test_the_command_prints_what_it_found_and_writes_only_when_asked(
    tiny_bundle: Path, dev: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(tiny_bundle), dev, "--threads", "1"]) == 0
    out = capsys.readouterr().out
    for word in (*LABELS, "macro-F1", "without doubtful paragraphs", "inner", "article"):
        assert word in out
    assert list(tmp_path.iterdir()) == []


def test_pages_with_other_labels_are_refused_by_name(tiny_bundle: Path, tmp_path: Path) -> None:
    file = write_pages(tmp_path / "other.jsonl", [Page("p1", ["a"], labels=["headline"])])
    with pytest.raises(ValueError, match=r"other\.jsonl.*p1.*headline"):
        evaluate(tiny_bundle, [file], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_exit_1(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tiny_bundle), "gone.jsonl"]) == 1
    assert "gone.jsonl" in capsys.readouterr().err


def test_right_answers_score_one() -> None:
    pages = toy_pages(4)
    evaluation = Evaluation.of(pages, answered(pages), LABELS)
    assert evaluation.all.macro_f1 == evaluation.all.accuracy == 1
    assert evaluation.without_doubt is None
    assert evaluation.by_view == {}
    assert evaluation.by_kind["article"].pages == 4


def test_paragraphs_in_doubt_are_left_out_of_the_second_score_alone() -> None:
    pages = [replace(page, extra={"doubt": [0]}) for page in toy_pages(4)]
    evaluation = Evaluation.of(pages, answered(pages, wrong=1), LABELS)
    assert evaluation.all.accuracy == pytest.approx(8 / 9)
    assert evaluation.without_doubt is not None
    assert evaluation.without_doubt.accuracy == 1


def test_the_summary_is_short_and_rounded() -> None:
    pages = toy_pages(3)
    summary = Evaluation.of(pages, answered(pages, wrong=1), LABELS).summary()
    assert summary["pages"] == 3
    assert summary["paragraphs"] == 27
    assert summary["accuracy"] == 0.888889
    assert set(summary["f1"]) == set(LABELS)
    assert 0 < summary["article_word_f1"] < 1
    assert summary["calibration_error"] == pytest.approx(0.0111, abs=1e-4)
    assert json.loads(json.dumps(summary)) == summary


def test_other_label_sets_have_no_article() -> None:
    pages = [Page("a", ["one", "two"], labels=["keep", "drop"])]
    evaluation = Evaluation.of(pages, [replace(pages[0], scores=[0.9, 0.8])], ("keep", "drop"))
    assert evaluation.summary()["article_word_f1"] is None
    assert evaluation.summary()["f1"] == {"keep": 1.0, "drop": 1.0}
    assert "keep" in evaluation.to_text()


@pytest.mark.parametrize(
    "place",
    [
        "file",
        "file/new",
        pytest.param("/proc", marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="no such folder")),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_told_before_pages_are_labelled(
    tiny_bundle: Path,
    dev: str,
    tmp_path: Path,
    place: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(Labeler, "label_pages", lambda *_: pytest.fail("labelled first"))
    assert main(["evaluate", str(tiny_bundle), dev, "-o", str(tmp_path / place)]) == 1
    assert f"{tmp_path / place}: not a folder that can be written to" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["0", "-3"])
def test_less_than_one_thread_is_wrong_usage(
    tiny_bundle: Path, dev: str, threads: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tiny_bundle), dev, "--threads", threads]) == 2
    assert f"--threads should be at least 1, found {threads}" in capsys.readouterr().err


def test_pages_of_one_label_are_scored_without_a_warning() -> None:
    pages = [Page("a", ["one", "two"], labels=["promo", "promo"], extra={"kind": "menu", "doubt": [0]})]
    evaluation = Evaluation.of(pages, [replace(pages[0], scores=[0.9, 0.6])], LABELS)
    assert evaluation.all.macro_f1 == evaluation.by_kind["menu"].macro_f1 == 1
    assert [row.macro_f1 for row in evaluation.coverage if row.macro_f1 is not None] == [1] * 6
