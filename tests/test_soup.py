import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pagelabel.model.checkpoint import load_checkpoint, save_checkpoint
from pagelabel.training.base import load_model
from pagelabel.training.config import load_config
from pagelabel.training.soup import mean_checkpoint, name_of
from pagelabel.training.train import train


def test_the_weights_are_the_mean(tiny_checkpoint: Path, tmp_path: Path) -> None:
    other = load_checkpoint(tiny_checkpoint)
    with torch.no_grad():
        for weight in other.network.parameters():
            weight.add_(1.0)
    save_checkpoint(tmp_path / "other", other)
    command = [sys.executable, "-m", "pagelabel.training.soup", str(tmp_path / "other"), str(tiny_checkpoint)]
    subprocess.run([*command, "-o", str(tmp_path / "soup")], check=True)
    first, soup = load_checkpoint(tiny_checkpoint), load_checkpoint(tmp_path / "soup")
    for name, weight in first.network.named_parameters():
        torch.testing.assert_close(soup.network.get_parameter(name), weight + 0.5)
    assert soup.info["averaged"] == [first.info["training"]["name"]]
    assert soup.encoding == first.encoding


def test_checkpoints_of_other_labels_are_refused(tiny_checkpoint: Path) -> None:
    first = load_checkpoint(tiny_checkpoint)
    other = replace(first, info={**first.info, "labels": ["a", "b"]})
    with pytest.raises(ValueError, match="labels differ"):
        mean_checkpoint([other, first])


def test_a_bundle_is_averaged_with_what_was_trained_from_it(
    toy_config: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    config = load_config(toy_config)
    config = replace(config, base=str(tiny_bundle), optim=replace(config.optim, epochs=1, evaluations=1))
    models = [load_model(str(tiny_bundle)), load_model(str(train(config, tmp_path / "run")))]
    weights = [[weight.detach().clone() for weight in model.network.parameters()] for model in models]
    for mean, first, second in zip(mean_checkpoint(models).network.parameters(), *weights, strict=True):
        torch.testing.assert_close(mean, (first + second) / 2)


def test_encoders_of_another_kind_are_refused(tiny_checkpoint: Path) -> None:
    first = load_checkpoint(tiny_checkpoint)
    other = replace(first, info={**first.info, "encoder": {**first.info["encoder"], "hidden_act": "relu"}})
    with pytest.raises(ValueError, match="differ in hidden_act"):
        mean_checkpoint([other, first])


def test_a_mean_of_means_is_called_by_its_number(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    mean = mean_checkpoint([checkpoint, load_checkpoint(tiny_checkpoint)])
    later = replace(checkpoint, info={**checkpoint.info, "start": mean.info})
    assert mean_checkpoint([mean, later]).info["averaged"] == ["soup"]
    assert name_of({**later.info, "averaged": ["soup"]}) == "soup-2"
