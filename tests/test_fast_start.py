"""What a run of the fast model starts from."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages

pytest.importorskip("torch")

import numpy as np
import torch

from pagelabel import BundleError, Labeler
from pagelabel.check import check_bundle
from pagelabel.export.fast import export_fast
from pagelabel.model.bundle import shipped_bundle
from pagelabel.model.features import FEATURE_NAMES, LINK_FEATURES
from pagelabel.training.fast import train_fast
from pagelabel.training.fast_config import FastConfig, FastSizes, WordSettings, load_fast_config
from pagelabel.training.fast_start import settled
from pagelabel.training.fast_state import load_fast
from pagelabel.training.restore import restored_fast


def test_a_run_starts_from_another_checkpoint(fast_config: Path, fast_checkpoint: Path, tmp_path: Path) -> None:
    config = load_fast_config(fast_config)
    goes_on = replace(config, base=str(fast_checkpoint), seed=9, optim=replace(config.optim, epochs=1, rate=1e-9))
    network, words, info = load_fast(train_fast(goes_on, tmp_path / "on"))
    before, vocabulary, _ = load_fast(fast_checkpoint)
    assert words.vocabulary == vocabulary.vocabulary
    assert info["metrics"]["macro_f1"] == 1.0
    assert info["start"]["training"]["seed"] == config.seed
    for name, weight in before.state_dict().items():
        assert torch.allclose(network.state_dict()[name], weight, atol=1e-4)
    bundle = export_fast(tmp_path / "on" / "best", tmp_path / "bundle")
    assert (bundle / "README.md").read_text().count("pagelabel train --config") == 2
    assert str(fast_checkpoint.parent) not in (bundle / "config.json").read_text()
    wider = replace(goes_on, sizes=replace(config.sizes, size=2 * config.sizes.size))
    with pytest.raises(ValueError, match=r"its sizes\.size is 32, the config has 64; leave it out"):
        train_fast(wider, tmp_path / "wider")


def test_what_is_not_set_is_as_in_the_base(fast_config: Path, fast_checkpoint: Path, tmp_path: Path) -> None:
    config = load_fast_config(fast_config)
    alone, base = settled(config)
    assert base is None
    assert (alone.sizes.local, alone.sizes.dropout, alone.words.head_words) == (True, 0.1, 16)
    other = replace(config, base=str(fast_checkpoint), words=WordSettings(links=True), sizes=FastSizes(dropout=0.3))
    found, base = settled(other)
    assert base is not None
    assert found.sizes == replace(alone.sizes, dropout=0.3)
    assert found.words == replace(alone.words, links=True, least=WordSettings().least)
    network, words, info = load_fast(train_fast(replace(other, optim=replace(config.optim, epochs=1)), tmp_path / "on"))
    assert network.config.dropout == 0.3
    assert (words.config.about, words.config.join_lines) == (("title", "url"), True)
    assert info["training"]["sizes"]["word_size"] == 16
    with pytest.raises(ValueError, match=r"its words\.about is \('title', 'url'\), the config has \(\)"):
        settled(replace(other, words=WordSettings(about=())))


def test_a_start_with_other_labels_keeps_what_is_known_of_those_it_has(
    fast_config: Path, fast_checkpoint: Path, tmp_path: Path
) -> None:
    config = load_fast_config(fast_config)
    names = {"body": "article", "quote": "article", "promo": "promo", "teaser": "teaser", "donation": "promo"}
    pages = [replace(page, labels=[names[label] for label in page.labels or ()]) for page in toy_pages()]
    files = [write_pages(tmp_path / name, some) for name, some in (("a.jsonl", pages[:18]), ("b.jsonl", pages[18:]))]
    data = replace(config.data, train=(files[0],), dev=(files[1],))
    goes_on = FastConfig(
        base=str(fast_checkpoint), labels=("teaser", "article", "promo"), data=data, words=config.words
    )
    short = replace(config.optim, epochs=1, rate=1e-9)
    before, after = (
        load_fast(folder)[0].page.head.weight
        for folder in (fast_checkpoint, train_fast(replace(goes_on, optim=short), tmp_path / "short"))
    )
    torch.testing.assert_close(after[[0, 2]], before[[3, 2]], atol=1e-4, rtol=0)
    bundle = export_fast(train_fast(replace(goes_on, optim=config.optim), tmp_path / "run"), tmp_path / "bundle")
    labelled = list(Labeler.load(bundle).label_pages(pages[18:]))
    assert [page.labels for page in labelled] == [page.labels for page in pages[18:]]


def test_a_pair_is_worth_its_fast_model(fast_bundle: Path) -> None:
    ours, theirs = (restored_fast(shipped_bundle(name))[0].state_dict() for name in ("both", "fast"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_base_that_is_none_is_named(fast_config: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = load_fast_config(fast_config)
    with pytest.raises(FileNotFoundError, match=r"nowhere: no checkpoint of the fast model \(it has no fast\.json\)"):
        settled(replace(config, base=str(tmp_path / "nowhere")))
    with pytest.raises(FileNotFoundError, match="no checkpoint of the fast model, but one of 'pagelabel train'"):
        settled(replace(config, base=str(tiny_checkpoint)))


def test_a_run_starts_from_a_bundle_and_learns_to_read_links(
    fast_config: Path, fast_checkpoint: Path, fast_bundle: Path, tmp_path: Path
) -> None:
    config = load_fast_config(fast_config)
    network, words, _ = restored_fast(fast_bundle)
    assert (words.vocabulary, words.config) == (
        load_fast(fast_checkpoint)[1].vocabulary,
        load_fast(fast_checkpoint)[1].config,
    )
    for name, weight in load_fast(fast_checkpoint)[0].state_dict().items():
        # Seven bits a column, eight for a word.
        torch.testing.assert_close(network.state_dict()[name], weight, rtol=0, atol=float(weight.abs().max()) / 60)
    words_with_links = replace(config.words, links=True)
    goes_on = replace(
        config, base=str(fast_bundle), words=words_with_links, optim=replace(config.optim, epochs=1, rate=1e-9)
    )
    after, words, _ = load_fast(train_fast(goes_on, tmp_path / "on"))
    assert words.config.features == FEATURE_NAMES + LINK_FEATURES
    assert after.config.features == len(words.config.features)
    first = after.state_dict()["page.features.0.weight"]
    network, _, _ = restored_fast(fast_bundle, np.random.default_rng(config.seed))
    torch.testing.assert_close(first[:, :-2], network.state_dict()["page.features.0.weight"], atol=1e-4, rtol=0)
    assert first[:, -2:].abs().max() < 1e-4
    linked = export_fast(tmp_path / "on" / "best", tmp_path / "bundle")
    assert check_bundle(linked).problems == ()
    with pytest.raises(ValueError, match=r"its words\.links is True, the config has False"):
        train_fast(replace(goes_on, base=str(linked), words=WordSettings(links=False)), tmp_path / "without")
    with pytest.raises(BundleError, match="of its own kind"):
        restored_fast(shipped_bundle("accurate"))


def test_a_run_starts_from_another_checkpoint_and_learns_to_read_neighbours(
    fast_config: Path, fast_checkpoint: Path, tmp_path: Path
) -> None:
    config = load_fast_config(fast_config)
    alone, sizes = replace(config.sizes, local=False), replace(config.sizes, local=True)
    # Long enough to be sure of its labels: a tie may be decided another way by the graphs.
    before = replace(config, sizes=alone, optim=replace(config.optim, epochs=20))
    goes_on = replace(config, sizes=sizes, base=str(tmp_path / "alone" / "best"))
    first, _, _ = load_fast(train_fast(before, tmp_path / "alone"))
    started = train_fast(replace(goes_on, optim=replace(config.optim, epochs=1, rate=1e-9)), tmp_path / "on")
    network, _, _ = load_fast(started)
    assert (first.config.local, network.config.local) == (False, True)
    vectors, features = torch.randn(1, 9, network.config.size), torch.randn(1, 9, network.config.features)
    with torch.no_grad():
        torch.testing.assert_close(network.page(vectors, features), first.page(vectors, features), atol=1e-4, rtol=0)
    bundle = export_fast(started, tmp_path / "bundle")
    assert check_bundle(bundle).problems == ()
    assert restored_fast(bundle)[0].config == network.config
    with pytest.raises(ValueError, match=r"its sizes\.local is True, the config has False"):
        train_fast(replace(goes_on, base=str(bundle), sizes=alone), tmp_path / "without")
