import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_SIZES, toy_pages, write_pages

from pagelabel.data.page import Page
from pagelabel.export.parity import torch_logits
from pagelabel.model.checkpoint import load_checkpoint
from pagelabel.model.encoding import Encoder
from pagelabel.model.labels import LABELS
from pagelabel.training.fast import train_fast
from pagelabel.training.fast_config import FastConfig, FastOptim, load_fast_config
from pagelabel.training.fast_examples import Noise, Part, Rows, learn_words
from pagelabel.training.student import Targets, loss_of
from pagelabel.training.teacher import main, opinions, read_rows, reduced, write_rows


def test_each_page_gets_the_probabilities_that_labelling_gives(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    encoder = Encoder(checkpoint.tokenizer, checkpoint.encoding)
    pages = [*toy_pages(3), Page("long", [f"the council voted on bridge {i}" for i in range(90)], labels=["body"] * 90)]
    for page, found, states in zip(pages, *opinions(checkpoint, pages), strict=True):
        logits = torch_logits(checkpoint.network, encoder, page)
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        # Batches may be read in bfloat16.
        assert np.abs(found - expected).max() < 0.05
        assert np.allclose(found.sum(1), 1, atol=1e-3)
        head = checkpoint.network.head
        again = head(torch.from_numpy(states.astype(np.float32))).softmax(-1).detach().numpy()
        assert np.abs(again - found).max() < 0.02


def test_lines_of_a_paragraph_get_what_is_thought_of_it(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    page = toy_pages(1)[0]
    cut = page.paragraphs[3].index(" and the work")
    lines = [page.paragraphs[3][:cut], page.paragraphs[3][cut:]]
    texts = [*page.paragraphs[:3], *lines, *page.paragraphs[4:]]
    rows = [0, 1, 2, 3, *range(3, len(page.paragraphs))]
    extra = {"title": page.title}
    whole, found = (Page("p", some, page.url, ["promo"] * len(some), extra=extra) for some in (page.paragraphs, texts))
    (expected,), (told,) = opinions(checkpoint, [whole])
    (given,), (states,) = opinions(checkpoint, [found])
    assert np.array_equal(given, expected[rows])
    assert np.array_equal(states, told[rows])


def test_files_are_read_as_they_were_written(tiny_checkpoint: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    pages = toy_pages(3)
    file = write_pages(tmp_path / "pages.jsonl", pages)
    output = tmp_path / "teacher.safetensors"
    monkeypatch.setattr("pagelabel.training.teacher.half_precision", lambda: False)
    monkeypatch.setattr(
        "sys.argv", ["teacher", str(tiny_checkpoint), file, "-o", str(output), "--states", str(tmp_path / "s")]
    )
    assert main() == 0
    found = read_rows(str(output))
    assert list(found) == [page.id for page in pages]
    expected, states = opinions(load_checkpoint(tiny_checkpoint), pages)
    for row, other in zip(found.values(), expected, strict=True):
        assert np.abs(row - other).max() < 1e-3
    for row, other in zip(read_rows(str(tmp_path / "s")).values(), reduced(states, 64), strict=True):
        assert np.abs(row - other).max() < 1e-2
    assert [file.name for file in tmp_path.iterdir() if "tmp" in file.name] == []
    with pytest.raises(ValueError, match="2 pages have the id 'toy-0'"):
        write_rows(output, [pages[0], pages[0]], [found["toy-0"]] * 2)
    assert read_rows(str(output), LABELS).keys() == found.keys()
    with pytest.raises(ValueError, match=r"teacher\.safetensors: its columns are"):
        read_rows(str(output), LABELS[::-1])


def test_targets_are_mixed_of_label_and_teacher() -> None:
    config = FastConfig(probabilities="file", optim=FastOptim(teacher_share=0.75))
    page, other = Page("a", ["x"], labels=["quote"]), Page("b", ["y"], labels=["body"])
    states = np.array([[1.0, -2.0]], np.float16)
    targets = Targets(config, {"a": np.full((1, 5), 0.25, np.float16)}, {"a": states})
    mixed, same = targets.of([page, other])
    assert same == other
    assert (mixed.extra["states"] == states).all()
    assert np.allclose(mixed.extra["probabilities"], [[0.1875, 0.4375, 0.1875, 0.1875, 0.1875]])
    with pytest.raises(ValueError, match=r"file: page 'a' has rows of shape \(2, 5\)"):
        Targets(config, {"a": np.zeros((2, 5), np.float16)}, {}).of([page])
    with pytest.raises(ValueError, match=r"page 'a' has rows of shape \(2, 2\)"):
        Targets(config, {}, {"a": np.zeros((2, 2), np.float16)}).of([page])


def test_states_are_missed_only_where_they_are_known() -> None:
    config = FastConfig(optim=FastOptim(states_weight=0.5))
    page, other = Page("a", ["x", "y"], labels=["quote", "body"]), Page("b", ["x"], labels=["body"])
    states = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 2.0]], np.float16)
    pages = Targets(config, {}, {"a": states}).of([page, other])
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 1.0)
    batch = rows.batch([Part.whole(row) for row in rows.rows], Noise(), np.random.default_rng(0))
    # Batches are padded behind their pages.
    most = batch.mask.shape[1]
    logits, right = torch.zeros(2, most, 5), torch.zeros(2, most, 3)
    right[:, :2] = torch.from_numpy(states).float()
    plain = loss_of(logits, right, batch, config)
    # Where nothing is known, nothing can be missed.
    right[1] = 100.0
    assert loss_of(logits, right, batch, config) == plain
    right[0] += 2.0
    assert loss_of(logits, right, batch, config).item() == pytest.approx(plain.item() + 0.5 * 4)


def test_the_fast_model_learns_from_a_teacher(tmp_path: Path) -> None:
    pages = toy_pages(12)
    # The teacher is sure of something else, so what the student says is the teacher's word.
    swap = [1, 0, 2, 3, 4]
    ids = [[["body", "quote", "promo", "teaser", "donation"].index(x) for x in page.labels or ()] for page in pages]
    write_rows(tmp_path / "t.safetensors", pages, [np.eye(5, dtype=np.float32)[swap][row] for row in ids])
    write_rows(tmp_path / "s.safetensors", pages, [np.eye(5, 3, dtype=np.float32)[row] for row in ids])
    write_pages(tmp_path / "train.jsonl", pages)
    wrong = {"body": "quote", "quote": "body"}
    dev = [replace(page, labels=[wrong.get(x, x) for x in page.labels or ()]) for page in pages]
    write_pages(tmp_path / "dev.jsonl", dev)
    (tmp_path / "toy.toml").write_text(
        f"""probabilities = "t.safetensors"
states = "s.safetensors"
[data]
train = ["train.jsonl"]
dev = ["dev.jsonl"]
[words]
least = 1
about = ["title"]
{TINY_SIZES}[optim]
epochs = 30
batch_paragraphs = 60
rate = 1e-2
evaluations = 1
teacher_share = 1.0
"""
    )
    best = train_fast(load_fast_config(tmp_path / "toy.toml"), tmp_path / "run")
    assert json.loads((best / "fast.json").read_text())["metrics"]["dev_macro_f1"] > 0.95
