import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pagelabel import Labeler
from pagelabel.data.page import Page
from pagelabel.export.parity import torch_logits
from pagelabel.model.bundle import BundleError, shipped_bundle
from pagelabel.model.checkpoint import load_checkpoint, load_info
from pagelabel.model.encoding import Encoder
from pagelabel.training.base import load_start
from pagelabel.training.config import EncodingSettings, load_config
from pagelabel.training.restore import restored
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
    pages = [Page(row["id"], row["paragraphs"], row.get("url"), extra={"title": row.get("title")}) for row in rows]
    theirs = np.concatenate([labeler.logits(page) for page in pages])
    mine = np.concatenate([torch_logits(checkpoint.network, encoder, page) for page in pages])
    assert np.mean(mine.argmax(1) == theirs.argmax(1)) > 0.98


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
