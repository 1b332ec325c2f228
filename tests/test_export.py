import json
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages

from pagelabel.data.page import Page
from pagelabel.export import export as module
from pagelabel.export.calibrate import fit_temperature, fit_thresholds
from pagelabel.export.export import ExportError, export
from pagelabel.export.parity import Parity, Tolerance
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import read_bundle
from pagelabel.model.labels import LABELS


def test_a_bundle_holds_what_a_port_needs(tiny_bundle: Path) -> None:
    files = {file.name for file in tiny_bundle.iterdir()}
    assert files == {"model.onnx", "tokenizer.json", "config.json", "reference.jsonl", "README.md"}
    config = read_bundle(tiny_bundle)
    assert config.labels == LABELS
    assert config.provenance["metrics"]["dev.jsonl"]["macro_f1"] > 0.9
    assert config.provenance["parity"]["fp32_logits"] <= 1e-4
    row = json.loads((tiny_bundle / "reference.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert len(row["logits"]) == len(row["labels"]) == len(row["features"]) == len(row["paragraphs"])


def test_it_tells_no_path_of_the_machine(tiny_bundle: Path, tiny_checkpoint: Path) -> None:
    folder = str(tiny_checkpoint.parent.parent.parent)
    for name in ("config.json", "README.md", "reference.jsonl"):
        assert folder not in (tiny_bundle / name).read_text(encoding="utf-8")


def test_it_labels_the_toy_pages(tiny_bundle: Path) -> None:
    pages = toy_pages()[18:]
    given = [page.labels for page in Labeler.load(tiny_bundle).label_pages(pages)]
    right = sum(
        a == b
        for page, labels in zip(pages, given, strict=True)
        for a, b in zip(page.labels or (), labels or (), strict=True)
    )
    assert right / sum(len(page.paragraphs) for page in pages) > 0.85


@pytest.fixture
def fake_graph(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of the session's bundle in place of a new one: an export takes seconds."""
    model = (tiny_bundle / "model.onnx").read_bytes()
    monkeypatch.setattr(module, "write_fp32", lambda _, file: file.write_bytes(model))
    monkeypatch.setattr(module, "write_int8", lambda _, file: file.write_bytes(model))


@pytest.mark.usefixtures("fake_graph")
def test_a_graph_that_is_not_the_network_is_refused_and_nothing_is_left(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="fp32 logits differ"):
        export(tiny_checkpoint, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fake_graph")
def test_a_refused_export_leaves_the_bundle_before_it(tiny_checkpoint: Path, tmp_path: Path) -> None:
    loose = Tolerance(fp32_logits=100, int8_agreement=0, int8_macro_f1=1)
    try:
        export(tiny_checkpoint, tmp_path / "bundle", tolerance=loose)
    except ExportError as error:
        assert "fp32 labels differ" in str(error)  # noqa: PT017
        return
    before = (tmp_path / "bundle" / "config.json").read_text()
    with pytest.raises(ExportError):
        export(tiny_checkpoint, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "config.json").read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_that_is_no_bundle_is_not_replaced(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(ExportError, match="not a bundle"):
        export(tiny_checkpoint, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        export(tmp_path, tmp_path / "bundle")


def test_each_level_of_parity_can_fail() -> None:
    good = Parity(1, 1, 1, 1e-6, True, 0.1, 0.99, 0.80, 0.80)
    bad = Parity(1, 1, 1, 1e-3, False, 0.1, 0.90, 0.80, 0.79)
    assert good.failures(Tolerance()) == []
    assert len(bad.failures(Tolerance())) == 4


def test_the_temperature_of_made_up_logits_is_found() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(20_000, 5)) * 2
    odds = np.exp(true)
    gold = np.array([rng.choice(5, p=row / row.sum()) for row in odds])
    assert fit_temperature((true * 1.7).astype(np.float32), gold) == pytest.approx(1.7, rel=0.05)


def test_thresholds_protect_the_article_and_cost_little() -> None:
    rng = np.random.default_rng(0)
    labels = ["body"] * 300 + ["promo"] * 100 + ["teaser"] * 60 + ["donation"] * 40 + ["quote"] * 60
    page = Page("a", ["word " * (30 if label in ("body", "quote") else 3) for label in labels], None, labels)
    gold = np.array([LABELS.index(label) for label in labels])
    logits = rng.normal(size=(len(gold), 5)).astype(np.float32)
    logits[np.arange(len(gold)), gold] += 3
    shaky = np.flatnonzero(gold == 0)[:60]
    logits[shaky, 2] = logits[shaky, 0] + 0.3
    thresholds = fit_thresholds(logits, [page], LABELS, 1.0)
    assert set(thresholds) == {"promo", "teaser", "donation"}
    assert fit_thresholds(logits, [page], ("keep", "drop"), 1.0) == {}
