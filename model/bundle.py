"""A bundle: the folder that ships a model. What decides a label is in it, so a port to another language needs no more.

| file | what |
|---|---|
| `config.json` | format, network, labels in logit order, encoding, what decides (see `decide`), sha256, provenance |
| `reference.jsonl` | pages with ids, features, fp32 logits and labels, so that any port can check itself |
| `README.md` | the model card |

and of a flat network

| | |
|---|---|
| `model.onnx` | int8 graph: `input_ids` int64 [1, T], `features` float32 [1, T, F] to `logits` float32 [1, T, labels] |
| `tokenizer.json` | Hugging Face tokenizers |

or of a hierarchical one

| | |
|---|---|
| `paragraphs.onnx` | `words` int64 [V] (distinct ids), `places` int64 [P, L] to `vectors` float32 [P, D], see below |
| `page.onnx` | `vectors` float32 [N, D], `features` float32 [N, F] to `logits` float32 [N, labels] |
| `words.txt` | the vocabulary, a word a line; line n (from 1) has id n |

`places` are, of P paragraphs, from 1 each word's place in `words`, and 0 behind the last word; sizes are at least 2.

Where the encoding has `join_lines`, what is read is the page with its lines joined (`model/lines.py`), and each line is
given the label of its paragraph; `lines` of a reference page are how many lines each paragraph is made of.

A pair has no model of its own: it names two other bundles, and says how their logits are added and which paragraphs
both read (`model/pair.py`). In its `reference.jsonl` are no ids and features, but the paragraphs `asked` of the first.
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

from pagelabel.model.decoding import best_path
from pagelabel.model.encoding import EncodingConfig
from pagelabel.model.pair import Pair
from pagelabel.model.words import WordConfig

FORMAT = 6
"""Written. Formats 1, which has no transitions, 2, whose encoding has no `about`, 3, which reads no links, 4, in whose
pairs both models read everything, and 5, which joins no lines, are read as well."""
CONFIG, REFERENCE, CARD = "config.json", "reference.jsonl", "README.md"
MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
PARAGRAPHS, PAGE, WORDS = "paragraphs.onnx", "page.onnx", "words.txt"
FLAT, HIERARCHICAL, PAIR = "flat", "hierarchical", "pair"
_ENCODINGS: dict[str, Any] = {FLAT: EncodingConfig, HIERARCHICAL: WordConfig, PAIR: Pair}
FILES = {FLAT: (MODEL, TOKENIZER, REFERENCE), HIERARCHICAL: (PARAGRAPHS, PAGE, WORDS, REFERENCE)}
"""By network: the files with a sha256 in the config."""
IDS = {FLAT: "windows", HIERARCHICAL: "words"}
"""By network: the field of a reference page with its ids, as lists a window or a paragraph."""


class BundleError(ValueError):
    """A folder that cannot be used as a bundle; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """`config.json`. `thresholds` are by label; `provenance` says where the model came from (data, commit, metrics).
    `transitions` are added to log-probabilities where a label (in rows) is followed by another; there may be none."""

    labels: tuple[str, ...]
    encoding: EncodingConfig | WordConfig | Pair
    temperature: float
    thresholds: dict[str, float]
    sha256: dict[str, str]
    provenance: dict[str, Any]
    transitions: tuple[tuple[float, ...], ...] = ()

    @property
    def network(self) -> str:
        """`flat`, `hierarchical` or `pair`; it follows from the encoding."""
        return next(name for name, encoding in _ENCODINGS.items() if isinstance(self.encoding, encoding))

    @property
    def files(self) -> tuple[str, ...]:
        """The files with a sha256 in the config, as seen from the bundle's folder."""
        if isinstance(self.encoding, Pair):
            # Pairs of format 4 have no reference pages.
            own = (REFERENCE,) if REFERENCE in self.sha256 else ()
            return (*(f"{part}/{CONFIG}" for part in self.encoding.parts), *own)
        return FILES[self.network]

    def probabilities(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of logits, both [N, labels]."""
        scaled = logits.astype(np.float64) / self.temperature
        scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
        exponents = np.exp(scaled)
        return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))

    def decide(self, logits: npt.NDArray[np.float32]) -> tuple[list[str], list[float]]:
        """Labels and their calibrated probabilities of a page's logits [N, labels].

        The most probable sequence of labels under `transitions`, of those whose probability reaches their threshold;
        where none does, of those without a threshold (there is always one).
        """
        probabilities = self.probabilities(logits)
        limits = np.array([self.thresholds.get(label, 0.0) for label in self.labels])
        with np.errstate(divide="ignore"):
            scores = np.where(probabilities >= limits, np.log(probabilities), -np.inf)
        chosen = best_path(scores, np.array(self.transitions or np.zeros((len(limits), len(limits)))))
        return [self.labels[i] for i in chosen], probabilities[np.arange(len(chosen)), chosen].tolist()

    @property
    def decisive(self) -> dict[str, Any]:
        """All that labels and scores depend on, as JSON has it: two bundles in which it is the same give the same."""
        values = {
            "network": self.network,
            "labels": list(self.labels),
            "encoding": self.encoding.to_dict(),
            "temperature": self.temperature,
            "transitions": [list(row) for row in self.transitions],
            "thresholds": self.thresholds,
            "sha256": self.sha256,
        }
        found: dict[str, Any] = json.loads(json.dumps(values))
        return found

    def to_json(self) -> str:
        record = {"format": FORMAT, **self.decisive, "provenance": self.provenance}
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> BundleConfig:
        """Raises BundleError on anything but a complete config of this format."""
        try:
            record = json.loads(text)
            if record["format"] not in range(1, FORMAT + 1):
                raise BundleError(
                    f"bundle format {record['format']!r}; this version of pagelabel reads formats up to {FORMAT}"
                )
            thresholds = {str(label): float(value) for label, value in record["thresholds"].items()}
            network = record.get("network", FLAT)
            if network not in _ENCODINGS:
                raise BundleError(f"network {network!r}; this version of pagelabel knows {', '.join(_ENCODINGS)}")
            config = cls(
                tuple(record["labels"]),
                _ENCODINGS[network].from_dict(record["encoding"]),
                float(record["temperature"]),
                thresholds,
                dict(record["sha256"]),
                record["provenance"],
                tuple(tuple(float(value) for value in row) for row in record.get("transitions", ())),
            )
        except BundleError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"not a valid bundle config: {type(error).__name__}: {error}") from error
        if not config.temperature > 0:
            raise BundleError(f"temperature should be above 0, found {config.temperature}")
        if config.transitions and np.shape(config.transitions) != (len(config.labels),) * 2:
            raise BundleError(
                f"transitions should be {len(config.labels)} rows of {len(config.labels)} numbers, or none"
            )
        if not np.isfinite(config.transitions).all():
            raise BundleError("transitions should be finite numbers")
        if not set(config.labels) - {label for label, value in thresholds.items() if value > 0}:
            raise BundleError("every label has a threshold: one must be without, to be given where none is reached")
        return config


SHIPPED = {"both": "both", "accurate": "bundle", "fast": "fast"}
"""The models that come with the package, by name: their folders. The first is the default."""


def shipped_bundle(name: str = next(iter(SHIPPED))) -> Path:
    """The folder of a model that comes with the package."""
    return Path(str(files("pagelabel.model") / SHIPPED[name]))


def find_bundle(bundle: str | Path | None) -> Path:
    """The folder of a bundle given by path or by the name of a shipped one; None is the default. A folder of that name
    is meant when it is written as a path (`./fast`)."""
    if bundle is None:
        return shipped_bundle()
    return shipped_bundle(bundle) if isinstance(bundle, str) and bundle in SHIPPED else Path(bundle)


def is_bundle(folder: str | Path) -> bool:
    """Whether the folder says that it is a bundle; that of a pretrained encoder has a `config.json`, too."""
    file = Path(folder) / CONFIG
    return file.is_file() and '"sha256"' in file.read_text("utf-8")


def bundle_files(folder: str | Path) -> list[Path]:
    """All files of a bundle; of a pair those of its two bundles, too."""
    folder, encoding = Path(folder), read_bundle(folder).encoding
    parts = [folder / part for part in encoding.parts] if isinstance(encoding, Pair) else []
    return [file for place in (folder, *parts) for file in sorted(place.iterdir()) if file.is_file()]


def read_bundle(folder: str | Path) -> BundleConfig:
    """Read and verify a bundle: every file is there and has the sha256 that `config.json` says. The two bundles of a
    pair are verified when they are read.

    Raises BundleError that names the first file which is missing or differs.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise BundleError(f"{folder}: not a bundle (no {CONFIG}); make one with 'pagelabel export', or check the path")
    try:
        config = BundleConfig.from_json((folder / CONFIG).read_text(encoding="utf-8"))
    except (BundleError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder / CONFIG}: {error}") from error
    for name in config.files:
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
