"""A tiny model, trained and exported once a session: random weights, no download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pagelabel.data.page import Page

SITES = ("river.example", "hill.example", "coast.example", "plain.example", "wood.example", "lake.example")


def write_pages(file: Path, pages: Sequence[Page]) -> str:
    file.write_text("".join(page.to_json() + "\n" for page in pages), encoding="utf-8")
    return str(file)


TINY_SIZES = """[sizes]
word_size = 16
size = 32
layers = 1
heads = 2
"""
"""Of a fast model that learns the toy pages in seconds."""


def toy_pages(count: int = 24) -> list[Page]:
    """Pages that a tiny model can learn: each label has words of its own."""
    pages = []
    for i in range(count):
        rows = [
            ("promo", "Skip to content"),
            ("promo", f"Menu {i % 3}"),
            ("donation", "Donate to our newsroom"),
            (
                "body",
                f"The council voted on bridge number {i} on Monday, and the work begins in the spring of next year.",
            ),
            ("quote", f"“We waited {i} years for this bridge and now it comes,” said the mayor."),
            (
                "body",
                "Traffic will be led over the old road until then, the county said in its plan for the coming years.",
            ),
            ("teaser", f"Related: school number {i} gets a roof"),
            ("teaser", "Read next: harvest fair opens"),
            ("promo", "Copyright, all rights reserved"),
        ]
        labels, paragraphs = [label for label, _ in rows], [text for _, text in rows]
        link = [0 if label in ("body", "quote") else 100 for label in labels]
        extra = {"site": SITES[i % len(SITES)], "kind": "article", "title": f"Bridge number {i}", "link": link}
        pages.append(Page(f"toy-{i}", paragraphs, f"https://{SITES[i % len(SITES)]}/{i}", labels, None, extra))
    return pages


def toy_views(pages: list[Page]) -> list[Page]:
    """Two views of each page."""
    return [
        Page(
            f"{page.id}-{name}",
            page.paragraphs[3:6],
            None,
            (page.labels or [])[3:6],
            None,
            {"page": page.id, "view": name},
        )
        for page in pages
        for name in ("one", "two")
    ]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT-style encoder of random weights with a tokenizer learned from the toy pages."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import BertWordPieceTokenizer

    folder = tmp_path_factory.mktemp("base")
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    texts = [text for page in toy_pages() for text in page.paragraphs]
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    transformers.set_seed(0)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def toy_config(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    write_pages(folder / "train.jsonl", toy_pages()[:18])
    write_pages(folder / "dev.jsonl", toy_pages()[18:])
    (folder / "toy.toml").write_text(
        f"""base = {json.dumps(str(tiny_base))}
seed = 3
[data]
train = ["train.jsonl"]
dev = ["dev.jsonl"]
[encoding]
window_tokens = 128
context_tokens = 24
about = ["title", "url"]
links = true
join_lines = true
[augment]
hide_about = 0.5
[optim]
epochs = 16
batch_windows = 4
encoder_rate = 3e-3
head_rate = 3e-3
evaluations = 3
patience = 6
""",
        encoding="utf-8",
    )
    return folder / "toy.toml"


@pytest.fixture(scope="session")
def tiny_checkpoint(toy_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pagelabel.training.config import load_config
    from pagelabel.training.train import train

    return train(load_config(toy_config), tmp_path_factory.mktemp("runs") / "toy")


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pagelabel.export.export import export
    from pagelabel.export.parity import Tolerance

    # A random encoder of 32 dimensions loses more to int8 than a trained one; the shipped bundle is held to the real
    # tolerance.
    tolerance = Tolerance(int8_agreement=0.8, int8_macro_f1=0.2)
    return export(tiny_checkpoint, tmp_path_factory.mktemp("bundles") / "tiny", tolerance=tolerance)


@pytest.fixture(scope="session")
def fast_config(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    import numpy as np

    folder = tmp_path_factory.mktemp("fast")
    pages = toy_pages()
    for page in pages[:6]:
        # As a teacher gives them.
        one_hot = np.eye(5)[[(["body", "quote", "promo", "teaser", "donation"]).index(x) for x in page.labels or ()]]
        page.extra["probabilities"] = (0.9 * one_hot + 0.02).tolist()
        page.extra["weights"] = [0.9] * len(page.paragraphs)
    write_pages(folder / "train.jsonl", pages[:18])
    write_pages(folder / "dev.jsonl", pages[18:])
    (folder / "toy.toml").write_text(
        f"""seed = 3
teacher = {json.dumps(str(tiny_checkpoint))}
[data]
train = ["train.jsonl"]
dev = ["dev.jsonl"]
[words]
least = 1
about = ["title", "url"]
join_lines = true
{TINY_SIZES}[optim]
epochs = 40
batch_paragraphs = 60
rate = 1e-2
evaluations = 2
"""
    )
    return folder / "toy.toml"


@pytest.fixture(scope="session")
def fast_checkpoint(fast_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pagelabel.training.fast import train_fast
    from pagelabel.training.fast_config import load_fast_config

    return train_fast(load_fast_config(fast_config), tmp_path_factory.mktemp("runs") / "fast")


@pytest.fixture(scope="session")
def fast_bundle(fast_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pagelabel.export.fast import export_fast

    return export_fast(fast_checkpoint, tmp_path_factory.mktemp("bundles") / "fast")
