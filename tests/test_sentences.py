import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from conftest import toy_pages, write_pages

from pagelabel.data.page import Page
from pagelabel.model.hierarchical import HierarchicalConfig, ParagraphReader
from pagelabel.model.words import WordConfig, Words
from pagelabel.training.sentences import distinct_texts, learn_sentences, principal, sentence_vectors


@pytest.fixture(scope="module")
def toy_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_pages(tmp_path_factory.mktemp("pages") / "pages.jsonl", toy_pages(6))


def test_texts_are_what_the_fast_model_sees_each_once(toy_file: str) -> None:
    texts = distinct_texts([toy_file])
    assert texts.count("skip to content") == 1
    assert len(texts) == len(set(texts))
    longest = WordConfig().head_words + WordConfig().tail_words
    assert max(len(text.split()) for text in texts) == longest
    assert "we waited 3 years" in " ".join(texts)


def test_a_vector_does_not_depend_on_the_batch(toy_file: str, tiny_base: Path) -> None:
    texts = distinct_texts([toy_file])
    together = sentence_vectors(texts, str(tiny_base))
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, rtol=1e-5)
    for i in (0, len(texts) // 2, len(texts) - 1):
        alone = sentence_vectors([texts[i]], str(tiny_base))[0]
        np.testing.assert_allclose(alone, together[i], atol=0.02)


def test_principal_directions_come_in_order_of_variance() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((500, 4)) * [0.1, 5.0, 1.0, 2.0] + 3).astype(np.float32)
    found = principal(vectors, 3)
    assert found.shape == (500, 3)
    spread = found.std(0)
    assert spread[0] > spread[1] > spread[2]
    assert spread[0] / spread[1] == pytest.approx(2.5, rel=0.15)
    assert abs(np.corrcoef(found[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert found.std() == pytest.approx(1.0, rel=1e-3)


def test_a_reader_learns_the_vectors_of_a_file(toy_file: str, tiny_base: Path, tmp_path: Path) -> None:
    file = tmp_path / "sentences.parquet"
    command = [sys.executable, "-m", "pagelabel.training.sentences", toy_file, "-o", str(file), "--base"]
    subprocess.run([*command, str(tiny_base)], check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["sentences.parquet"]
    texts = datasets.Dataset.from_parquet(str(file))["text"]
    words = Words(sorted({word for text in texts for word in text.split()}), WordConfig())
    torch.manual_seed(0)
    reader = ParagraphReader(HierarchicalConfig(words.size, 5, word_size=32, size=48))
    before = [weight.clone() for weight in reader.parameters()]
    left = learn_sentences(reader, words, str(file), epochs=150, drop=0.0, seed=0)
    assert left[0] > 0.8
    assert left[-1] < 0.3
    assert all(not torch.equal(a, b) for a, b in zip(before, reader.parameters(), strict=True))


def test_pages_without_text_are_refused(tmp_path: Path) -> None:
    file = write_pages(tmp_path / "empty.jsonl", [Page("a", ["", " "], None, None, None, {})])
    command = [sys.executable, "-m", "pagelabel.training.sentences", file, "-o", str(tmp_path / "out.parquet")]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2
    assert "no text in the pages of" in found.stderr
    assert not (tmp_path / "out.parquet").exists()
