"""Two bundles as one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import toy_pages

pytest.importorskip("torch")

import torch

from pagelabel import BundleError, Labeler, Page
from pagelabel.check import check_bundle
from pagelabel.cli import main
from pagelabel.export.pair import export_pair
from pagelabel.export.pairing import Reader, fit_pair, fit_weight
from pagelabel.export.writing import ExportError
from pagelabel.model.bundle import CONFIG, PAIR, REFERENCE, read_bundle, sha256
from pagelabel.model.labels import LABELS
from pagelabel.model.pair import Pair
from pagelabel.pair import unsure
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


def asked(**numbers: object) -> Callable[[dict[str, object]], None]:
    """A change to a pair's config: how its logits are added."""
    return lambda config: config["encoding"].update(numbers)  # type: ignore[attr-defined]


def reference(pair: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (pair / REFERENCE).read_text(encoding="utf-8").strip("\n").split("\n")]


def test_its_logits_are_a_sum(copy: Path, tiny_bundle: Path, fast_bundle: Path) -> None:
    rewrite(copy, lambda config: config.update(encoding={"parts": ["flat", "hierarchical"], "weight": 0.7}))
    labeler, flat, fast = (Labeler.load(folder) for folder in (copy, tiny_bundle, fast_bundle))
    assert labeler.config.network == PAIR
    for page in toy_pages()[18:]:
        expected = flat.logits(page) + 0.7 * fast.logits(page)
        np.testing.assert_allclose(labeler.logits(page), expected, rtol=1e-5, atol=1e-5)
    assert labeler.label([]).labels == []
    assert list(labeler.label_pages([["One page"], [], ["Another"]]))[2].labels


def test_the_first_is_asked_where_the_second_is_not_sure(copy: Path, tiny_bundle: Path, fast_bundle: Path) -> None:
    flat, fast = (Labeler.load(folder) for folder in (tiny_bundle, fast_bundle))
    page = Page("long", [text for page in toy_pages() for text in page.paragraphs])
    theirs = fast.logits(page)
    leads = np.sort(np.diff(np.sort(theirs, axis=1)[:, -2:])[:, 0])
    for sure in (leads[0] / 2, leads[2] + 1e-4, np.median(leads) + 1e-4, leads[-1] + 1):
        rewrite(copy, asked(weight=0.7, sure=float(sure), alone=1.3, context=5))
        labeler = Labeler.load(copy)
        wanted = unsure(theirs, sure)
        expected = 1.3 * theirs
        for places, ours in flat.model.with_context(5).read([page], [wanted]) if wanted.any() else ():  # type: ignore[union-attr]
            assert set(np.flatnonzero(wanted)) <= set(places)
            expected[places] = ours + 0.7 * theirs[places]
        np.testing.assert_allclose(labeler.logits(page), expected, rtol=1e-5, atol=1e-5)
        # Whatever other pages are labelled with it.
        beside = list(labeler.label_pages([["Menu"], page, page]))
        assert beside[2].labels == labeler.label(page).labels


def test_both_read_lines_joined_or_neither(
    copy: Path, tiny_bundle: Path, fast_bundle: Path, dev: str, tmp_path: Path
) -> None:
    def apart(config: dict[str, Any]) -> None:
        config["encoding"]["join_lines"] = False

    unlike = Path(shutil.copytree(fast_bundle, tmp_path / "fast"))
    rewrite(unlike, apart)
    with pytest.raises(ExportError, match="one of them reads lines joined"):
        export_pair(tiny_bundle, unlike, tmp_path / "other", dev=[dev])
    rewrite(copy / "hierarchical", apart)
    name = "hierarchical/" + CONFIG
    rewrite(copy, lambda config: config["sha256"].update({name: sha256(copy / name)}))  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="reads lines joined"):
        Labeler.load(copy)


def test_what_a_pair_was_fitted_to(pair: Path) -> None:
    config = read_bundle(pair)
    assert isinstance(config.encoding, Pair)
    assert 0.05 <= config.encoding.weight <= 2
    # On the toy pages the fast model alone is right, so that it need not be very sure.
    assert config.encoding.sure <= 1
    assert 0 <= config.provenance["tokens_read"]["dev.jsonl"] < 0.5
    assert "it is alone" in (pair / "README.md").read_text(encoding="utf-8")


def test_it_labels_the_toy_pages(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_bundle(pair).provenance["metrics"]["dev.jsonl"]["macro_f1"] > 0.95
    assert "[one](flat/README.md)" in (pair / "README.md").read_text(encoding="utf-8")
    assert main(["info", str(pair)]) == 0
    told = capsys.readouterr().out
    assert "network      pair" in told
    assert '"parts": ["flat", "hierarchical"]' in told


def test_both_are_checked(pair: Path, tiny_bundle: Path, fast_bundle: Path) -> None:
    found, parts = check_bundle(pair), [check_bundle(folder) for folder in (tiny_bundle, fast_bundle)]
    assert found.problems == ()
    assert found.pages == sum(part.pages for part in parts) + len(reference(pair))
    assert min(part.agreement for part in parts) <= found.agreement <= 1


def test_its_own_labels_are_checked(copy: Path) -> None:
    rows = reference(copy)
    labeler = Labeler.load(copy)
    for row in rows:
        page = Page.from_record(
            {key: row[key] for key in ("id", "url", "title", "paragraphs", "link") if key in row}, ""
        )
        read = labeler.as_read(page).page
        assert np.flatnonzero(labeler.model.asked(read)).tolist() == row["asked"]  # type: ignore[union-attr]
        np.testing.assert_allclose(labeler.logits(page), row["logits"], atol=1e-4)
    lines = [json.dumps({**row, "labels": ["quote"] * len(row["labels"])}) + "\n" for row in rows]
    (copy / REFERENCE).write_text("".join(lines), encoding="utf-8")
    with pytest.raises(BundleError, match=r"reference\.jsonl: sha256"):
        check_bundle(copy)
    rewrite(copy, lambda config: config["sha256"].update({REFERENCE: sha256(copy / REFERENCE)}))  # type: ignore[attr-defined]
    (problem,) = check_bundle(copy).problems
    assert "labels agree with the reference on" in problem
    # As pairs of format 4 are.
    (copy / REFERENCE).unlink()
    rewrite(copy, lambda config: config["sha256"].pop(REFERENCE))  # type: ignore[attr-defined]
    assert check_bundle(copy).problems == ()


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


def test_numbers_and_orders_that_cannot_work_are_told(copy: Path) -> None:
    rewrite(copy, asked(sure=1, alone=1, context=10_000))
    with pytest.raises(BundleError, match=r"config\.json: window_tokens=\d+ leaves no room"):
        Labeler.load(copy)
    rewrite(copy, asked(parts=["hierarchical", "flat"]))
    with pytest.raises(BundleError, match="a pair is of a flat bundle and a fast one, in this order"):
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
    parts = ["flat", "hierarchical"]
    for encoding in (
        {"parts": ["flat"], "weight": 1},
        {"parts": parts, "weight": float("nan")},
        {"parts": parts, "weight": 1, "sure": 2},
        {"parts": parts, "weight": 1, "sure": 0, "alone": 1, "context": 8},
        {"parts": parts, "weight": 1, "sure": 1, "alone": -1, "context": 8},
        {"parts": parts, "weight": 1, "sure": 1, "alone": 1, "context": -8},
        {},
    ):
        rewrite(copy, lambda config, encoding=encoding: config.update(encoding=encoding))  # type: ignore[misc]
        with pytest.raises(BundleError, match="not a valid bundle config"):
            Labeler.load(copy)


def test_it_may_name_bundles_beside_it(tiny_bundle: Path, fast_bundle: Path, dev: str, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in (tiny_bundle, fast_bundle)]
    made = export_pair(*folders, tmp_path / "both", dev=[dev], beside=True)
    assert {file.name for file in made.iterdir()} == {"config.json", "README.md", "reference.jsonl"}
    assert str(tmp_path) not in (made / CONFIG).read_text() + (made / "README.md").read_text()
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in (*folders, made):
        folder.rename(moved / folder.name)
    assert check_bundle(moved / "both").problems == ()


def test_it_does_not_take_the_place_of_its_own_parts(
    tiny_bundle: Path, fast_bundle: Path, dev: str, tmp_path: Path
) -> None:
    flat = shutil.copytree(tiny_bundle, tmp_path / "b" / "flat")
    for output, beside in ((flat, True), (flat, False), (tmp_path / "b", True)):
        with pytest.raises(ExportError, match="one of the two bundles"):
            export_pair(flat, fast_bundle, output, dev=[dev], beside=beside)
    assert read_bundle(flat) == read_bundle(tiny_bundle)


@pytest.mark.parametrize("cost", [float("nan"), -0.1, 2])
def test_a_cost_is_a_share(tiny_bundle: Path, fast_bundle: Path, dev: str, tmp_path: Path, cost: float) -> None:
    with pytest.raises(ExportError, match="the cost should be from 0 to 1"):
        export_pair(tiny_bundle, fast_bundle, tmp_path / "out", dev=[dev], cost=cost)


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


def test_the_second_is_alone_only_where_that_costs_little(tiny_bundle: Path) -> None:
    rng = np.random.default_rng(1)
    gold = [rng.integers(0, 5, 40) for _ in range(30)]
    pages = [Page(str(i), ["text"] * 40, labels=[LABELS[k] for k in ids]) for i, ids in enumerate(gold)]
    reader = Reader.of(Labeler.load(tiny_bundle).model.encoder, pages)  # type: ignore[union-attr]
    ours = [(6 * np.eye(5)[ids]).astype(np.float32) for ids in gold]
    # Surely right where its logits are 8 apart, a guess where they are less than 1 apart.
    known = [rng.random((40, 1)) < 0.5 for _ in gold]
    guess = [rng.random((40, 5)) for _ in gold]
    theirs = [
        np.where(k, 8 * np.eye(5)[ids], g).astype(np.float32) for k, ids, g in zip(known, gold, guess, strict=True)
    ]
    found = fit_pair(("a", "b"), reader, ours, theirs, pages, LABELS)
    assert 0.5 <= found.sure <= 1
    assert fit_pair(("a", "b"), reader, ours, theirs, pages, LABELS, cost=1).sure == 0.5
    wrong = [(8 * np.eye(5)[(ids + 1) % 5]).astype(np.float32) for ids in gold]
    assert fit_pair(("a", "b"), reader, ours, wrong, pages, LABELS).sure == np.inf
