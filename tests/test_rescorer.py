"""A rescorer from held-out logits to a bundle, and back."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_SIZES, toy_pages, write_pages

pytest.importorskip("torch")

import torch

from pagelabel import BundleError, Labeler
from pagelabel.check import check_bundle
from pagelabel.data.page import Page
from pagelabel.data.splits import part_of
from pagelabel.export.export import export
from pagelabel.export.parity import Tolerance
from pagelabel.export.writing import ExportError
from pagelabel.model.bundle import RESCORER, read_bundle
from pagelabel.model.features import page_features
from pagelabel.model.labels import LABELS
from pagelabel.training.fast import train_fast
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.rescore import Row, load_rescorer, rows_of, save_rescorer, train_rescorer
from pagelabel.training.teacher import read_rows, write_rows

# Random encoders of 32 dimensions lose more to int8 than trained ones.
TOLERANCE = Tolerance(int8_agreement=0.8, int8_macro_f1=0.2)


def doubtful_rows(seed: int, count: int = 60) -> list[Row]:
    """Pages of article and then promo, whose model is sure at most places and wrong or undecided at some."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        labels = np.repeat([0, 2], rng.integers(4, 12, 2))
        logits = 4 * np.eye(5, dtype=np.float32)[labels]
        doubt = rng.random(len(labels)) < 0.2
        logits[doubt] = 0.3 * rng.normal(size=(int(doubt.sum()), 5))
        features = page_features([f"paragraph {n}" for n in range(len(labels))])
        rows.append(Row(logits, features, labels.astype(np.int64), bool(i % 2)))
    return rows


@pytest.fixture(scope="module")
def rescorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rescorer") / "rescorer.safetensors"
    info = {"labels": list(LABELS), "seed": 0, "epochs": 8, "pages": 60}
    save_rescorer(file, train_rescorer(doubtful_rows(1, 400), LABELS), info)
    return file


def test_it_learns_what_neighbours_say_of_a_doubtful_paragraph(rescorer: Path) -> None:
    network, info = load_rescorer(rescorer)
    assert info["labels"] == list(LABELS)
    before, after = [], []
    for row in doubtful_rows(2):
        logits, features = torch.from_numpy(row.logits)[None], torch.from_numpy(row.features)[None]
        with torch.inference_mode():
            given = network(logits, features)[0].argmax(-1).numpy()
        before.append(row.logits.argmax(-1) == row.labels)
        after.append(given == row.labels)
    assert np.concatenate(before).mean() < 0.9
    assert np.concatenate(after).mean() > 0.95


def test_the_same_seed_gives_the_same_weights(rescorer: Path) -> None:
    again = train_rescorer(doubtful_rows(1, 400), LABELS).state_dict()
    first = load_rescorer(rescorer)[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_padding_says_nothing(rescorer: Path) -> None:
    network, _ = load_rescorer(rescorer)
    row = doubtful_rows(3)[0]
    logits, features = torch.from_numpy(row.logits)[None], torch.from_numpy(row.features)[None]
    with torch.inference_mode():
        alone = network(logits, features)
        longer = [torch.cat([part, torch.full_like(part, 9.0)], 1) for part in (logits, features)]
        mask = torch.cat([torch.ones(1, len(row.labels)), torch.zeros(1, len(row.labels))], 1)
        beside = network(*longer, mask)[:, : len(row.labels)]
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-5)


def test_logits_of_held_out_sites_become_rows(tmp_path: Path, tiny_checkpoint: Path) -> None:
    pages = [replace(page, extra={"site": f"site{i}.example"}) for i, page in enumerate(toy_pages(24))]
    write_pages(tmp_path / "train.jsonl", pages[:18])
    write_pages(tmp_path / "dev.jsonl", pages[18:])
    (tmp_path / "toy.toml").write_text(
        f"""teacher = {json.dumps(str(tiny_checkpoint))}
[data]
train = ["train.jsonl"]
dev = ["dev.jsonl"]
[words]
least = 1
{TINY_SIZES}[optim]
epochs = 2
batch_paragraphs = 60
"""
    )
    config = load_fast_config(tmp_path / "toy.toml")
    files = []
    for part in (0, 1):
        train_fast(replace(config, hold_out=(part, 2)), tmp_path / f"fold-{part}")
        files.append(str(tmp_path / f"fold-{part}" / "held-out.safetensors"))
        assert set(read_rows(files[-1])) == {page.id for page in pages[:18] if part_of(page, 2) == part}
    rows = rows_of(pages, files, LABELS)
    assert [len(row.labels) for row in rows] == [len(page.paragraphs) for page in pages[:18]]
    command = [sys.executable, "-m", "pagelabel.training.rescore", str(tmp_path / "train.jsonl"), "--logits", *files]
    subprocess.run([*command, "-o", str(tmp_path / "r.safetensors")], check=True)
    assert load_rescorer(tmp_path / "r.safetensors")[1]["pages"] == 18


def test_logits_of_other_pages_are_refused(tmp_path: Path) -> None:
    page = Page("a", ["One", "Two"], labels=["body", "promo"])
    write_rows(tmp_path / "held-out.safetensors", [page], [np.zeros((3, 5), np.float32)])
    with pytest.raises(ValueError, match="were they made for these pages"):
        rows_of([page], [str(tmp_path / "held-out.safetensors")], LABELS)
    with pytest.raises(ValueError, match="no logits of any of the 1 pages"):
        rows_of([replace(page, id="b")], [str(tmp_path / "held-out.safetensors")], LABELS)
    with pytest.raises(ValueError, match="not a rescorer"):
        load_rescorer(tmp_path / "held-out.safetensors")


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint: Path, rescorer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "rescored"
    return export(tiny_checkpoint, folder, rescorer=rescorer, tolerance=TOLERANCE)


def test_a_bundle_labels_with_its_rescorer(bundle: Path, tiny_bundle: Path, rescorer: Path) -> None:
    network, _ = load_rescorer(rescorer)
    rescored, plain = Labeler.load(bundle, threads=1), Labeler.load(tiny_bundle, threads=1)
    for paragraphs in (toy_pages(1)[0].paragraphs, ["Menu"], ["Menu"] * 3):
        logits = torch.from_numpy(plain.logits(paragraphs))[None]
        with torch.inference_mode():
            expected = network(logits, torch.from_numpy(page_features(paragraphs))[None])[0].numpy()
        np.testing.assert_allclose(rescored.logits(paragraphs), expected, atol=1e-2)
    assert rescored.label([]).labels == []
    assert check_bundle(bundle).problems == ()
    assert "## Rescorer" in (bundle / "README.md").read_text()
    row = json.loads((bundle / "reference.jsonl").read_text().splitlines()[0])
    assert np.shape(row["rescored"]) == np.shape(row["logits"])


def test_its_file_is_verified(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    with (copy / RESCORER).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=RESCORER):
        read_bundle(copy)
    (copy / RESCORER).unlink()
    with pytest.raises(BundleError, match=RESCORER):
        read_bundle(copy)


def test_a_bundle_that_is_fitted_to_other_pages_keeps_it(bundle: Path, tmp_path: Path) -> None:
    dev = write_pages(tmp_path / "mine.jsonl", toy_pages()[:6])
    again = export(bundle, tmp_path / "again", dev=[dev], tolerance=TOLERANCE)
    assert (again / RESCORER).read_bytes() == (bundle / RESCORER).read_bytes()
    assert read_bundle(again).provenance["rescorer"]["pages"] == 60


def test_a_rescorer_of_other_labels_is_refused(tiny_checkpoint: Path, rescorer: Path, tmp_path: Path) -> None:
    network, info = load_rescorer(rescorer)
    save_rescorer(tmp_path / "other.safetensors", network, {**info, "labels": ["a", "b", "c", "d", "e"]})
    with pytest.raises(ExportError, match="a rescorer of the labels a, b"):
        export(tiny_checkpoint, tmp_path / "bundle", rescorer=tmp_path / "other.safetensors", tolerance=TOLERANCE)
    assert not (tmp_path / "bundle").exists()
