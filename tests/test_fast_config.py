"""Which configs and folders are of the fast model."""

import json
from pathlib import Path

import pytest

from pagelabel.training.fast_config import is_fast_config, is_fast_model

TRAINING = Path(__file__).parent.parent / "training"
FAST = {"distilled", "first_stage", "hierarchical", "joined", "linked", "local", "refined"}


@pytest.mark.parametrize("file", sorted(TRAINING.glob("*.toml")), ids=lambda file: file.stem)
def test_the_shipped_configs(file: Path) -> None:
    assert is_fast_config(file) == (file.stem in FAST)


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("", False),
        ("base = 'accurate'", False),
        ("base = 'both'", False),
        ("base = 'fast'", True),
        ("base = 'both'\n[words]\nleast = 1", True),
        ("teacher = 'accurate'", True),
        ("base = 'all-MiniLM-L6-v2'", False),
        ("base = 7", False),
    ],
)
def test_what_a_config_says_of_itself(text: str, fast: bool, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert is_fast_config(tmp_path / "c.toml") == fast


def test_a_base_tells_by_its_files(
    tiny_checkpoint: Path, tiny_bundle: Path, fast_checkpoint: Path, fast_bundle: Path, tmp_path: Path
) -> None:
    for folder, fast in ((tiny_checkpoint, False), (tiny_bundle, False), (fast_checkpoint, True), (fast_bundle, True)):
        assert is_fast_model(folder) == fast
        (tmp_path / "c.toml").write_text(f"base = {json.dumps(str(folder))}")
        assert is_fast_config(tmp_path / "c.toml") == fast


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("x = ")
    with pytest.raises(ValueError, match=r"c\.toml"):
        is_fast_config(tmp_path / "c.toml")
