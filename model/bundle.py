"""A bundle: the folder that ships a model. What decides a label is in it, so a port to another language needs no more.

| file | what |
|---|---|
| `model.onnx` | int8 graph: `input_ids` int64 [1, T], `features` float32 [1, T, F] to `logits` float32 [1, T, labels] |
| `tokenizer.json` | Hugging Face tokenizers |
| `config.json` | format, labels in logit order, encoding, temperature, thresholds, sha256 of the files, provenance |
| `reference.jsonl` | pages with token ids, fp32 logits and labels, so that any port can check itself |
| `README.md` | the model card |
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pagelabel.model.encoding import EncodingConfig

FORMAT = 1
MODEL, TOKENIZER, CONFIG, REFERENCE, CARD = (
    "model.onnx",
    "tokenizer.json",
    "config.json",
    "reference.jsonl",
    "README.md",
)


class BundleError(ValueError):
    """A folder that cannot be used as a bundle; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """`config.json`. `thresholds` are by label; `provenance` says where the model came from (data, commit, metrics)."""

    labels: tuple[str, ...]
    encoding: EncodingConfig
    temperature: float
    thresholds: dict[str, float]
    sha256: dict[str, str]
    provenance: dict[str, Any]

    def decide(self, logits: npt.NDArray[np.float32]) -> tuple[list[str], list[float]]:
        """Labels and their calibrated probabilities of logits [N, labels].

        The most probable label whose probability reaches its threshold is given; where none does, the first
        label without a threshold (there is always one).
        """
        scaled = logits.astype(np.float64) / self.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        probabilities = np.exp(scaled)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        limits = np.array([self.thresholds.get(label, 0.0) for label in self.labels])
        chosen = np.where(probabilities >= limits, probabilities, -1.0).argmax(axis=1)
        return [self.labels[i] for i in chosen], probabilities[np.arange(len(chosen)), chosen].tolist()

    def to_json(self) -> str:
        record = {
            "format": FORMAT,
            "labels": list(self.labels),
            "encoding": self.encoding.to_dict(),
            "temperature": self.temperature,
            "thresholds": self.thresholds,
            "sha256": self.sha256,
            "provenance": self.provenance,
        }
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> BundleConfig:
        """Raises BundleError on anything but a complete config of this format."""
        try:
            record = json.loads(text)
            if record["format"] != FORMAT:
                raise BundleError(
                    f"bundle format {record['format']!r}; this version of pagelabel reads format {FORMAT}"
                )
            thresholds = {str(label): float(value) for label, value in record["thresholds"].items()}
            config = cls(
                tuple(record["labels"]),
                EncodingConfig.from_dict(record["encoding"]),
                float(record["temperature"]),
                thresholds,
                dict(record["sha256"]),
                record["provenance"],
            )
        except BundleError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"not a valid bundle config: {type(error).__name__}: {error}") from error
        if not config.temperature > 0:
            raise BundleError(f"temperature should be above 0, found {config.temperature}")
        if not set(config.labels) - {label for label, value in thresholds.items() if value > 0}:
            raise BundleError("every label has a threshold: one must be without, to be given where none is reached")
        return config


def shipped_bundle() -> Path:
    """The folder of the model that comes with the package."""
    return Path(str(files("pagelabel.model") / "bundle"))


def read_bundle(folder: str | Path) -> BundleConfig:
    """Read and verify a bundle: every file is there and has the sha256 that `config.json` says.

    Raises BundleError that names the first file which is missing or differs.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise BundleError(f"{folder}: not a bundle (no {CONFIG}); make one with 'pagelabel export', or check the path")
    try:
        config = BundleConfig.from_json((folder / CONFIG).read_text(encoding="utf-8"))
    except (BundleError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder / CONFIG}: {error}") from error
    for name in (MODEL, TOKENIZER, REFERENCE):
        expected = config.sha256.get(name)
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name}: missing; the bundle is incomplete, copy or export it again")
        if sha256(folder / name) != expected:
            raise BundleError(
                f"{folder / name}: sha256 is not the one in {CONFIG}; the file was changed or cut off, copy it again"
            )
    return config


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
