"""The fast model from training to labels."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import TINY_SIZES, toy_pages, toy_views, write_pages

pytest.importorskip("torch")

import torch

from pagelabel import BundleError, Labeler
from pagelabel.check import check_bundle
from pagelabel.cli import main
from pagelabel.data.page import Page
from pagelabel.export.fast import export_fast, torch_logits
from pagelabel.export.writing import ExportError
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.model.bundle import HIERARCHICAL, read_bundle, shipped_bundle
from pagelabel.model.features import FEATURE_NAMES, LINK_FEATURES
from pagelabel.training import fast as module
from pagelabel.training.fast import train_fast
from pagelabel.training.fast_config import load_fast_config
from pagelabel.training.fast_examples import Noise, Rows, epoch_parts, furniture_runs, learn_words, swapped
from pagelabel.training.fast_soup import mean_fast
from pagelabel.training.fast_start import load_base
from pagelabel.training.fast_state import load_fast
from pagelabel.training.pages import load_pages
from pagelabel.training.restore import restored_fast


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    folder = tmp_path_factory.mktemp("fast")
    pages = toy_pages()
    for page in pages[:6]:
        # As a teacher gives them.
        one_hot = np.eye(5)[[(["body", "quote", "promo", "teaser", "donation"]).index(x) for x in page.labels or ()]]
        page.extra["probabilities"] = (0.9 * one_hot + 0.02).tolist()
        page.extra["weights"] = [0.9] * len(page.paragraphs)
    write_pages(folder / "train.jsonl", pages[:18])
    write_pages(folder / "dev.jsonl", pages[18:])
    (folder / "toy.toml").write_text(
        f"""seed = 3
teacher = {json.dumps(str(tiny_checkpoint))}
[data]
train = ["train.jsonl"]
dev = ["dev.jsonl"]
[words]
least = 1
about = ["title", "url"]
{TINY_SIZES}[optim]
epochs = 40
batch_paragraphs = 60
rate = 1e-2
evaluations = 2
"""
    )
    return folder / "toy.toml"


@pytest.fixture(scope="module")
def checkpoint(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_fast(load_fast_config(config_file), tmp_path_factory.mktemp("runs") / "fast")


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_fast(checkpoint, tmp_path_factory.mktemp("bundles") / "fast")


def test_dev_files_of_one_name_are_refused(config_file: Path, tmp_path: Path) -> None:
    config = load_fast_config(config_file)
    twice = replace(config, data=replace(config.data, dev=(*config.data.dev, str(tmp_path / "dev.other.jsonl"))))
    write_pages(tmp_path / "dev.other.jsonl", toy_pages()[:2])
    with pytest.raises(ValueError, match="two files have one name up to its first dot"):
        train_fast(twice, tmp_path / "run")


def test_sentences_give_a_first_stage(config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["skip to content", "donate to our newsroom", "read next : harvest fair opens"]
    features = datasets.Features({"text": datasets.Value("string"), "vector": datasets.List(datasets.Value("float16"))})
    vectors = np.eye(3, 4).tolist()
    datasets.Dataset.from_dict({"text": texts, "vector": vectors}, features=features).to_parquet(
        str(tmp_path / "sentences.parquet")
    )
    toml = config_file.read_text().replace('"train.jsonl"', json.dumps(str(config_file.parent / "train.jsonl")))
    toml = toml.replace('"dev.jsonl"', json.dumps(str(config_file.parent / "dev.jsonl")))
    toml = 'sentences = "sentences.parquet"\n' + toml.replace("epochs = 40", "epochs = 1\nsentence_epochs = 2")
    (tmp_path / "first.toml").write_text(toml)
    network, _, info = load_fast(train_fast(load_fast_config(tmp_path / "first.toml"), tmp_path / "run"))
    assert capsys.readouterr().err.count("first stage: ") == 2
    assert info["training"]["sentences"] == str(tmp_path / "sentences.parquet")
    assert all(torch.isfinite(weight).all() for weight in network.parameters())


def test_it_learns_the_toy_pages(bundle: Path) -> None:
    pages = toy_pages()[18:]
    assert [page.labels for page in Labeler.load(bundle).label_pages(pages)] == [page.labels for page in pages]
    assert read_bundle(bundle).network == HIERARCHICAL
    assert read_bundle(bundle).provenance["metrics"]["dev.jsonl"]["macro_f1"] == 1.0


def test_the_graphs_tell_no_path_of_the_machine(bundle: Path) -> None:
    for name in ("paragraphs.onnx", "page.onnx"):
        assert b".py" not in (bundle / name).read_bytes()


def test_the_same_seed_gives_the_same_weights(config_file: Path, checkpoint: Path, tmp_path: Path) -> None:
    again = train_fast(load_fast_config(config_file), tmp_path / "again")
    first, second = (load_fast(folder)[0].state_dict() for folder in (checkpoint, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    config_file: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = load_fast_config(config_file), tmp_path / "run"
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
    whole = load_fast(checkpoint)[0].state_dict()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert [file.name for file in run.iterdir() if ".tmp" in file.name] == []


def test_a_run_starts_from_another_checkpoint(config_file: Path, checkpoint: Path, tmp_path: Path) -> None:
    config = load_fast_config(config_file)
    goes_on = replace(config, base=str(checkpoint), seed=9, optim=replace(config.optim, epochs=1, rate=1e-9))
    network, words, info = load_fast(train_fast(goes_on, tmp_path / "on"))
    before, vocabulary, _ = load_fast(checkpoint)
    assert words.vocabulary == vocabulary.vocabulary
    assert info["metrics"]["macro_f1"] == 1.0
    assert info["start"]["training"]["seed"] == config.seed
    for name, weight in before.state_dict().items():
        assert torch.allclose(network.state_dict()[name], weight, atol=1e-4)
    bundle = export_fast(tmp_path / "on" / "best", tmp_path / "bundle")
    assert (bundle / "README.md").read_text().count("python -m pagelabel.training.fast --config") == 2
    assert str(checkpoint.parent) not in (bundle / "config.json").read_text()
    wider = replace(goes_on, sizes=replace(config.sizes, size=2 * config.sizes.size))
    with pytest.raises(ValueError, match="its sizes are"):
        train_fast(wider, tmp_path / "wider")


def test_a_run_starts_from_a_bundle_and_learns_to_read_links(
    config_file: Path, checkpoint: Path, bundle: Path, tmp_path: Path
) -> None:
    config = load_fast_config(config_file)
    network, words, _ = restored_fast(bundle)
    assert (words.vocabulary, words.config) == (load_fast(checkpoint)[1].vocabulary, load_fast(checkpoint)[1].config)
    for name, weight in load_fast(checkpoint)[0].state_dict().items():
        # Seven bits a column, eight for a word.
        torch.testing.assert_close(network.state_dict()[name], weight, rtol=0, atol=float(weight.abs().max()) / 60)
    words_with_links = replace(config.words, links=True)
    goes_on = replace(
        config, base=str(bundle), words=words_with_links, optim=replace(config.optim, epochs=1, rate=1e-9)
    )
    after, words, _ = load_fast(train_fast(goes_on, tmp_path / "on"))
    assert words.config.features == FEATURE_NAMES + LINK_FEATURES
    assert after.config.features == len(words.config.features)
    first = after.state_dict()["page.features.0.weight"]
    torch.testing.assert_close(first[:, :-2], network.state_dict()["page.features.0.weight"], atol=1e-4, rtol=0)
    assert first[:, -2:].abs().max() < 1e-4
    linked = export_fast(tmp_path / "on" / "best", tmp_path / "bundle")
    assert check_bundle(linked).problems == ()
    with pytest.raises(ValueError, match=r"set words\.links"):
        train_fast(replace(goes_on, base=str(linked), words=config.words), tmp_path / "without")
    with pytest.raises(BundleError, match="of its own kind"):
        restored_fast(shipped_bundle("accurate"))


def test_the_mean_of_a_model_and_of_what_was_trained_from_it(
    config_file: Path, checkpoint: Path, bundle: Path, tmp_path: Path
) -> None:
    config = load_fast_config(config_file)
    linked = replace(config, words=replace(config.words, links=True), base=str(checkpoint), name="linked")
    run = train_fast(replace(linked, optim=replace(config.optim, epochs=1)), tmp_path / "run")
    command = [sys.executable, "-m", "pagelabel.training.fast_soup", str(checkpoint), str(checkpoint), str(run)]
    subprocess.run([*command, "-o", str(tmp_path / "soup" / "best")], check=True)
    (first, _, _), (second, words, _), (mean, found, info) = map(
        load_fast, (checkpoint, run, tmp_path / "soup" / "best")
    )
    assert (found.vocabulary, found.config) == (words.vocabulary, words.config)
    assert info["averaged"] == ["toy", "toy"]
    for name, weight in first.state_dict().items():
        expected = 2 * torch.nn.functional.pad(weight, (0, 2)) if name == "page.features.0.weight" else 2 * weight
        torch.testing.assert_close(mean.state_dict()[name], (expected + second.state_dict()[name]) / 3)
    card = (export_fast(tmp_path / "soup" / "best", tmp_path / "bundle") / "README.md").read_text()
    assert "fast_soup runs/toy/best runs/toy/best runs/linked/best -o runs/mean/best" in card
    other = replace(config.sizes, size=2 * config.sizes.size)
    wider = train_fast(
        replace(config, sizes=other, optim=replace(config.optim, epochs=1, evaluations=1)), tmp_path / "wider"
    )
    with pytest.raises(ValueError, match="their sizes differ"):
        mean_fast([load_base(wider), load_base(bundle)])


def test_links_of_a_batch_are_hidden_at_times(config_file: Path) -> None:
    config = load_fast_config(config_file)
    pages = [*toy_pages(3), *toy_views(toy_pages(1))]
    words = learn_words(pages, replace(config.words, links=True))
    rows = Rows(pages, words, config.labels, 1.0)
    parts = [(row, range(len(row.labels))) for row in rows.rows]

    def known(hide_links: float) -> list[bool]:
        batch = rows.batch(parts, Noise(hide_links=hide_links), np.random.default_rng(0))
        return batch.features[..., -1].any(-1).tolist()

    assert known(0.0) == [True] * 3 + [False] * 2
    assert known(1.0) == [False] * 5
    batch = rows.batch(parts[:1], Noise(), np.random.default_rng(0))
    about = len(rows.rows[0].about)
    assert batch.features[0, about : about + 9, -2].tolist() == [1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_the_graphs_give_the_logits_of_torch(bundle: Path, checkpoint: Path) -> None:
    network, words, _ = load_fast(checkpoint)
    labeler = Labeler.load(bundle, threads=1)
    for paragraphs in (toy_pages(1)[0].paragraphs, ["Menu"], ["", "Donate"], [f"Menu {i}" for i in range(1000)]):
        page = Page("p", paragraphs, "https://www.example.com/news", extra={"title": "The bridge"})
        given, expected = labeler.logits(page), torch_logits(network, words, page)
        assert given.shape == expected.shape
        assert np.abs(given - expected).max() < 0.2


def test_logits_do_not_depend_on_what_is_read_beside(bundle: Path) -> None:
    pages = [*toy_pages(20), Page("one", ["Menu"]), Page("long", ["x"] * 900)]
    model = Labeler.load(bundle, threads=1, cache=0).model
    together = model.logits(pages)
    for page, logits in zip(pages, together, strict=True):
        assert np.array_equal(model.logits([page])[0], logits)


def test_the_cache_changes_nothing_but_the_work(bundle: Path) -> None:
    pages = toy_pages(20)
    plain = Labeler.load(bundle, threads=1, cache=0).model.logits(pages)
    model = Labeler.load(bundle, threads=1, cache=6).model
    assert isinstance(model, HierarchicalModel)
    for _ in range(2):
        found = [model.logits([page])[0] for page in pages]
        assert all(np.array_equal(a, b) for a, b in zip(found, plain, strict=True))
    assert model.hits > 0
    assert len(model._young) + len(model._old) <= 7


def test_a_bundle_checks_itself(bundle: Path) -> None:
    check = check_bundle(bundle)
    assert check.problems == ()
    assert check.agreement > 0.97


@pytest.mark.parametrize("name", ["paragraphs.onnx", "page.onnx", "words.txt"])
def test_a_changed_file_is_refused_by_name(bundle: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    with (copy / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=name):
        Labeler.load(copy)


def test_it_labels_from_the_command_line(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = toy_pages(1)[0]
    (tmp_path / "page.txt").write_text("\n".join(page.paragraphs))
    assert main(["label", "--model", str(bundle), str(tmp_path / "page.txt")]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == page.labels
    assert main(["info", str(bundle)]) == 0
    assert "hierarchical" in capsys.readouterr().out


def test_pages_without_labels_cannot_be_exported_on(checkpoint: Path, tmp_path: Path) -> None:
    dev = write_pages(tmp_path / "dev.jsonl", [])
    with pytest.raises(ExportError, match="no labelled pages"):
        export_fast(checkpoint, tmp_path / "out", dev=[dev])
    assert not (tmp_path / "out").exists()


def test_an_epoch_takes_every_page_and_cuts_long_ones(config_file: Path) -> None:
    config = load_fast_config(config_file)
    pages = [*toy_pages(10), Page("long", ["Menu"] * 2000, labels=["promo"] * 2000)]
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 0.5)
    parts = [part for batch in epoch_parts(rows.rows, config, 0) for part in batch]
    assert {row.group for row, _ in parts} == {page.id for page in pages}
    assert max(len(kept) for _, kept in parts) <= config.optim.page_paragraphs
    again = [part for batch in epoch_parts(rows.rows, config, 0) for part in batch]
    assert [kept for _, kept in parts] == [kept for _, kept in again]


def test_furniture_of_other_pages_takes_the_place_of_the_own(config_file: Path) -> None:
    config = load_fast_config(config_file)
    pages = load_pages(config.data.train, config.labels)
    rows = Rows(pages, learn_words(pages, config.words), config.labels, 1.0)
    row, article = rows.rows[0], frozenset({0, 1})
    donors = furniture_runs(rows.rows[1:], article)
    kept = list(range(len(row.labels)))
    made = swapped(row, kept, donors, 1.0, np.random.default_rng(1))
    own = [text for text, label in zip(row.paragraphs, row.labels, strict=True) if label in article]
    assert [text for text, label in zip(made.paragraphs, made.labels, strict=True) if label in article] == own
    known = {(text, label) for r in rows.rows for text, label in zip(r.paragraphs, r.labels, strict=True)}
    assert set(zip(made.paragraphs, made.labels, strict=True)) <= known
    assert made.paragraphs != row.paragraphs
    assert len(made.paragraphs) == len(made.texts) == len(made.labels) == len(made.targets) == len(made.weights)
    assert swapped(row, kept, donors, 0.0, np.random.default_rng(1)).paragraphs == row.paragraphs


def test_targets_are_those_of_the_teacher_where_it_gave_any(config_file: Path) -> None:
    config = load_fast_config(config_file)
    page = Page("a", ["One", "Two"], labels=["body", "promo"], extra={"doubt": [1]})
    soft = Page("b", ["One"], labels=["body"], extra={"probabilities": [[0.6, 0.4, 0, 0, 0]], "weights": [0.6]})
    words = learn_words([page, soft], config.words)
    hard_row, soft_row = Rows([page, soft], words, config.labels, 0.5).rows
    assert hard_row.targets.tolist() == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    assert hard_row.weights.tolist() == [1.0, 0.5]
    assert soft_row.targets[0].tolist() == pytest.approx([0.6, 0.4, 0, 0, 0])
    assert soft_row.weights.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize(("line", "words"), [("seed = 'x'", "seed"), ("[sizes]\nlayer = 2", "layer"), ("x = 1", "'x'")])
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "c.toml").write_text(line)
    with pytest.raises(ValueError, match=rf"c\.toml.*{words}"):
        load_fast_config(tmp_path / "c.toml")
