"""Two bundles as one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_pages

pytest.importorskip("torch")

import torch

from pagelabel import BundleError, Labeler, Page
from pagelabel.check import check_bundle
from pagelabel.cli import main
from pagelabel.export.pair import export_pair, fit_weight
from pagelabel.export.writing import ExportError
from pagelabel.model.bundle import CONFIG, PAIR, read_bundle, sha256
from pagelabel.model.labels import LABELS
from pagelabel.training.restore import restored


@pytest.fixture(scope="module")
def dev(toy_config: Path) -> str:
    return str(toy_config.parent / "dev.jsonl")


@pytest.fixture(scope="module")
def pair(tiny_bundle: Path, fast_bundle: Path, dev: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_pair(tiny_bundle, fast_bundle, tmp_path_factory.mktemp("bundles") / "pair", dev=[dev])


@pytest.fixture
def copy(pair: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pair, tmp_path / "pair"))


def rewrite(pair: Path, change: Callable[[dict[str, object]], None]) -> None:
    config = json.loads((pair / CONFIG).read_text())
    change(config)
    (pair / CONFIG).write_text(json.dumps(config))


def test_its_logits_are_a_sum(pair: Path, tiny_bundle: Path, fast_bundle: Path) -> None:
    labeler, flat, fast = (Labeler.load(folder) for folder in (pair, tiny_bundle, fast_bundle))
    config = read_bundle(pair)
    assert config.network == PAIR
    assert 0.05 <= config.encoding.weight <= 2  # type: ignore[union-attr]
    for page in toy_pages()[18:]:
        expected = flat.logits(page) + config.encoding.weight * fast.logits(page)  # type: ignore[union-attr]
        np.testing.assert_allclose(labeler.logits(page), expected, rtol=1e-5, atol=1e-5)
    assert labeler.label([]).labels == []
    assert list(labeler.label_pages([["One page"], [], ["Another"]]))[2].labels


def test_it_labels_the_toy_pages(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_bundle(pair).provenance["metrics"]["dev.jsonl"]["macro_f1"] > 0.95
    assert "[one](flat/README.md)" in (pair / "README.md").read_text(encoding="utf-8")
    assert main(["info", str(pair)]) == 0
    assert "network      pair" in capsys.readouterr().out


def test_both_are_checked(pair: Path, tiny_bundle: Path, fast_bundle: Path) -> None:
    found, parts = check_bundle(pair), [check_bundle(folder) for folder in (tiny_bundle, fast_bundle)]
    assert found.problems == ()
    assert found.pages == sum(part.pages for part in parts)
    assert min(part.agreement for part in parts) <= found.agreement <= max(part.agreement for part in parts)


def test_a_part_that_was_changed_is_told(copy: Path) -> None:
    words = copy / "hierarchical" / "words.txt"
    words.write_text(words.read_text(encoding="utf-8") + "another\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"words\.txt: sha256 is not the one"):
        Labeler.load(copy)
    rewrite(copy / "flat", lambda config: config.update(temperature=7.0))
    with pytest.raises(BundleError, match=r"flat/config\.json: sha256 is not the one"):
        Labeler.load(copy)
    shutil.rmtree(copy / "flat")
    with pytest.raises(BundleError, match=r"flat/config\.json: missing"):
        Labeler.load(copy)


def test_parts_that_do_not_fit_are_told(copy: Path, pair: Path) -> None:
    rewrite(copy / "flat", lambda config: config.update(labels=["keep", "drop", "a", "b", "c"], thresholds={}))
    digest = sha256(copy / "flat" / CONFIG)
    rewrite(copy, lambda config: config["sha256"].update({"flat/config.json": digest}))  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="its labels are keep, drop"):
        Labeler.load(copy)
    shutil.rmtree(copy / "flat")
    shutil.copytree(pair, copy / "flat")
    digest = sha256(copy / "flat" / CONFIG)
    rewrite(copy, lambda config: config["sha256"].update({"flat/config.json": digest}))  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="a pair is of two single ones"):
        Labeler.load(copy)
    for encoding in ({"parts": ["flat"], "weight": 1}, {"parts": ["flat", "flat"], "weight": float("nan")}, {}):
        rewrite(copy, lambda config, encoding=encoding: config.update(encoding=encoding))  # type: ignore[misc]
        with pytest.raises(BundleError, match="not a valid bundle config"):
            Labeler.load(copy)


def test_it_may_name_bundles_beside_it(tiny_bundle: Path, fast_bundle: Path, dev: str, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in (tiny_bundle, fast_bundle)]
    made = export_pair(*folders, tmp_path / "both", dev=[dev], beside=True)
    assert {file.name for file in made.iterdir()} == {"config.json", "README.md"}
    assert str(tmp_path) not in (made / CONFIG).read_text() + (made / "README.md").read_text()
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in (*folders, made):
        folder.rename(moved / folder.name)
    assert check_bundle(moved / "both").problems == ()


def test_training_goes_on_from_its_flat_model(pair: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    ours, theirs = (restored(folder).network.state_dict() for folder in (pair, tiny_bundle))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    around = Path(shutil.copytree(pair, tmp_path / "around"))
    shutil.rmtree(around / "flat")
    shutil.copytree(pair, around / "flat")
    digest = sha256(around / "flat" / CONFIG)
    rewrite(around, lambda config: config["sha256"].update({"flat/config.json": digest}))  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="a pair model; training goes on from flat ones"):
        restored(around)


def test_what_is_no_pair_is_refused(tiny_bundle: Path, fast_bundle: Path, pair: Path, dev: str, tmp_path: Path) -> None:
    for flat, fast in ((fast_bundle, tiny_bundle), (tiny_bundle, tiny_bundle), (pair, fast_bundle)):
        with pytest.raises(ExportError, match="a pair is of a flat bundle and a fast one"):
            export_pair(flat, fast, tmp_path / "out", dev=[dev])
    assert list(tmp_path.iterdir()) == []


def test_export_fits_a_pair_to_other_pages(
    pair: Path, dev: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["export", str(pair), "-o", str(out)]) == 1
    assert "name labelled pages with --dev" in capsys.readouterr().err
    assert main(["export", str(pair), "-o", str(out), "--dev", dev]) == 0
    again, before = read_bundle(out), read_bundle(pair)
    assert (again.encoding, again.transitions, again.sha256) == (before.encoding, before.transitions, before.sha256)
    assert check_bundle(out).problems == ()


def test_the_weight_is_what_the_second_model_is_worth() -> None:
    rng = np.random.default_rng(0)
    gold = [rng.integers(0, 5, 50) for _ in range(20)]
    pages = [
        Page(str(i), ["text"] * 50, labels=[LABELS[k] for k in ids], extra={"view": "other"} if i % 3 == 0 else {})
        for i, ids in enumerate(gold)
    ]
    right = [(3 * np.eye(5)[labels] + rng.normal(0, 1, (50, 5))).astype(np.float32) for labels in gold]
    again = [(3 * np.eye(5)[labels] + rng.normal(0, 1, (50, 5))).astype(np.float32) for labels in gold]
    noise = [rng.normal(0, 1, (50, 5)).astype(np.float32) for _ in gold]
    assert fit_weight(right, noise, pages, LABELS) < 0.15
    assert fit_weight(noise, right, pages, LABELS) == 2
    assert 0.7 < fit_weight(right, again, pages, LABELS) < 1.4
