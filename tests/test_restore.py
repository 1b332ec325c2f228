import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from transformers import BertModel

from pagelabel import Labeler
from pagelabel.data.page import Page
from pagelabel.export.fast import write_graphs
from pagelabel.export.graph import write_graph, write_int8
from pagelabel.export.parity import torch_logits
from pagelabel.model.bundle import BundleError, shipped_bundle
from pagelabel.model.checkpoint import load_checkpoint, load_info
from pagelabel.model.encoding import Encoder
from pagelabel.model.hierarchical import HierarchicalNetwork
from pagelabel.model.network import load_base
from pagelabel.training.base import load_start
from pagelabel.training.config import EncodingSettings, load_config
from pagelabel.training.restore import dequantised, graph_weights, restored, restored_fast
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


def page_graph(network: HierarchicalNetwork, folder: Path) -> Any:
    folder.mkdir()
    write_graphs(network, folder)
    return onnx.load(folder / "page.onnx").graph


def test_weights_to_be_trained_are_moved_within_their_steps(fast_bundle: Path, tmp_path: Path) -> None:
    known, moved = (restored_fast(fast_bundle, dither)[0] for dither in (None, np.random.default_rng(1)))
    weights = known.state_dict()
    changed = [name for name, x in moved.state_dict().items() if not torch.equal(x, weights[name])]
    assert {name.removesuffix(".weight") for name in changed} >= {"paragraphs.words", "page.layers.0.up", "page.head"}
    # Which steps they stand on is as it was.
    before, after = onnx.load(fast_bundle / "page.onnx").graph, page_graph(moved, tmp_path / "moved")
    assert [x for x in before.initializer if "quantized" in x.name] == [
        x for x in after.initializer if "quantized" in x.name
    ]


def test_what_a_short_training_changes_is_not_lost(fast_bundle: Path, tmp_path: Path) -> None:
    name = "page.layers.0.up.weight"
    found = {}
    for dither in (None, np.random.default_rng(1)):
        network = restored_fast(fast_bundle, dither)[0]
        before = restored_fast(fast_bundle)[0].state_dict()[name]
        step = before.abs().amax(1, keepdim=True) / 63
        network.state_dict()[name].add_(0.2 * step * (before.abs() < 62.5 * step))
        graph = page_graph(network, tmp_path / str(dither is None))
        after = torch.from_numpy(graph_weights(graph, "reader.")[name.removeprefix("page.")])
        found[dither is None] = float(((after - before) / step).mean())
    assert found[True] == pytest.approx(0, abs=0.01)
    assert found[False] == pytest.approx(0.2, abs=0.03)


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
    start = load_start("accurate", ("keep", "drop"), None, 1)
    assert start.network.head.out_features == 2
    with pytest.raises(BundleError, match="hierarchical"):
        load_start("fast", ("keep", "drop"), None, 1)


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
