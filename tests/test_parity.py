from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages
from tokenizers import BertWordPieceTokenizer, Tokenizer

from pagelabel.data.page import Page
from pagelabel.export.parity import Parity, Tolerance, measure, same_tokens, torch_logits
from pagelabel.flat import Logits
from pagelabel.model.checkpoint import Checkpoint, load_checkpoint
from pagelabel.model.encoding import Encoder

GOOD = Parity(
    pages=1,
    paragraphs=20_000,
    torch_pages=1,
    fp32_logits=1e-6,
    fp32_labels_equal=True,
    int8_logits=0.1,
    int8_agreement=0.99,
    fp32_macro_f1=0.80,
    int8_macro_f1=0.799,
    int8_worse=0,
    int8_better=0,
)


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture(scope="module")
def encoder(checkpoint: Checkpoint) -> Encoder:
    return Encoder(checkpoint.tokenizer, checkpoint.encoding)


def test_a_good_bundle_may_ship() -> None:
    assert GOOD.failures(Tolerance()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fp32_logits": 1.1e-4}, "fp32 logits differ"),
        ({"fp32_logits": float("nan")}, "fp32 logits differ"),
        ({"fp32_labels_equal": False}, "fp32 labels differ"),
        ({"int8_agreement": 0.969}, "int8 labels agree"),
        ({"int8_macro_f1": 0.794}, "int8 macro-F1"),
    ],
)
def test_each_level_can_fail_alone(change: dict[str, float], words: str) -> None:
    (failure,) = replace(GOOD, **change).failures(Tolerance())
    assert words in failure


def test_with_few_paragraphs_it_is_told_that_more_would_help() -> None:
    few = replace(GOOD, paragraphs=20, int8_agreement=0.85)
    assert "(of 20 paragraphs: more --dev pages" in few.failures(Tolerance())[0]
    assert "--dev" not in replace(few, paragraphs=20_000).failures(Tolerance())[0]


def test_of_few_paragraphs_some_may_differ_by_chance() -> None:
    # One of 20, and two of 221 that int8 alone has wrong.
    one = replace(GOOD, paragraphs=20, int8_agreement=0.95)
    assert one.failures(Tolerance()) == []
    assert len(replace(one, paragraphs=2000).failures(Tolerance())) == 1
    two = replace(GOOD, paragraphs=221, int8_macro_f1=0.78, int8_worse=2)
    assert two.failures(Tolerance()) == []
    assert len(replace(two, paragraphs=2210).failures(Tolerance())) == 1
    assert len(replace(two, int8_worse=9).failures(Tolerance())) == 1
    assert replace(two, int8_worse=9, int8_better=6).failures(Tolerance()) == []


def test_int8_may_be_better_than_fp32() -> None:
    assert replace(GOOD, int8_macro_f1=0.9).failures(Tolerance()) == []


def test_a_copy_of_the_tokenizer_gives_the_same_tokens(encoder: Encoder, tiny_checkpoint: Path) -> None:
    other = Encoder(Tokenizer.from_file(str(tiny_checkpoint / "tokenizer.json")), encoder.config)
    assert same_tokens(encoder, other, toy_pages()) is None


def test_another_tokenizer_is_told_by_the_first_page_it_changes(encoder: Encoder, tmp_path: Path) -> None:
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    special = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(["an other text"], vocab_size=60, special_tokens=special, show_progress=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    other = Encoder(Tokenizer.from_file(str(tmp_path / "tokenizer.json")), encoder.config)
    assert same_tokens(encoder, other, toy_pages()) == "toy-0"


def test_windows_that_end_elsewhere_are_told_by_page(encoder: Encoder) -> None:
    page = replace(toy_pages(1)[0], id="long", paragraphs=["the council voted"] * 100, labels=None)
    longer = Encoder(encoder._tokenizer, replace(encoder.config, window_tokens=encoder.config.window_tokens + 40))
    short = replace(page, id="short", paragraphs=["one"])
    assert same_tokens(encoder, longer, [short, page]) == "long"
    assert same_tokens(longer, encoder, [short, page]) == "long"


def test_torch_gives_a_row_a_paragraph_however_many_windows(checkpoint: Checkpoint, encoder: Encoder) -> None:
    for count in (0, 1, 100):
        logits = torch_logits(checkpoint.network, encoder, Page("p", ["the council voted"] * count))
        assert logits.shape == (count, 5)
        assert logits.dtype == np.float32


class Fake:
    """A labeler that gives torch's logits, changed by `noise` on the pages from number `first` on."""

    def __init__(self, checkpoint: Checkpoint, encoder: Encoder, noise: Logits, first: int = 0) -> None:
        self.encoder, self.labels = encoder, checkpoint.labels
        self._network, self._noise, self._skip = checkpoint.network, noise, first

    def logits(self, page: Page) -> Logits:
        logits = torch_logits(self._network, self.encoder, page)
        self._skip -= 1
        return logits if self._skip >= 0 else logits + self._noise


def compared(
    checkpoint: Checkpoint, encoder: Encoder, noise: Logits, first: int = 0, wrong: int = 0, torch_pages: int = 3
) -> Parity:
    """Parity on three toy pages, with the int8 labels of `wrong` paragraphs unlike the fp32 ones."""
    pages = toy_pages()[18:21]
    fake = Fake(checkpoint, encoder, noise, first)
    int8 = np.concatenate([fake.logits(page) for page in pages])
    int8[:wrong] = -int8[:wrong]
    again = Fake(checkpoint, encoder, noise, first)
    return measure(checkpoint.network, again, encoder, pages, int8, torch_pages)  # type: ignore[arg-type]


def test_equal_logits_are_measured_as_equal(checkpoint: Checkpoint, encoder: Encoder) -> None:
    parity = compared(checkpoint, encoder, np.zeros(5, dtype=np.float32))
    assert (parity.pages, parity.paragraphs, parity.torch_pages) == (3, 27, 3)
    assert parity.fp32_logits == parity.int8_logits == 0
    assert parity.fp32_labels_equal
    assert parity.int8_agreement == 1
    assert parity.fp32_macro_f1 == parity.int8_macro_f1 > 0.9


def test_the_largest_difference_of_a_logit_is_measured(checkpoint: Checkpoint, encoder: Encoder) -> None:
    parity = compared(checkpoint, encoder, np.array([0, 0, 0, -0.01, 0], dtype=np.float32))
    assert parity.fp32_logits == pytest.approx(0.01, rel=1e-3)
    assert parity.failures(Tolerance())


def test_other_labels_of_the_graph_are_noticed(checkpoint: Checkpoint, encoder: Encoder) -> None:
    noise = np.array([100, 0, 0, 0, 0], dtype=np.float32)
    assert not compared(checkpoint, encoder, noise).fp32_labels_equal
    assert compared(checkpoint, encoder, noise, first=1, torch_pages=1).fp32_labels_equal


def test_a_network_of_nans_may_not_ship(checkpoint: Checkpoint, encoder: Encoder) -> None:
    parity = compared(checkpoint, encoder, np.full(5, np.nan, dtype=np.float32))
    assert any("fp32 logits" in failure for failure in parity.failures(Tolerance()))


def test_agreement_of_int8_is_a_share_of_paragraphs(checkpoint: Checkpoint, encoder: Encoder) -> None:
    parity = compared(checkpoint, encoder, np.zeros(5, dtype=np.float32), wrong=3)
    assert parity.int8_agreement == pytest.approx(24 / 27)
    assert parity.int8_macro_f1 < parity.fp32_macro_f1
    assert parity.int8_logits > 0
    assert parity.fp32_logits == 0
