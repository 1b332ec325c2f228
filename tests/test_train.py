import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import toy_pages, write_pages
from safetensors.torch import load_file
from transformers import EarlyStoppingCallback, TrainingArguments

from pagelabel.data.page import Page
from pagelabel.model.checkpoint import load_checkpoint, load_info
from pagelabel.model.network import load_base
from pagelabel.training.config import (
    AugmentConfig,
    DataConfig,
    OptimConfig,
    TrainingConfig,
    load_config,
)
from pagelabel.training.examples import IGNORED
from pagelabel.training.run_folder import digests
from pagelabel.training.train import PageTrainer, train


@pytest.fixture(scope="module")
def short(toy_config: Path) -> TrainingConfig:
    config = load_config(toy_config)
    return replace(config, optim=replace(config.optim, epochs=2, evaluations=2))


@pytest.fixture(scope="module")
def undisturbed(short: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return weights(train(short, tmp_path_factory.mktemp("undisturbed") / "run"))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(str(run / "model.safetensors"))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_the_toy_pages(tiny_checkpoint: Path) -> None:
    info = load_info(tiny_checkpoint)
    assert info["metrics"]["macro_f1"] > 0.9
    assert info["pages"] == {"train": 18, "dev": 6}
    assert set(info["data"]) == {"train.jsonl", "dev.jsonl"}
    assert info["training"]["seed"] == 3


def test_the_best_weights_of_the_run_are_kept(tiny_checkpoint: Path) -> None:
    step = int(load_info(tiny_checkpoint)["metrics"]["step"])
    assert same(weights(tiny_checkpoint), weights(tiny_checkpoint.parent / "state" / f"checkpoint-{step}"))


def test_the_settings_are_stored_with_run_and_checkpoint(tiny_checkpoint: Path, toy_config: Path) -> None:
    settings = json.loads(json.dumps(load_config(toy_config).to_dict()))
    assert load_info(tiny_checkpoint)["training"] == settings
    stored = json.loads((tiny_checkpoint.parent / "config.json").read_text(encoding="utf-8"))
    assert stored.pop("data_sha256") == digests(load_config(toy_config).data)
    assert stored == settings


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    short: TrainingConfig, undisturbed: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    assert same(undisturbed, weights(train(short, tmp_path / "again")))
    assert not same(undisturbed, weights(train(replace(short, seed=4), tmp_path / "other")))


def stop_at(event: str, count: int) -> Callable[..., None]:
    """A callback that ends training at the `count`th time that `event` comes, as a kill would."""
    calls = itertools.count(1)

    def callback(*_: object, **__: object) -> None:
        if next(calls) == count:
            raise KeyboardInterrupt(event)

    return callback


def stopped(config: TrainingConfig, run: Path, event: str, count: int = 1) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EarlyStoppingCallback, event, stop_at(event, count))
        with pytest.raises(KeyboardInterrupt, match=event):
            train(config, run)
    assert not (run / "best").exists()


@pytest.mark.parametrize("event", ["on_save", "on_train_begin"])
def test_a_run_stopped_half_way_or_before_its_first_state_goes_on_to_the_same_weights(
    short: TrainingConfig, undisturbed: dict[str, torch.Tensor], tmp_path: Path, event: str
) -> None:
    stopped(short, tmp_path / "run", event)
    assert bool(list((tmp_path / "run" / "state").glob("checkpoint-*"))) is (event == "on_save")
    assert same(undisturbed, weights(train(short, tmp_path / "run", resume=True)))


def test_a_state_that_was_cut_off_while_it_was_saved_is_passed_over(
    short: TrainingConfig, undisturbed: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    stopped(short, tmp_path / "run", "on_save")
    cut = tmp_path / "run" / "state" / "checkpoint-9999"
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    assert same(undisturbed, weights(train(short, tmp_path / "run", resume=True)))


def test_early_stopping_waits_as_long_in_a_run_that_was_resumed(short: TrainingConfig, tmp_path: Path) -> None:
    optim = replace(short.optim, epochs=4, evaluations=100, patience=2, encoder_rate=1e-9, head_rate=1e-9)
    config = replace(short, optim=optim)
    stopped(config, tmp_path / "run", "on_save", 2)
    train(config, tmp_path / "run", resume=True)
    assert sorted(folder.name for folder in (tmp_path / "run" / "state").glob("checkpoint-*")) == [
        "checkpoint-1",
        "checkpoint-3",
    ]


def test_a_folder_holds_one_run(short: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training run to resume"):
        train(short, tmp_path / "run", resume=True)
    train(replace(short, optim=replace(short.optim, epochs=1, evaluations=1)), tmp_path / "run")
    with pytest.raises(ValueError, match="--resume"):
        train(short, tmp_path / "run")
    with pytest.raises(ValueError, match="other settings"):
        train(short, tmp_path / "run", resume=True)


def test_missing_pages_are_named(short: TrainingConfig, tmp_path: Path) -> None:
    config = replace(short, data=DataConfig(train=(str(tmp_path / "gone.jsonl"),)))
    with pytest.raises(ValueError, match=r"gone\.jsonl: no such file"):
        train(config, tmp_path / "run")


def test_a_run_that_could_not_start_leaves_its_folder_free(short: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        train(replace(short, data=DataConfig(train=("gone.jsonl",))), tmp_path / "run")
    unlabelled = write_pages(tmp_path / "unlabelled.jsonl", [Page("p", ["One"])])
    with pytest.raises(ValueError, match="has no labels"):
        train(replace(short, data=replace(short.data, train=(unlabelled,))), tmp_path / "run")
    with pytest.raises(ValueError, match=r"nothing to learn from: data\.train names no files"):
        train(replace(short, data=replace(short.data, train=())), tmp_path / "run")
    with pytest.raises(ValueError, match=r"encoding\.window_tokens is 4096, the encoder has \d+ positions"):
        train(replace(short, encoding=replace(short.encoding, window_tokens=4096)), tmp_path / "run")
    train(replace(short, optim=replace(short.optim, epochs=1, evaluations=1)), tmp_path / "run")


def test_a_folder_of_pages_is_learnt_from_and_no_run_goes_on_when_it_has_changed(
    short: TrainingConfig, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    write_pages(tmp_path / "pages" / "a.jsonl", toy_pages())
    config = replace(short, data=replace(short.data, train=(str(tmp_path / "pages"),)))
    config = replace(config, optim=replace(short.optim, epochs=1, evaluations=1))
    assert "a.jsonl" in load_info(train(config, tmp_path / "run"))["data"]
    write_pages(tmp_path / "pages" / "a.jsonl", toy_pages()[:20])
    with pytest.raises(ValueError, match=r"a\.jsonl has changed since the run was started"):
        train(config, tmp_path / "run", resume=True)


def test_paragraphs_in_doubt_teach_as_much_as_their_weight(short: TrainingConfig, tmp_path: Path) -> None:
    def run(name: str, label: str, doubt_weight: float) -> dict[str, torch.Tensor]:
        pages = [
            replace(page, labels=[label, *(page.labels or [])[1:]], extra={**page.extra, "doubt": [0]})
            for page in toy_pages()[:18]
        ]
        file = write_pages(tmp_path / f"{name}.jsonl", pages)
        config = replace(
            short,
            data=replace(short.data, train=(file,)),
            augment=AugmentConfig(crop=0, strip_furniture=0, only_furniture=0, skip_uniform=0, repeat_rare=0),
            optim=replace(short.optim, epochs=1, evaluations=1, doubt_weight=doubt_weight),
        )
        return weights(train(config, tmp_path / name))

    assert same(run("promo", "promo", 0.0), run("teaser", "teaser", 0.0))
    assert not same(run("promo-half", "promo", 0.5), run("teaser-half", "teaser", 0.5))


class Fixed(torch.nn.Module):
    """A network that gives these logits whatever it reads."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, *_: torch.Tensor) -> torch.Tensor:
        return self.logits


def trainer(config: TrainingConfig, model: torch.nn.Module, folder: Path) -> PageTrainer:
    return PageTrainer(config, model=model, args=TrainingArguments(str(folder), use_cpu=True, report_to=[]))


def test_the_loss_is_the_mean_over_markers_weighted_by_doubt_and_class(tmp_path: Path) -> None:
    optim = OptimConfig(class_weights=(1.0, 3.0), label_smoothing=0.0)
    config = TrainingConfig(labels=("keep", "drop"), augment=AugmentConfig(repeat_rare=0), optim=optim)
    logits = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [9.0, -9.0]]])
    inputs = {
        "input_ids": torch.zeros(1, 4),
        "features": torch.zeros(1, 4, 1),
        "attention_mask": torch.ones(1, 4),
        "labels": torch.tensor([[0, 1, 0, IGNORED]]),
        "weights": torch.tensor([[1.0, 1.0, 0.5, 7.0]]),
    }
    loss = trainer(config, Fixed(logits), tmp_path).compute_loss(Fixed(logits), inputs)
    each = [math.log(2), math.log(1 + math.exp(2)), math.log(1 + math.exp(1))]
    assert loss.item() == pytest.approx((each[0] + 3 * each[1] + 0.5 * each[2]) / 4.5, rel=1e-5)


def test_new_layers_learn_at_their_own_rate_and_vectors_do_not_decay(short: TrainingConfig, tmp_path: Path) -> None:
    config = replace(short, optim=replace(short.optim, encoder_rate=1e-5, head_rate=1e-3, weight_decay=0.1))
    network = load_base(short.base, len(short.labels))
    groups = trainer(config, network, tmp_path).create_optimizer().param_groups
    settings = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    expected = {
        id(p): (1e-5 if name.startswith("encoder.") else 1e-3, 0.1 if p.ndim > 1 else 0.0)
        for name, p in network.named_parameters()
    }
    assert settings == expected


def test_without_dev_pages_sites_are_held_out(short: TrainingConfig, tmp_path: Path) -> None:
    data = replace(short.data, dev=(), dev_share=0.2)
    best = train(replace(short, data=data, optim=OptimConfig(epochs=1, evaluations=1)), tmp_path / "run")
    info = load_info(best)
    pages = info["pages"]
    assert pages["dev"] >= 3
    assert pages["train"] + pages["dev"] == 18
    assert info["dev"] == [str(tmp_path / "run" / "dev.jsonl")]
    assert len(Path(info["dev"][0]).read_text(encoding="utf-8").splitlines()) == pages["dev"]


def test_other_labels_and_a_start_from_a_checkpoint(short: TrainingConfig, tmp_path: Path) -> None:
    def keep_or_drop(page: Page) -> Page:
        return replace(page, labels=["keep" if label in ("body", "quote") else "drop" for label in page.labels or ()])

    file = write_pages(tmp_path / "pages.jsonl", [keep_or_drop(page) for page in toy_pages()])
    config = TrainingConfig(
        base=short.base,
        labels=("keep", "drop"),
        encoding=short.encoding,
        data=DataConfig(train=(file,), dev_share=0.2),
        augment=AugmentConfig(repeat_rare=0, rare_labels=()),
        optim=OptimConfig(epochs=2, evaluations=1, batch_windows=4, encoder_rate=3e-3, head_rate=3e-3),
    )
    first = train(config, tmp_path / "first")
    assert load_checkpoint(first).labels == ("keep", "drop")
    on = train(
        replace(config, base=str(first), optim=replace(config.optim, encoder_rate=1e-9, head_rate=1e-9)),
        tmp_path / "on",
    )
    assert load_info(on)["start"]["labels"] == ["keep", "drop"]
    assert all(
        torch.allclose(a, b, atol=1e-5) for a, b in zip(weights(first).values(), weights(on).values(), strict=True)
    )


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([Page("a", [], extra={"site": "a"}, labels=[])], "no page of data.train has paragraphs"),
        ([Page("a", ["x"], extra={"site": "a"}, labels=["body"])] * 2, "all pages are of one site: name data.dev"),
        (
            [Page(s, ["x"], extra={"site": s}, labels=["body"]) for s in "ab"],
            "all training paragraphs are labelled body",
        ),
    ],
)
def test_pages_that_teach_nothing_are_refused(
    short: TrainingConfig, tmp_path: Path, pages: list[Page], words: str
) -> None:
    file = write_pages(tmp_path / "pages.jsonl", pages)
    with pytest.raises(ValueError, match=words):
        train(replace(short, data=DataConfig(train=(file,))), tmp_path / "run")


def test_losses_go_to_stderr_and_labels_without_pages_are_told(
    short: TrainingConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [replace(page, labels=["body", *["promo"] * (len(page.paragraphs) - 1)]) for page in toy_pages()]
    file = write_pages(tmp_path / "pages.jsonl", pages)
    brief = replace(short, data=replace(short.data, train=(file,)), optim=replace(short.optim, epochs=1, evaluations=1))
    train(brief, tmp_path / "run")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert '"eval_macro_f1"' in captured.err
    assert "no paragraph of the training pages is labelled donation" in captured.err
