"""Pictures are whole PNG files, written under a temporary name first."""

import struct
import sys

import pytest

from pagelabel.data.page import Page
from pagelabel.model.labels import LABELS
from pagelabel.training.metrics import score
from pagelabel.training.plots import save_confusion, save_reliability


def report(scores):
    gold = Page("a", ["x"] * 5, labels=list(LABELS))
    return score(
        [gold], [Page("a", gold.paragraphs, None, ["body", "body", "promo", "promo", "donation"], scores)], LABELS
    )


SAVERS = pytest.mark.parametrize("save", [save_confusion, save_reliability])


@SAVERS
def test_png(save, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    save(report([0.9, 0.4, 0.99, 0.5, 0.0]), path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.rstrip().endswith(b"IEND\xaeB`\x82")
    assert min(struct.unpack(">II", data[16:24])) >= 400
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]
    assert path.stat().st_mode & 0o777 == 0o644


@SAVERS
def test_same_report_same_bytes(save, tmp_path):
    for name in ("a.png", "b.png"):
        save(report([0.5] * 5), str(tmp_path / name))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@SAVERS
def test_failure_leaves_what_was_there(save, tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail(self, file, format):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("pagelabel.training.plots.Figure.savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save(report([0.5] * 5), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_reliability_needs_scores(tmp_path):
    with pytest.raises(ValueError, match="no scores"):
        save_reliability(report(None), tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_other_label_sets_can_be_drawn(tmp_path):
    pages = [Page("a", ["x", "y"], labels=["a long label name", "y"])]
    save_confusion(score(pages, pages, ("a long label name", "y")), tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_pyplot_is_not_imported():
    assert "matplotlib.pyplot" not in sys.modules
