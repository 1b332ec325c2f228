import shutil
from pathlib import Path

import pytest
import torch
from conftest import toy_pages

from pagelabel.model.checkpoint import Checkpoint, is_checkpoint, load_checkpoint, load_info, save_checkpoint
from pagelabel.model.encoding import Encoder
from pagelabel.model.labels import LABELS

FILES = ("model.safetensors", "checkpoint.json", "tokenizer.json")


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "copy")


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    encoder = Encoder(checkpoint.tokenizer, checkpoint.encoding)
    (window, *_) = encoder.windows(toy_pages(1)[0])
    with torch.inference_mode():
        out = checkpoint.network(torch.from_numpy(window.ids[None]), torch.from_numpy(window.features[None]))
    return out[0, torch.from_numpy(window.markers)]


def test_a_checkpoint_survives_a_round_trip(tiny_checkpoint: Path, tmp_path: Path) -> None:
    first = load_checkpoint(tiny_checkpoint)
    save_checkpoint(tmp_path / "runs" / "best", first)
    second = load_checkpoint(tmp_path / "runs" / "best")
    assert second.info == first.info == load_info(tiny_checkpoint)
    assert second.labels == LABELS
    assert second.encoding == first.encoding
    assert torch.equal(logits(second), logits(first))


def test_a_loaded_network_is_ready_to_label(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    assert not checkpoint.network.training
    given = [LABELS[i] for i in logits(checkpoint).argmax(-1)]
    gold = toy_pages(1)[0].labels or []
    assert sum(a == b for a, b in zip(given, gold, strict=False)) >= len(given) - 1


def test_attention_is_a_matter_of_speed(tiny_checkpoint: Path) -> None:
    fused, eager = load_checkpoint(tiny_checkpoint), load_checkpoint(tiny_checkpoint)
    eager.network.encoder.set_attn_implementation("eager")
    assert eager.network.encoder.config._attn_implementation == "eager"
    assert torch.allclose(logits(fused), logits(eager), atol=1e-5)


def test_an_older_checkpoint_is_replaced_and_nothing_else_is_left(copy: Path) -> None:
    checkpoint = load_checkpoint(copy)
    (copy / "stray").write_text("old")
    save_checkpoint(copy, Checkpoint(checkpoint.network, checkpoint.tokenizer, {**checkpoint.info, "seconds": -1}))
    assert load_info(copy)["seconds"] == -1
    assert {file.name for file in copy.iterdir()} == set(FILES)
    assert [file.name for file in copy.parent.iterdir()] == ["copy"]


def test_a_save_that_fails_leaves_the_checkpoint_before_it(copy: Path) -> None:
    checkpoint = load_checkpoint(copy)
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    with pytest.raises(TypeError, match="JSON"):
        save_checkpoint(copy, Checkpoint(checkpoint.network, checkpoint.tokenizer, {"labels": object()}))
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_checkpoint(copy)
    assert is_checkpoint(copy) is (name != "checkpoint.json")


def test_weights_of_another_network_are_refused_by_name(copy: Path) -> None:
    file = copy / "checkpoint.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"donation"', '"donation", "other"', 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"model\.safetensors: does not fit checkpoint\.json"):
        load_checkpoint(copy)


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_weights_that_were_cut_off_are_refused_by_name(copy: Path, size: int) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        load_checkpoint(copy)


def test_another_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert not is_checkpoint(tmp_path)
    assert not is_checkpoint("all-MiniLM-L6-v2")
    with pytest.raises(FileNotFoundError, match="not a checkpoint"):
        load_checkpoint(tmp_path)
