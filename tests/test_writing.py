"""What every export does."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from pagelabel.export.writing import ExportError, new_bundle, portable
from pagelabel.training.config import load_config
from pagelabel.training.fast_config import load_fast_config


@pytest.mark.parametrize(
    ("load", "more", "names"),
    [
        (load_config, "", {}),
        (
            load_fast_config,
            'probabilities = "p.safetensors"\nstates = "s.safetensors"\nsentences = "x.parquet"\nteacher = "r/best"',
            {"probabilities": "p.safetensors", "states": "s.safetensors", "sentences": "x.parquet", "teacher": "r"},
        ),
    ],
)
def test_the_settings_of_a_run_tell_no_path_of_the_machine(
    load, more: str, names: dict[str, str], tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "runs" / "before" / "best").mkdir(parents=True)
    (tmp_path / "c.toml").write_text(
        f'base = "runs/before/best"\n{more}\n'
        '[data]\ntrain = ["a/train.jsonl"]\ndev = ["a/dev.jsonl"]\ncorrections = "a/c.jsonl"\n'
    )
    settings = load(tmp_path / "c.toml").to_dict()
    info = {"training": settings, "dev": [str(tmp_path)], "start": {"training": settings, "dev": [], "start": None}}
    whole = portable(info, ("dev",))
    found = whole["training"]
    assert whole["start"] == {"training": found, "start": None}
    assert "dev" not in whole
    assert str(tmp_path) in json.dumps(settings)
    assert str(tmp_path) not in json.dumps(whole)
    assert found["base"] == "before"
    assert {key: found[key] for key in names} == names
    data = {key: found["data"][key] for key in ("train", "dev", "corrections")}
    assert data == {"train": ["train.jsonl"], "dev": ["dev.jsonl"], "corrections": "c.jsonl"}
    named = portable({"training": {**settings, "base": "all-MiniLM-L6-v2"}}, ())
    assert named["training"]["base"] == "all-MiniLM-L6-v2"


def test_what_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    # A training run and a pretrained encoder have such a file, too.
    (tmp_path / "config.json").write_text('{"seed": 1}')
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ExportError, match="is not a bundle"), new_bundle(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "x"
