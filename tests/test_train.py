import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import toy_pages, write_pages
from safetensors.torch import load_file
from transformers import EarlyStoppingCallback

from pagelabel.data.page import Page
from pagelabel.model.checkpoint import load_checkpoint, load_info
from pagelabel.training.config import AugmentConfig, DataConfig, OptimConfig, TrainingConfig, load_config
from pagelabel.training.train import train


@pytest.fixture
def short(toy_config: Path) -> TrainingConfig:
    config = load_config(toy_config)
    return replace(config, optim=replace(config.optim, epochs=2, evaluations=2))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(str(run / "model.safetensors"))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_the_toy_pages(tiny_checkpoint: Path) -> None:
    info = load_info(tiny_checkpoint)
    assert info["metrics"]["macro_f1"] > 0.9
    assert info["pages"] == {"train": 18, "dev": 6}
    assert set(info["data"]) == {"train.jsonl", "dev.jsonl"}
    assert info["training"]["seed"] == 3


def test_the_same_seed_gives_the_same_weights_and_another_does_not(short: TrainingConfig, tmp_path: Path) -> None:
    first = weights(train(short, tmp_path / "a"))
    assert same(first, weights(train(short, tmp_path / "b")))
    assert not same(first, weights(train(replace(short, seed=4), tmp_path / "c")))


def stop(*_: object, **__: object) -> None:
    """Ends training right after a state is saved, as a kill would."""
    raise KeyboardInterrupt


def test_a_run_stopped_half_way_goes_on_to_the_same_weights(
    short: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = weights(train(short, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(EarlyStoppingCallback, "on_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(short, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "best").exists()
    assert same(undisturbed, weights(train(short, tmp_path / "stopped", resume=True)))


def test_a_folder_holds_one_run(short: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training run to resume"):
        train(short, tmp_path / "run", resume=True)
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    train(replace(short, optim=replace(short.optim, epochs=1, evaluations=1)), tmp_path / "run")
    with pytest.raises(ValueError, match="--resume"):
        train(short, tmp_path / "run")
    with pytest.raises(ValueError, match="other settings"):
        train(short, tmp_path / "run", resume=True)


def test_missing_pages_are_named(short: TrainingConfig, tmp_path: Path) -> None:
    config = replace(short, data=DataConfig(train=(str(tmp_path / "gone.jsonl"),)))
    with pytest.raises(ValueError, match=r"gone\.jsonl: no such file"):
        train(config, tmp_path / "run")


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
    with pytest.raises(ValueError, match="has the labels"):
        train(replace(config, base=str(first), labels=("drop", "keep")), tmp_path / "wrong")
