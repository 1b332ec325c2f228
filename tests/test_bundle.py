import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pagelabel.model.bundle import BundleConfig, BundleError, read_bundle
from pagelabel.model.encoding import EncodingConfig
from pagelabel.model.labels import LABELS


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def make_config(thresholds: dict[str, float], temperature: float = 1.0) -> BundleConfig:
    return BundleConfig(LABELS, EncodingConfig(), temperature, thresholds, {}, {})


def test_config_survives_a_round_trip() -> None:
    config = make_config({"promo": 0.6}, 1.3)
    assert BundleConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "reference.jsonl"])
def test_a_changed_file_is_refused_by_name(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "reference.jsonl", "config.json"])
def test_a_missing_file_is_refused_by_name(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"transitions": [[0.0] * 5] * 4},
        {"transitions": [[float("nan")] * 5] * 5},
        {"labels": None},
        {"temperature": 0},
        {"temperature": "warm"},
        {"thresholds": [0.5]},
        {"thresholds": dict.fromkeys(LABELS, 0.5)},
        {"encoding": {"window_tokens": 384}},
    ],
)
def test_a_config_that_cannot_work_is_refused(copy: Path, change: dict[str, object]) -> None:
    record = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(BundleError, match=r"config\.json"):
        read_bundle(copy)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": 1}'])
def test_a_config_that_is_no_config_is_refused(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    with pytest.raises(BundleError, match=r"config\.json"):
        read_bundle(copy)


def test_the_most_probable_label_is_given_with_its_probability() -> None:
    labels, scores = make_config({}).decide(np.log(np.array([[0.1, 0.1, 0.6, 0.1, 0.1]], dtype=np.float32)))
    assert labels == ["promo"]
    assert scores == pytest.approx([0.6])


def test_a_label_below_its_threshold_gives_way_to_the_best_without() -> None:
    logits = np.log(np.array([[0.1, 0.25, 0.6, 0.03, 0.02], [0.02, 0.01, 0.9, 0.05, 0.02]], dtype=np.float32))
    labels, scores = make_config({"promo": 0.7, "teaser": 0.7, "donation": 0.7}).decide(logits)
    assert labels == ["quote", "promo"]
    assert scores == pytest.approx([0.25, 0.9])


def test_a_bundle_from_before_there_were_transitions_is_read() -> None:
    record = json.loads(make_config({"promo": 0.6}).to_json())
    del record["transitions"]
    config = BundleConfig.from_json(json.dumps({**record, "format": 1}))
    assert config == make_config({"promo": 0.6})


def test_neighbours_count_where_there_are_transitions_and_scores_stay_the_paragraphs_own() -> None:
    chain = tuple(tuple(0.5 if a == b else -0.5 for b in range(5)) for a in range(5))
    config = BundleConfig(LABELS, EncodingConfig(), 1.0, {}, {}, {}, chain)
    sure, torn = [0.96, 0.01, 0.01, 0.01, 0.01], [0.4, 0.02, 0.5, 0.04, 0.04]
    logits = np.log(np.array([sure, torn, sure], dtype=np.float32))
    labels, scores = config.decide(logits)
    assert labels == ["body"] * 3
    assert scores == pytest.approx([0.96, 0.4, 0.96])
    assert config.decide(logits[1:2])[0] == ["promo"]
    assert BundleConfig.from_json(config.to_json()) == config


def test_temperature_changes_scores_and_not_labels() -> None:
    logits = np.array([[2.0, 1.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    warm, cold = make_config({}, 2.0).decide(logits), make_config({}, 0.5).decide(logits)
    assert warm[0] == cold[0] == ["body"]
    assert warm[1][0] < cold[1][0]
