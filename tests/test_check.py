import json
import shutil
from pathlib import Path

import pytest

from pagelabel.check import check_bundle
from pagelabel.cli import main
from pagelabel.export.writing import _REFERENCE_PAGES
from pagelabel.model.bundle import sha256


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def rewrite(bundle: Path, change) -> None:  # type: ignore[no-untyped-def]
    """Change the reference rows and keep the digests right, as a faulty export would."""
    file = bundle / "reference.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        change(row)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = json.loads((bundle / "config.json").read_text())
    config["sha256"]["reference.jsonl"] = sha256(file)
    (bundle / "config.json").write_text(json.dumps(config))


def test_reference_pages_are_compared_in_full(tiny_bundle: Path) -> None:
    check = check_bundle(tiny_bundle)
    assert check.pages == _REFERENCE_PAGES
    assert check.paragraphs > 100
    assert check.agreement > 0.8


def test_other_token_ids_are_a_problem(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(copy, lambda row: row["windows"][0].append(5))
    assert main(["check", str(copy)]) == 1
    assert "token ids differ" in capsys.readouterr().err


def test_other_features_are_a_problem(copy: Path) -> None:
    rewrite(copy, lambda row: row["features"][0].__setitem__(3, 0.77))
    assert any("features differ" in problem for problem in check_bundle(copy).problems)


def test_other_labels_are_a_problem(copy: Path) -> None:
    rewrite(copy, lambda row: row.__setitem__("labels", ["body"] * len(row["labels"])))
    assert any("labels agree" in problem for problem in check_bundle(copy).problems)


def test_lines_joined_otherwise_are_a_problem(copy: Path) -> None:
    rows = [json.loads(line) for line in (copy / "reference.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(max(row["lines"]) > 1 for row in rows)
    assert all(sum(row["lines"]) == len(row["paragraphs"]) == len(row["logits"]) == len(row["labels"]) for row in rows)
    rewrite(copy, lambda row: row.__setitem__("lines", [1] * len(row["paragraphs"])))
    assert any("lines are joined otherwise" in problem for problem in check_bundle(copy).problems)
