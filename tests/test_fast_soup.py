"""Means of checkpoints of the fast model."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from pagelabel.export.fast import export_fast
from pagelabel.model.words import Words
from pagelabel.training.fast import train_fast
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.fast_soup import mean_fast
from pagelabel.training.fast_start import load_base
from pagelabel.training.fast_state import load_fast, save_fast


def test_the_mean_of_a_model_and_of_what_was_trained_from_it(
    fast_config: Path, fast_checkpoint: Path, fast_bundle: Path, tmp_path: Path
) -> None:
    config = load_fast_config(fast_config)
    linked = replace(config, words=replace(config.words, links=True), base=str(fast_checkpoint), name="linked")
    run = train_fast(replace(linked, optim=replace(config.optim, epochs=1)), tmp_path / "run")
    command = [
        sys.executable,
        "-m",
        "pagelabel.training.fast_soup",
        str(fast_checkpoint),
        str(fast_checkpoint),
        str(run),
    ]
    subprocess.run([*command, "-o", str(tmp_path / "soup" / "best")], check=True)
    (first, _, _), (second, words, _), (mean, found, info) = map(
        load_fast, (fast_checkpoint, run, tmp_path / "soup" / "best")
    )
    assert (found.vocabulary, found.config) == (words.vocabulary, words.config)
    assert info["averaged"] == ["toy", "toy"]
    for name, weight in first.state_dict().items():
        expected = 2 * torch.nn.functional.pad(weight, (0, 2)) if name == "page.features.0.weight" else 2 * weight
        torch.testing.assert_close(mean.state_dict()[name], (expected + second.state_dict()[name]) / 3)
    card = (export_fast(tmp_path / "soup" / "best", tmp_path / "bundle") / "README.md").read_text()
    assert "fast_soup runs/toy/best runs/toy/best runs/linked/best -o runs/mean/best" in card
    assert mean_fast([load_base(tmp_path / "soup" / "best"), load_base(run)]).info["averaged"] == ["mean"]
    # With one of before lines were joined.
    before = load_base(fast_checkpoint)
    apart = Words(before.words.vocabulary, replace(before.words.config, join_lines=False))
    assert mean_fast([before._replace(words=apart), load_base(run)]).words.config == words.config
    # The best checkpoint of a run and its last one.
    both = mean_fast([load_base(run), load_base(run.with_name("last"))])
    assert both.info["averaged"] == ["linked"]
    assert both.info["last"]
    save_fast(tmp_path / "both" / "best", both.network, both.words, both.info)
    card = (export_fast(tmp_path / "both" / "best", tmp_path / "bundle") / "README.md").read_text()
    assert "fast_soup runs/linked/best runs/linked/last -o runs/mean/best" in card
    card = (export_fast(run.with_name("last"), tmp_path / "bundle") / "README.md").read_text()
    assert "pagelabel export runs/linked/last -o" in card
    other = replace(config.sizes, size=2 * config.sizes.size)
    wider = train_fast(
        replace(config, sizes=other, optim=replace(config.optim, epochs=1, evaluations=1)), tmp_path / "wider"
    )
    with pytest.raises(ValueError, match="their sizes differ"):
        mean_fast([load_base(wider), load_base(fast_bundle)])
