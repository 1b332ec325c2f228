from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import toy_pages, toy_views
from tokenizers import Tokenizer

from pagelabel.data.page import Page
from pagelabel.model.encoding import Encoder, EncodingConfig
from pagelabel.model.features import FEATURE_NAMES, LINK_FEATURES
from pagelabel.model.labels import LABELS
from pagelabel.training.config import AugmentConfig, OptimConfig, TrainingConfig
from pagelabel.training.examples import (
    IGNORED,
    Example,
    Windows,
    collate,
    evaluation_plan,
    tokenized,
    training_plan,
)


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    special = {"cls_id": "[CLS]", "sep_id": "[SEP]", "mask_id": "[MASK]", "marker_id": "[unused0]"}
    ids = {name: tokenizer.token_to_id(token) for name, token in special.items()}
    return Encoder(tokenizer, EncodingConfig(window_tokens=64, context_tokens=12, **ids))


def test_labelling_windows_read_every_paragraph_once(encoder: Encoder) -> None:
    rows = tokenized(toy_pages(3), encoder, LABELS, 0.5)
    data = Windows(rows, evaluation_plan(rows, encoder), encoder)
    read = np.concatenate([item["labels"][item["labels"] != IGNORED] for item in (data[i] for i in range(len(data)))])
    expected = [LABELS.index(label) for page in toy_pages(3) for label in page.labels or ()]
    assert sorted(read) == sorted(expected)


def long_page(count: int = 60) -> Page:
    paragraphs = [f"the council voted on bridge number {i} " * (1 + i % 3) for i in range(count)]
    return Page("long", paragraphs, labels=[LABELS[i % len(LABELS)] for i in range(count)])


def test_evaluation_reads_the_windows_that_labelling_reads(encoder: Encoder) -> None:
    page = long_page()
    rows = tokenized([page], encoder, LABELS, 0.5)
    data = Windows(rows, evaluation_plan(rows, encoder), encoder)
    windows = {window.ids.tobytes(): window for window in encoder.windows(page)}
    assert len(windows) == len(data) > 5
    for item in (data[i] for i in range(len(data))):
        window = windows.pop(item["input_ids"].tobytes())
        assert np.array_equal(item["features"], window.features)
        assert np.flatnonzero(item["labels"] != IGNORED).tolist() == window.core_markers.tolist()
        gold = [LABELS.index(label) for label in (page.labels or [])[window.start : window.stop]]
        assert item["labels"][window.core_markers].tolist() == gold
    assert not windows


def still(**changes: float) -> AugmentConfig:
    none = {"crop": 0, "strip_furniture": 0, "only_furniture": 0, "mask_tokens": 0, "skip_uniform": 0, "repeat_rare": 0}
    return AugmentConfig(**{**none, **changes})  # type: ignore[arg-type]


def test_a_training_window_is_within_its_tokens_and_each_paragraph_has_its_loss_once(encoder: Encoder) -> None:
    pages = [long_page(), *toy_pages(3)]
    rows = tokenized(pages, encoder, LABELS, 0.5)
    config = TrainingConfig(augment=still(), optim=OptimConfig(epochs=1, batch_windows=1))
    data = Windows(rows, training_plan(rows, encoder, config), encoder)
    items = [data[i] for i in range(len(data))]
    assert max(len(item["input_ids"]) for item in items) <= encoder.config.window_tokens
    assert [len(item["input_ids"]) - 2 for item in items] == [example.tokens for example in data.plan]
    taken = sorted((e.row, i) for e in data.plan for i in range(e.start, e.stop))
    assert taken == [(r, i) for r, page in enumerate(pages) for i in range(len(page.paragraphs))]
    assert sum(int((item["labels"] != IGNORED).sum()) for item in items) == len(taken)


def test_title_and_address_are_hidden_at_times_in_training_and_never_in_evaluation(encoder: Encoder) -> None:
    reader = Encoder(encoder._tokenizer, replace(encoder.config, window_tokens=96, about=("title", "url")))
    pages = [long_page(), *toy_pages(12)]
    rows = tokenized(pages, reader, LABELS, 0.5)
    heads = [tuple(reader.head(reader.about(page))) for page in pages]
    assert heads[0] == ()
    assert all(heads[1:])
    assert all(example.head == heads[example.row] for example in evaluation_plan(rows, reader))
    config = TrainingConfig(augment=still(hide_about=0.5), optim=OptimConfig(epochs=4, batch_windows=1))
    plan = training_plan(rows, reader, config)
    taken = {(example.row, example.head) for example in plan}
    titles = {tuple(reader.head(reader.about(replace(page, url=None)))) for page in pages[1:]}
    assert {len(head) for row, head in taken if row == 0} == {0}
    found = [head for row, head in taken if row]
    assert () in found
    assert titles & set(found)
    assert set(heads[1:]) & set(found)
    data = Windows(rows, plan, reader)
    assert max(len(data[i]["input_ids"]) for i in range(len(data))) <= 96


def test_links_are_hidden_at_times_in_training_and_never_in_evaluation(encoder: Encoder) -> None:
    reader = Encoder(encoder._tokenizer, replace(encoder.config, features=FEATURE_NAMES + LINK_FEATURES))
    pages = [long_page(), *toy_pages(12)]
    rows = tokenized(pages, reader, LABELS, 0.5)

    def known(plan: Sequence[Example], row: int) -> list[bool]:
        data = Windows(rows, [example for example in plan if (example.row == 0) == (row == 0)], reader)
        return [bool(data[i]["features"][:, -1].any()) for i in range(len(data))]

    plan = evaluation_plan(rows, reader)
    assert not any(known(plan, 0))
    assert all(known(plan, 1))
    config = TrainingConfig(augment=still(hide_links=0.5), optim=OptimConfig(epochs=4, batch_windows=1))
    plan = training_plan(rows, reader, config)
    assert not any(known(plan, 0))
    assert set(known(plan, 1)) == {False, True}
    # A part of a page has the links of its own paragraphs.
    item = Windows(rows, [Example(1, (2, 3, 8), (), 0, 3, 0, 3, 0)], reader)[0]
    assert item["features"][item["labels"] != IGNORED][:, -2:].tolist() == [[1, 1], [0, 1], [1, 1]]


def test_configs_that_read_no_links_have_the_plans_that_they_had(encoder: Encoder) -> None:
    rows = tokenized(toy_pages(12), encoder, LABELS, 0.5)
    config = TrainingConfig(optim=OptimConfig(epochs=2, batch_windows=2))
    hidden = replace(config, augment=replace(config.augment, hide_links=0.9))
    assert training_plan(rows, encoder, config) == training_plan(rows, encoder, hidden)


def test_a_changed_page_is_encoded_as_a_page_of_its_own(encoder: Encoder) -> None:
    page = toy_pages(1)[0]
    rows = tokenized([page], encoder, LABELS, 0.5)
    kept = (2, 4, 5)
    item = Windows(rows, [Example(0, kept, (), 0, 3, 0, 3, 0)], encoder)[0]
    (window,) = encoder.windows(Page("part", [page.paragraphs[i] for i in kept]))
    assert np.array_equal(item["input_ids"], window.ids)
    assert np.array_equal(item["features"], window.features)
    assert item["labels"][window.markers].tolist() == [LABELS.index((page.labels or [])[i]) for i in kept]


def test_every_window_gets_its_turn_though_batches_are_full(encoder: Encoder) -> None:
    pages = [Page(f"p{i}", ["bridge " * (1 + i)], labels=["body"]) for i in range(13)]
    rows = tokenized(pages, encoder, LABELS, 0.5)
    plan = training_plan(rows, encoder, TrainingConfig(augment=still(), optim=OptimConfig(epochs=8, batch_windows=8)))
    assert len(plan) == 8 * 8
    assert {example.row for example in plan} == set(range(13))


def test_fewer_windows_than_a_batch_are_one_batch(encoder: Encoder) -> None:
    rows = tokenized(toy_pages(3), encoder, LABELS, 0.5)
    few = TrainingConfig(augment=still(), optim=OptimConfig(epochs=1, batch_windows=100))
    one = TrainingConfig(augment=still(), optim=OptimConfig(epochs=1, batch_windows=1))
    assert len(training_plan(rows, encoder, few)) == len(training_plan(rows, encoder, one)) > 0


def test_pages_with_rare_labels_come_more_often(encoder: Encoder) -> None:
    pages = [
        Page("rare", ["one", "two"], labels=["donation", "body"]),
        Page("common", ["one", "two"], labels=["promo", "body"]),
    ]
    rows = tokenized(pages, encoder, LABELS, 0.5)
    config = TrainingConfig(augment=still(repeat_rare=2), optim=OptimConfig(epochs=1, batch_windows=1))
    assert sorted(example.row for example in training_plan(rows, encoder, config)) == [0, 0, 0, 1]


def test_windows_of_one_label_are_skipped_as_often_as_asked(encoder: Encoder) -> None:
    pages = [
        Page("uniform", ["one", "two"], labels=["promo", "promo"]),
        Page("mixed", ["one", "two"], labels=["promo", "body"]),
        Page("single", ["one"], labels=["promo"]),
    ]
    rows = tokenized(pages, encoder, LABELS, 0.5)
    config = TrainingConfig(augment=still(skip_uniform=1), optim=OptimConfig(epochs=1, batch_windows=1))
    assert {example.row for example in training_plan(rows, encoder, config)} == {1, 2}


def test_a_text_that_is_no_unicode_is_learnt_as_it_is_labelled(encoder: Encoder) -> None:
    pages = [Page("a", ["one \ud83d two"], labels=["body"]), Page("b", ["one ? two"], labels=["body"])]
    rows = tokenized(pages, encoder, LABELS, 0.5)
    assert rows["pieces"][0] == rows["pieces"][1]
    assert rows["paragraphs"] == [["one ? two"], ["one ? two"]]


def test_a_paragraph_in_doubt_weighs_less(encoder: Encoder) -> None:
    page = Page("a", ["one", "two"], labels=["body", "promo"], extra={"doubt": [1]})
    rows = tokenized([page], encoder, LABELS, 0.5)
    item = Windows(rows, evaluation_plan(rows, encoder), encoder)[0]
    assert item["weights"][item["labels"] != IGNORED].tolist() == [1.0, 0.5]


def test_the_plan_depends_on_the_seed_alone_and_differs_by_epoch(encoder: Encoder) -> None:
    pages = toy_pages(20)
    rows = tokenized(pages + toy_views(pages), encoder, LABELS, 0.5)
    config = TrainingConfig(seed=1, optim=OptimConfig(epochs=2, batch_windows=4))
    plan = training_plan(rows, encoder, config)
    assert plan == training_plan(rows, encoder, config)
    assert plan != training_plan(rows, encoder, TrainingConfig(seed=2, optim=config.optim))
    assert all(example.tokens <= encoder.config.window_tokens - 2 for example in plan)
    one = training_plan(rows, encoder, TrainingConfig(seed=1, optim=OptimConfig(epochs=1, batch_windows=4)))
    assert plan[: len(one)] == one
    assert plan[len(one) :] != one


def test_each_epoch_takes_every_page_and_one_of_its_toy_views(encoder: Encoder) -> None:
    pages = toy_pages(12)
    rows = tokenized(pages + toy_views(pages), encoder, LABELS, 0.5)
    plan = training_plan(rows, encoder, TrainingConfig(augment=still(), optim=OptimConfig(epochs=1, batch_windows=1)))
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
    again = Windows(rows, plan, encoder, mask=0.5, seed=1)[0]["input_ids"]
    assert np.array_equal(masked["input_ids"], again)
    assert not np.array_equal(masked["input_ids"], Windows(rows, plan, encoder, mask=0.5, seed=2)[0]["input_ids"])


def test_batches_are_padded_outside_attention_and_loss(encoder: Encoder) -> None:
    rows = tokenized([Page("a", ["one"], labels=["body"]), toy_pages(1)[0]], encoder, LABELS, 0.5)
    data = Windows(rows, evaluation_plan(rows, encoder), encoder)
    batch = collate([data[0], data[len(data) - 1]])
    for i, item in enumerate((data[0], data[len(data) - 1])):
        size = len(item["input_ids"])
        assert batch["attention_mask"][i].tolist() == [1] * size + [0] * (batch["input_ids"].shape[1] - size)
        for name in ("input_ids", "features", "labels", "weights"):
            assert np.array_equal(batch[name][i, :size].numpy(), item[name])
    short = int(batch["attention_mask"][0].sum())
    assert short < batch["input_ids"].shape[1]
    assert (batch["labels"][0, short:] == IGNORED).all()
    assert not batch["weights"][0, short:].any()
    assert batch["features"].dtype == torch.float32
    assert not batch["features"][0, short:].any()
