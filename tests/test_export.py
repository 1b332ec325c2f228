import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import toy_pages, write_pages

from pagelabel.data.page import Page
from pagelabel.export import export as module
from pagelabel.export.export import ExportError, export
from pagelabel.export.parity import Tolerance
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import read_bundle
from pagelabel.model.labels import LABELS
from pagelabel.training.config import AugmentConfig, DataConfig, load_config
from pagelabel.training.train import train


def test_a_bundle_holds_what_a_port_needs(tiny_bundle: Path) -> None:
    files = {file.name for file in tiny_bundle.iterdir()}
    assert files == {"model.onnx", "tokenizer.json", "config.json", "reference.jsonl", "README.md"}
    config = read_bundle(tiny_bundle)
    assert config.labels == LABELS
    assert config.provenance["metrics"]["dev.jsonl"]["macro_f1"] > 0.9
    assert config.provenance["parity"]["fp32_logits"] <= 1e-4
    for name in ("model.onnx", "tokenizer.json", "reference.jsonl"):
        assert config.sha256[name] == hashlib.sha256((tiny_bundle / name).read_bytes()).hexdigest()
    row = json.loads((tiny_bundle / "reference.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert len(row["logits"]) == len(row["labels"]) == len(row["features"]) == len(row["paragraphs"])


def test_it_tells_no_path_of_the_machine(tiny_bundle: Path, tiny_checkpoint: Path) -> None:
    folder = str(tiny_checkpoint.parent.parent.parent)
    for name in ("config.json", "README.md", "reference.jsonl"):
        assert folder not in (tiny_bundle / name).read_text(encoding="utf-8")
    # torch's exporter notes the source lines of every node.
    assert b".py" not in (tiny_bundle / "model.onnx").read_bytes()


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


LOOSE = Tolerance(int8_agreement=0.5, int8_macro_f1=1)


@pytest.fixture
def old(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle from before, alone in its folder."""
    return shutil.copytree(tiny_bundle, tmp_path / "bundles" / "mine")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def other_labels(toy_config: Path, tmp_path: Path) -> Path:
    """A checkpoint that knows two labels of its own."""

    def keep_or_drop(page: Page) -> Page:
        return replace(page, labels=["keep" if label in ("body", "quote") else "drop" for label in page.labels or ()])

    file = write_pages(tmp_path / "pages.jsonl", [keep_or_drop(page) for page in toy_pages()])
    config = load_config(toy_config)
    config = replace(
        config,
        labels=("keep", "drop"),
        data=DataConfig(train=(file,), dev_share=0.2),
        augment=AugmentConfig(repeat_rare=0, rare_labels=()),
        optim=replace(config.optim, epochs=6, evaluations=2),
    )
    return train(config, tmp_path / "run")


def test_a_model_with_other_labels_takes_the_place_of_an_older_bundle(other_labels: Path, old: Path) -> None:
    assert export(other_labels, old, tolerance=LOOSE) == old
    card = (old / "README.md").read_text(encoding="utf-8")
    assert "label guide" not in card
    assert "donation" not in card
    assert [file.name for file in old.parent.iterdir()] == ["mine"]
    assert old.stat().st_mode & 0o777 == 0o755
    assert read_bundle(old).labels == ("keep", "drop")
    assert read_bundle(old).thresholds == {}
    labeler = Labeler.load(old)
    pairs = [
        (given, gold in ("body", "quote"))
        for page in toy_pages()[18:]
        for given, gold in zip(labeler.label(page).labels or (), page.labels or (), strict=True)
    ]
    assert {given for given, _ in pairs} == {"keep", "drop"}
    assert sum((given == "keep") == article for given, article in pairs) / len(pairs) > 0.9


@pytest.mark.usefixtures("fake_graph")
def test_a_graph_that_is_not_the_network_is_refused_and_nothing_is_left(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="fp32 logits differ"):
        export(tiny_checkpoint, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fake_graph")
def test_a_refused_export_leaves_the_bundle_before_it(tiny_checkpoint: Path, old: Path) -> None:
    before = contents(old)
    with pytest.raises(ExportError, match="nothing written"):
        export(tiny_checkpoint, old)
    assert contents(old) == before
    assert [file.name for file in old.parent.iterdir()] == ["mine"]


def test_an_interrupted_export_leaves_the_bundle_before_it(
    tiny_checkpoint: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_fp32", interrupt)
    before = contents(old)
    with pytest.raises(KeyboardInterrupt):
        export(tiny_checkpoint, old)
    assert contents(old) == before
    assert [file.name for file in old.parent.iterdir()] == ["mine"]


def test_other_token_ids_are_refused(
    tiny_checkpoint: Path, old: Path, monkeypatch: pytest.MonkeyPatch, fake_graph: None
) -> None:
    monkeypatch.setattr(module, "same_tokens", lambda *_: "toy-18")
    with pytest.raises(ExportError, match="token ids of page 'toy-18'"):
        export(tiny_checkpoint, old)


def test_dev_pages_are_needed(tiny_checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    info = json.loads((copy / "checkpoint.json").read_text(encoding="utf-8"))
    for dev, words in (([], "--dev"), ([str(tmp_path / "gone.jsonl")], r"gone\.jsonl: no such file")):
        (copy / "checkpoint.json").write_text(json.dumps({**info, "dev": dev}), encoding="utf-8")
        with pytest.raises(ValueError, match=words):
            export(copy, tmp_path / "out" / "bundle")
    del info["dev"]
    (copy / "checkpoint.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(ExportError, match="--dev"):
        export(copy, tmp_path / "out" / "bundle")
    assert not (tmp_path / "out").exists()


def test_dev_files_without_pages_or_of_one_name_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_pages(tmp_path / name / "dev.jsonl", toy_pages(2))
    with pytest.raises(ExportError, match=r"two dev files are named dev\.jsonl"):
        export(tiny_checkpoint, tmp_path / "b", dev=[str(tmp_path / name / "dev.jsonl") for name in ("one", "two")])
    empty = write_pages(tmp_path / "empty.jsonl", [])
    with pytest.raises(ExportError, match=r"empty\.jsonl: no labelled pages"):
        export(tiny_checkpoint, tmp_path / "b", dev=[empty])
    assert not (tmp_path / "b").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(ExportError, match="not a bundle"):
        export(tiny_checkpoint, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        export(tmp_path, tmp_path / "bundle")


def test_decisions_of_a_bundle_can_be_fitted_to_other_pages(tiny_bundle: Path, tmp_path: Path) -> None:
    dev = write_pages(tmp_path / "mine.jsonl", toy_pages()[:6])
    again = export(tiny_bundle, tmp_path / "again", dev=[dev])
    page = toy_pages()[20]
    old, new = Labeler.load(tiny_bundle), Labeler.load(again)
    # The weights are those that the bundle computed with, so quantising them anew gives them again, but for the last
    # bit of a scale on some CPUs.
    graphs = [onnx.load(folder / "model.onnx").graph.initializer for folder in (tiny_bundle, again)]
    for before, after in zip(*graphs, strict=True):
        one, other = onnx.numpy_helper.to_array(before), onnx.numpy_helper.to_array(after)
        np.testing.assert_allclose(other, one, rtol=1e-6 if one.dtype.kind == "f" else 0)
    np.testing.assert_allclose(new.logits(page), old.logits(page), atol=1e-2)
    assert list(new.config.provenance["metrics"]) == ["mine.jsonl"]
    first, second = (tiny_bundle / "README.md").read_text(), (again / "README.md").read_text()
    note = "The weights are those of an int8 bundle"
    assert note in second
    assert note not in first
    assert "sites that training never saw" in first
    assert "sites that training never saw" not in second
    assert "pagelabel export model/bundle --dev mine.jsonl -o another" in second


def test_the_card_tells_how_many_processes_trained(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "shared"))
    info = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps({**info, "processes": 2}))
    card = (export(folder, tmp_path / "bundle", tolerance=LOOSE) / "README.md").read_text()
    assert "torchrun --nproc-per-node 2 -m pagelabel train --config training/toy.toml -o runs/toy" in card
