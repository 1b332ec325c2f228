import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel

from pagelabel import Labeler
from pagelabel.data.page import Page
from pagelabel.export.graph import write_graph, write_int8
from pagelabel.export.parity import torch_logits
from pagelabel.model.bundle import BundleError, shipped_bundle
from pagelabel.model.checkpoint import load_checkpoint, load_info
from pagelabel.model.encoding import Encoder
from pagelabel.model.network import load_base
from pagelabel.training.base import load_start
from pagelabel.training.config import EncodingSettings, load_config
from pagelabel.training.restore import dequantised, restored
from pagelabel.training.train import train


def test_the_weights_are_those_of_the_checkpoint_but_for_rounding(tiny_checkpoint: Path, tiny_bundle: Path) -> None:
    before, after = load_checkpoint(tiny_checkpoint), restored(tiny_bundle)
    assert after.labels == before.labels
    assert after.encoding == before.encoding
    assert after.tokenizer.to_str() == before.tokenizer.to_str()
    mine = after.network.state_dict()
    for name, weight in before.network.state_dict().items():
        # Seven bits a column, and eight for all of a table of vectors.
        torch.testing.assert_close(mine[name], weight, rtol=0, atol=float(weight.abs().max()) / 60 + 1e-6)


def test_it_labels_as_the_shipped_bundle_does() -> None:
    checkpoint = restored(shipped_bundle("accurate"))
    labeler = Labeler.load("accurate")
    encoder = Encoder(checkpoint.tokenizer, checkpoint.encoding)
    lines = (shipped_bundle("accurate") / "reference.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    pages = [
        Page(row["id"], row["paragraphs"], row.get("url"), extra={"title": row.get("title"), "link": row.get("link")})
        for row in rows
    ]
    theirs = np.concatenate([labeler.logits(page) for page in pages])
    mine = np.concatenate(
        [
            np.repeat(torch_logits(checkpoint.network, encoder, read), sizes, axis=0)
            for read, sizes in map(labeler.as_read, pages)
        ]
    )
    # int8 activations against fp32, as in `pagelabel check`.
    assert np.mean(mine.argmax(1) == theirs.argmax(1)) > 0.97


def test_training_goes_on_from_a_bundle(toy_config: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    config = load_config(toy_config)
    config = replace(config, base=str(tiny_bundle), optim=replace(config.optim, epochs=1, evaluations=1))
    info = load_info(train(config, tmp_path / "on"))
    assert info["start"]["training"]["name"] == "toy"
    assert info["metrics"]["macro_f1"] > 0.8
    # What the config leaves open is as the start was trained with.
    unset = replace(config, encoding=EncodingSettings(head_tokens=9))
    encoding = load_info(train(unset, tmp_path / "unset"))["encoding"]
    assert encoding == {**info["encoding"], "head_tokens": 9}


def test_a_shipped_model_is_a_base_by_its_name() -> None:
    start = load_start("accurate", ("keep", "drop"), None)
    assert start.network.head.out_features == 2
    with pytest.raises(BundleError, match="hierarchical"):
        load_start("fast", ("keep", "drop"), None)


def test_bundles_that_cannot_be_gone_on_from_say_why(tiny_bundle: Path, tmp_path: Path) -> None:
    def changed(name: str, **encoder: object) -> Path:
        folder = Path(shutil.copytree(tiny_bundle, tmp_path / name))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        checkpoint = config["provenance"]["checkpoint"]
        checkpoint["encoder"] |= encoder
        if not encoder:
            del checkpoint["encoder"]
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder

    with pytest.raises(BundleError, match="export it anew"):
        restored(changed("old"))
    with pytest.raises(BundleError, match="does not fit the encoder"):
        restored(changed("other", intermediate_size=32))
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "cut"))
    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match="sha256"):
        restored(folder)


class _Vectors(torch.nn.Module):
    """An encoder as embedding packages export it."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.embeddings, self.encoder = encoder.embeddings, encoder.encoder

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embeddings(input_ids)
        for layer in self.encoder.layer:
            hidden = layer(hidden)
        return hidden


def test_an_encoder_that_a_package_carries_in_int8_is_one_to_train_on(tiny_base: Path, tmp_path: Path) -> None:
    packaged = Path(shutil.copytree(tiny_base, tmp_path / "packaged"))
    (packaged / "model.safetensors").unlink()
    before = BertModel.from_pretrained(tiny_base, add_pooling_layer=False, attn_implementation="eager")
    with torch.no_grad():
        # As trained ones are: vectors that are all zeros or ones are stored once in a graph.
        for weight in before.parameters():
            weight += torch.randn_like(weight) * 0.1
    ids = torch.arange(5, 17)[None]
    tokens = torch.export.Dim("tokens", min=2, max=64)
    write_graph(_Vectors(before), (ids,), packaged / "fp32.onnx", "vectors", {"input_ids": {1: tokens}})
    write_int8(packaged / "fp32.onnx", packaged / "model.onnx")

    after = load_base(str(dequantised(packaged)), 5).encoder
    for name, weight in before.state_dict().items():
        torch.testing.assert_close(
            after.state_dict()[name], weight, rtol=0, atol=float(weight.abs().max()) / 60 + 1e-6, msg=name
        )
    with torch.no_grad():
        torch.testing.assert_close(after(ids).last_hidden_state, before(ids).last_hidden_state, rtol=0, atol=0.05)
