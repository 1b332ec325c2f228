"""The fast model from training to labels."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import toy_pages, write_pages

pytest.importorskip("torch")

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pagelabel import BundleError, Labeler
from pagelabel.check import check_bundle
from pagelabel.cli import main
from pagelabel.data.page import Page
from pagelabel.export.fast import export_fast, torch_logits
from pagelabel.export.writing import ExportError
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.model.bundle import HIERARCHICAL, read_bundle
from pagelabel.training import fast as module
from pagelabel.training.fast import train_fast
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.fast_parts import epoch_parts
from pagelabel.training.fast_state import load_fast
from pagelabel.training.pages import load_pages


def test_dev_files_of_one_name_are_refused(fast_config: Path, tmp_path: Path) -> None:
    config = load_fast_config(fast_config)
    twice = replace(config, data=replace(config.data, dev=(*config.data.dev, str(tmp_path / "dev.other.jsonl"))))
    write_pages(tmp_path / "dev.other.jsonl", toy_pages()[:2])
    with pytest.raises(ValueError, match="two files have one name up to its first dot"):
        train_fast(twice, tmp_path / "run")


def test_sentences_give_a_first_stage(fast_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["skip to content", "donate to our newsroom", "read next : harvest fair opens"]
    features = datasets.Features({"text": datasets.Value("string"), "vector": datasets.List(datasets.Value("float16"))})
    vectors = np.eye(3, 4).tolist()
    datasets.Dataset.from_dict({"text": texts, "vector": vectors}, features=features).to_parquet(
        str(tmp_path / "sentences.parquet")
    )
    toml = fast_config.read_text().replace('"train.jsonl"', json.dumps(str(fast_config.parent / "train.jsonl")))
    toml = toml.replace('"dev.jsonl"', json.dumps(str(fast_config.parent / "dev.jsonl")))
    toml = 'sentences = "sentences.parquet"\n' + toml.replace("epochs = 40", "epochs = 1\nsentence_epochs = 2")
    (tmp_path / "first.toml").write_text(toml)
    network, _, info = load_fast(train_fast(load_fast_config(tmp_path / "first.toml"), tmp_path / "run"))
    assert capsys.readouterr().err.count("first stage: ") == 2
    assert info["training"]["sentences"] == str(tmp_path / "sentences.parquet")
    assert all(torch.isfinite(weight).all() for weight in network.parameters())


def test_it_learns_the_toy_pages(fast_bundle: Path) -> None:
    pages = toy_pages()[18:]
    assert [page.labels for page in Labeler.load(fast_bundle).label_pages(pages)] == [page.labels for page in pages]
    assert read_bundle(fast_bundle).network == HIERARCHICAL
    assert read_bundle(fast_bundle).provenance["metrics"]["dev.jsonl"]["macro_f1"] == 1.0


def test_the_graphs_tell_no_path_of_the_machine(fast_bundle: Path) -> None:
    for name in ("paragraphs.onnx", "page.onnx"):
        assert b".py" not in (fast_bundle / name).read_bytes()


def test_the_same_seed_gives_the_same_weights(fast_config: Path, fast_checkpoint: Path, tmp_path: Path) -> None:
    again = train_fast(load_fast_config(fast_config), tmp_path / "again")
    first, second = (load_fast(folder)[0].state_dict() for folder in (fast_checkpoint, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    fast_config: Path, fast_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = load_fast_config(fast_config), tmp_path / "run"
    with pytest.raises(ValueError, match="no training run to resume"):
        train_fast(config, run, resume=True)

    def stopping(rows: Any, config: Any, epoch: int) -> Any:
        if epoch == 15:  # before the first evaluation
            raise KeyboardInterrupt
        return epoch_parts(rows, config, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(module, "epoch_parts", stopping)
        with pytest.raises(KeyboardInterrupt):
            train_fast(config, run)
    with pytest.raises(ValueError, match="use --resume"):
        train_fast(config, run)
    with pytest.raises(ValueError, match="other settings"):
        train_fast(replace(config, seed=4), run, resume=True)
    resumed = load_fast(train_fast(config, run, resume=True))[0].state_dict()
    whole = load_fast(fast_checkpoint)[0].state_dict()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert [file.name for file in run.iterdir() if ".tmp" in file.name] == []


def test_a_run_of_before_layers_read_neighbours_goes_on(fast_config: Path, tmp_path: Path) -> None:
    config, run = load_fast_config(fast_config), tmp_path / "run"
    config = replace(config, sizes=replace(config.sizes, local=False), optim=replace(config.optim, epochs=1))
    train_fast(config, run)
    file = run / "state.safetensors"
    with safe_open(str(file), framework="pt") as stored:
        tensors, metadata = {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata()  # noqa: SIM118
    settings = json.loads(metadata["config"])
    del settings["sizes"]["local"]
    save_file(tensors, str(file), {**metadata, "config": json.dumps(settings)})
    assert train_fast(config, run, resume=True) == run / "best"
    with pytest.raises(ValueError, match="other settings"):
        train_fast(replace(config, sizes=replace(config.sizes, local=True)), run, resume=True)


def test_pages_that_are_held_out_are_kept_for_export(fast_config: Path, tmp_path: Path) -> None:
    config = load_fast_config(fast_config)
    data = replace(config.data, dev=(), dev_share=0.3)
    run = train_fast(replace(config, data=data, optim=replace(config.optim, epochs=20)), tmp_path / "run")
    held = load_pages([str(tmp_path / "run" / "dev.jsonl")], config.labels)
    assert 0 < len(held) < 18
    provenance = read_bundle(export_fast(run, tmp_path / "bundle")).provenance
    assert list(provenance["metrics"]) == ["dev.jsonl"]
    assert str(tmp_path) not in json.dumps(provenance)


def test_a_run_that_does_not_go_on_keeps_the_pages_that_it_held_out(fast_config: Path, tmp_path: Path) -> None:
    config = load_fast_config(fast_config)
    optim = replace(config.optim, epochs=1, evaluations=1)
    config = replace(config, data=replace(config.data, dev=(), dev_share=0.3), optim=optim)
    train_fast(config, tmp_path / "run")
    held = (tmp_path / "run" / "dev.jsonl").read_bytes()
    with pytest.raises(ValueError, match="other settings"):
        train_fast(replace(config, data=replace(config.data, dev_share=0.6)), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "dev.jsonl").read_bytes() == held


def test_a_run_does_not_go_on_with_other_data(fast_config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(fast_config.parent, folder)
    config = load_fast_config(folder / fast_config.name)
    config = replace(config, optim=replace(config.optim, epochs=1, evaluations=1))
    run = train_fast(config, tmp_path / "run").parent
    write_pages(folder / "train.jsonl", toy_pages()[:12])
    with pytest.raises(ValueError, match=r"train\.jsonl has changed since the run was started"):
        train_fast(config, run, resume=True)


@pytest.mark.parametrize(
    ("part", "values", "words"),
    [
        ("optim", {"evaluations": 0}, "evaluations should be at least 1"),
        ("optim", {"epochs": 0}, "epochs should be at least 1"),
        ("optim", {"class_weights": (1.0, 2.0)}, "2 numbers for 5 labels"),
        ("augment", {"swap_furniture": 7.0}, "swap_furniture should be from 0 to 1"),
        ("sizes", {"layers": 0}, "layers should be at least 1"),
        ("sizes", {"heads": 3}, "sizes.size is 32, which is no multiple of sizes.heads, 3"),
        ("words", {"about": ("url", "title")}, "about should be some of"),
        ("data", {"corrections": "gone.jsonl"}, "data.corrections: gone.jsonl: no such file"),
        ("data", {"dev": ("gone.jsonl",)}, "gone.jsonl: no such file"),
        ("data", {"train": ()}, "data.train names no files"),
    ],
)
def test_settings_that_give_no_model_are_refused(
    fast_config: Path, tmp_path: Path, part: str, values: dict[str, Any], words: str
) -> None:
    config = load_fast_config(fast_config)
    with pytest.raises(ValueError, match=words):
        train_fast(replace(config, **{part: replace(getattr(config, part), **values)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_graphs_give_the_logits_of_torch(fast_bundle: Path, fast_checkpoint: Path) -> None:
    network, words, _ = load_fast(fast_checkpoint)
    labeler = Labeler.load(fast_bundle, threads=1)
    for paragraphs in (toy_pages(1)[0].paragraphs, ["Menu"], ["", "Donate"], [f"Menu {i}" for i in range(1000)]):
        page = Page("p", paragraphs, "https://www.example.com/news", extra={"title": "The bridge"})
        given, expected = labeler.logits(page), torch_logits(network, words, page)
        assert given.shape == expected.shape
        assert np.abs(given - expected).max() < 0.2


def test_logits_do_not_depend_on_what_is_read_beside(fast_bundle: Path) -> None:
    pages = [*toy_pages(20), Page("one", ["Menu"]), Page("long", ["x"] * 900)]
    model = Labeler.load(fast_bundle, threads=1, cache=0).model
    together = model.logits(pages)
    for page, logits in zip(pages, together, strict=True):
        assert np.array_equal(model.logits([page])[0], logits)


def test_the_cache_changes_nothing_but_the_work(fast_bundle: Path) -> None:
    pages = toy_pages(20)
    plain = Labeler.load(fast_bundle, threads=1, cache=0).model.logits(pages)
    model = Labeler.load(fast_bundle, threads=1, cache=6).model
    assert isinstance(model, HierarchicalModel)
    for _ in range(2):
        found = [model.logits([page])[0] for page in pages]
        assert all(np.array_equal(a, b) for a, b in zip(found, plain, strict=True))
    assert model.hits > 0
    assert len(model._young) + len(model._old) <= 7


def test_a_bundle_checks_itself(fast_bundle: Path) -> None:
    check = check_bundle(fast_bundle)
    assert check.problems == ()
    assert check.agreement > 0.97


@pytest.mark.parametrize("name", ["paragraphs.onnx", "page.onnx", "words.txt"])
def test_a_changed_file_is_refused_by_name(fast_bundle: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(fast_bundle, tmp_path / "copy"))
    with (copy / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=name):
        Labeler.load(copy)


def test_it_labels_from_the_command_line(fast_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = toy_pages(1)[0]
    (tmp_path / "page.txt").write_text("\n".join(page.paragraphs))
    assert main(["label", "--model", str(fast_bundle), str(tmp_path / "page.txt")]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == page.labels
    assert main(["info", str(fast_bundle)]) == 0
    assert "hierarchical" in capsys.readouterr().out


def test_from_a_config_to_a_pair_on_the_command_line(
    fast_config: Path, fast_checkpoint: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = fast_config.parent
    (tmp_path / "mine.toml").write_text(
        f"""base = {json.dumps(str(fast_checkpoint))}
[data]
train = [{json.dumps(str(data / "train.jsonl"))}]
dev = [{json.dumps(str(data / "dev.jsonl"))}]
[optim]
epochs = 1
rate = 1e-6
"""
    )
    run, bundle, pair = (str(tmp_path / name) for name in ("run", "bundle", "pair"))
    assert main(["train", "--config", str(tmp_path / "mine.toml"), "-o", run]) == 0
    assert capsys.readouterr().out == f"{run}/best\n"
    assert main(["export", f"{run}/best", "-o", bundle]) == 0
    assert read_bundle(bundle).provenance["parity"]["from_bundle"] is False
    # A bundle's decisions can be fitted to other pages, without training.
    again = str(tmp_path / "again")
    assert main(["export", bundle, "--dev", str(data / "train.jsonl"), "-o", again]) == 0
    assert list(read_bundle(again).provenance["metrics"]) == ["train.jsonl"]
    card = (Path(again) / "README.md").read_text()
    assert "pagelabel export model/fast --dev train.jsonl -o another" in card
    assert "The weights are those of an int8 bundle." in card
    assert check_bundle(again).problems == ()
    assert main(["pair", str(tiny_bundle), again, "--dev", str(data / "dev.jsonl"), "--cost", "0.5", "-o", pair]) == 0
    assert "--cost 0.5" in (Path(pair) / "README.md").read_text()
    assert Labeler.load(pair).config.network == "pair"


def test_pages_without_labels_cannot_be_exported_on(fast_checkpoint: Path, tmp_path: Path) -> None:
    dev = write_pages(tmp_path / "dev.jsonl", [])
    with pytest.raises(ExportError, match="no labelled pages"):
        export_fast(fast_checkpoint, tmp_path / "out", dev=[dev])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seed = 'x'", "seed"),
        ("[sizes]\nlayer = 2", "layer"),
        ("x = 1", "'x'"),
        ("[data]\ntrain = ['no*.jsonl']", "no.\\.jsonl"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "c.toml").write_text(line)
    with pytest.raises(ValueError, match=rf"c\.toml.*{words}"):
        load_fast_config(tmp_path / "c.toml")
