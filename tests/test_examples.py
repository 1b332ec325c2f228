import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import toy_pages, write_pages
from tokenizers import Tokenizer

from pagelabel.data.page import Page
from pagelabel.model.encoding import Encoder, EncodingConfig
from pagelabel.model.labels import LABELS
from pagelabel.training.config import AugmentConfig, OptimConfig, TrainingConfig
from pagelabel.training.examples import (
    IGNORED,
    Windows,
    collate,
    evaluation_plan,
    load_pages,
    one_view,
    tokenized,
    training_plan,
)


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    special = {"cls_id": "[CLS]", "sep_id": "[SEP]", "mask_id": "[MASK]", "marker_id": "[unused0]"}
    ids = {name: tokenizer.token_to_id(token) for name, token in special.items()}
    return Encoder(tokenizer, EncodingConfig(window_tokens=64, context_tokens=12, **ids))


def views(pages: list[Page]) -> list[Page]:
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


def test_pages_that_cannot_be_trained_on_are_refused_by_name(tmp_path: Path) -> None:
    file = write_pages(tmp_path / "a.jsonl", [Page("p1", ["a"], labels=["boddy"])])
    with pytest.raises(ValueError, match=r"a\.jsonl.*p1.*boddy"):
        load_pages([file], LABELS)
    file = write_pages(tmp_path / "b.jsonl", [Page("p2", ["a"])])
    with pytest.raises(ValueError, match=r"b\.jsonl.*p2.*no labels"):
        load_pages([file], LABELS)
    (tmp_path / "c.jsonl").write_text("{]\n")
    with pytest.raises(ValueError, match=r"c\.jsonl.*line 1"):
        load_pages([str(tmp_path / "c.jsonl")], LABELS)
    with pytest.raises(ValueError, match="no such file"):
        load_pages([str(tmp_path / "d.jsonl")], LABELS)


def test_corrections_are_applied_by_id_and_index(tmp_path: Path) -> None:
    file = write_pages(tmp_path / "a.jsonl", [Page("p1", ["a", "b"], labels=["body", "body"])])
    (tmp_path / "fix.jsonl").write_text(json.dumps({"id": "p1", "labels": {"1": "promo"}}) + "\n")
    (page,) = load_pages([file], LABELS, str(tmp_path / "fix.jsonl"))
    assert page.labels == ["body", "promo"]


def test_one_view_of_each_page_stays_and_every_whole_page() -> None:
    pages = toy_pages(4)
    kept = one_view(pages + views(pages))
    assert kept[:4] == pages
    assert [page.extra["page"] for page in kept[4:]] == [page.id for page in pages]


def test_labelling_windows_read_every_paragraph_once(encoder: Encoder) -> None:
    rows = tokenized(toy_pages(3), encoder, LABELS, 0.5)
    data = Windows(rows, evaluation_plan(rows, encoder), encoder)
    read = np.concatenate([item["labels"][item["labels"] != IGNORED] for item in (data[i] for i in range(len(data)))])
    expected = [LABELS.index(label) for page in toy_pages(3) for label in page.labels or ()]
    assert sorted(read) == sorted(expected)


def test_a_paragraph_in_doubt_weighs_less(encoder: Encoder) -> None:
    page = Page("a", ["one", "two"], labels=["body", "promo"], extra={"doubt": [1]})
    rows = tokenized([page], encoder, LABELS, 0.5)
    item = Windows(rows, evaluation_plan(rows, encoder), encoder)[0]
    assert item["weights"][item["labels"] != IGNORED].tolist() == [1.0, 0.5]


def test_the_plan_depends_on_the_seed_alone_and_differs_by_epoch(encoder: Encoder) -> None:
    pages = toy_pages(20)
    rows = tokenized(pages + views(pages), encoder, LABELS, 0.5)
    config = TrainingConfig(seed=1, optim=OptimConfig(epochs=2, batch_windows=4))
    plan = training_plan(rows, encoder, config)
    assert plan == training_plan(rows, encoder, config)
    assert plan != training_plan(rows, encoder, TrainingConfig(seed=2, optim=config.optim))
    assert all(example.tokens <= encoder.config.window_tokens - 2 for example in plan)
    one = training_plan(rows, encoder, TrainingConfig(seed=1, optim=OptimConfig(epochs=1, batch_windows=4)))
    assert plan[: len(one)] == one
    assert plan[len(one) :] != one


def test_each_epoch_takes_every_page_and_one_of_its_views(encoder: Encoder) -> None:
    pages = toy_pages(12)
    rows = tokenized(pages + views(pages), encoder, LABELS, 0.5)
    still = AugmentConfig(crop=0, strip_furniture=0, only_furniture=0, skip_uniform=0, repeat_rare=0)
    plan = training_plan(rows, encoder, TrainingConfig(augment=still, optim=OptimConfig(epochs=1, batch_windows=1)))
    taken = {example.row for example in plan}
    assert set(range(12)) <= taken
    assert len([row for row in taken if row >= 12]) == 12


def test_masking_hides_some_word_pieces_and_no_marker(encoder: Encoder) -> None:
    rows = tokenized(toy_pages(2), encoder, LABELS, 0.5)
    plan = evaluation_plan(rows, encoder)
    plain, masked = Windows(rows, plan, encoder)[0], Windows(rows, plan, encoder, mask=0.5, seed=1)[0]
    changed = plain["input_ids"] != masked["input_ids"]
    assert changed.any()
    assert (masked["input_ids"][changed] == encoder.config.mask_id).all()
    markers = plain["input_ids"] == encoder.config.marker_id
    assert not changed[markers].any()


def test_batches_are_padded_outside_attention_and_loss(encoder: Encoder) -> None:
    rows = tokenized([Page("a", ["one"], labels=["body"]), toy_pages(1)[0]], encoder, LABELS, 0.5)
    data = Windows(rows, evaluation_plan(rows, encoder), encoder)
    batch = collate([data[0], data[len(data) - 1]])
    short = int(batch["attention_mask"][0].sum())
    assert short < batch["input_ids"].shape[1]
    assert (batch["labels"][0, short:] == IGNORED).all()
    assert batch["features"].dtype == torch.float32
    assert not batch["features"][0, short:].any()
