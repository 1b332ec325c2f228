"""Training settings of the fast model: one TOML file, read and checked as those of `pagelabel.training.config`."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pagelabel.model.bundle import PARAGRAPHS, SHIPPED, find_bundle
from pagelabel.model.labels import LABELS
from pagelabel.training.checks import check_labels, check_ranges
from pagelabel.training.config import DataConfig, PageAugment, TrainingConfig, build, resolved

CHECKPOINT = "fast.json"
"""The file of a checkpoint of the fast model that tells what it is."""


@dataclass(frozen=True, slots=True)
class WordSettings:
    """See `pagelabel.model.words.WordConfig`, which has the defaults; with `links` it is read how much of each
    paragraph lies in links, with `join_lines` lines that go on are one paragraph. Where `base` is a trained model, what
    is not set is as it was trained with, and so is the vocabulary. Else this is the `most` most frequent words of the
    training pages, of those that come at least `least` times."""

    head_words: int | None = None
    tail_words: int | None = None
    about: tuple[str, ...] | None = None
    links: bool | None = None
    join_lines: bool | None = None
    most: int = 30_000
    least: int = 4


@dataclass(frozen=True, slots=True)
class FastSizes:
    """See `pagelabel.model.hierarchical.HierarchicalConfig`, which has the defaults, but that a new network is `local`.
    Where `base` is a trained model, what is not set is as it was trained with."""

    word_size: int | None = None
    size: int | None = None
    layers: int | None = None
    heads: int | None = None
    dropout: float | None = None
    local: bool | None = None


@dataclass(frozen=True, slots=True)
class FastAugment(PageAugment):
    """`swap_furniture` is the share of a page's runs of furniture that are replaced by such runs of other pages."""

    swap_furniture: float = 0.0


@dataclass(frozen=True, slots=True)
class FastOptim:
    """AdamW with linear warm-up and decay; the weights that are kept are their moving average over the last steps,
    `averaging` being the share of the old one. `drop_words` is the share of words that training replaces by unknown
    ones, `page_paragraphs` the longest part of a page that a step takes."""

    epochs: int = 10
    sentence_epochs: int = 4
    batch_paragraphs: int = 2000
    page_paragraphs: int = 256
    rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    label_smoothing: float = 0.03
    doubt_weight: float = 0.5
    drop_words: float = 0.1
    teacher_share: float = 0.7
    states_weight: float = 1.0
    class_weights: tuple[float, ...] | None = None
    averaging: float = 0.995
    evaluations: int = 5


@dataclass(frozen=True, slots=True)
class FastConfig:
    """Everything that decides a run of the fast model.

    `base` is a checkpoint of the fast model to go on from, a bundle, or `fast`, with its vocabulary; what is learnt
    before the pages is left out then.
    `teacher` is a checkpoint, a bundle or `accurate`: its word pieces give the words their first vectors.
    `probabilities` and `states` are files of `pagelabel.training.teacher`: of each target, `optim.teacher_share` is
    what the teacher thinks of the paragraph, the rest its label, and a linear map of the student's states learns to
    tell the teacher's, with `optim.states_weight`. `sentences` is a file of `pagelabel.training.sentences`: with it
    there is a first stage of `optim.sentence_epochs`, in which the paragraph reader learns a sentence encoder's
    vectors."""

    name: str = "config"
    base: str | None = None
    teacher: str | None = None
    sentences: str | None = None
    probabilities: str | None = None
    states: str | None = None
    labels: tuple[str, ...] = LABELS
    seed: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    words: WordSettings = field(default_factory=WordSettings)
    sizes: FastSizes = field(default_factory=FastSizes)
    augment: FastAugment = field(default_factory=FastAugment)
    optim: FastOptim = field(default_factory=FastOptim)

    def __post_init__(self) -> None:
        check_ranges(self.data, self.words, self.sizes, self.augment, self.optim)
        rare = self.augment.rare_labels
        check_labels(self.labels, self.optim.class_weights, rare, FastAugment().rare_labels)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_fast_model(name: str | Path) -> bool:
    """Whether it is a checkpoint of the fast model, or the bundle of one (a folder, or `fast`)."""
    folder = find_bundle(name)
    return (folder / CHECKPOINT).is_file() or (folder / PARAGRAPHS).is_file()


def is_fast_config(path: str | Path) -> bool:
    """Whether a TOML file is a config of the fast model: it sets what only these have, or its base is such a model.
    Raises ValueError that names a file that is no TOML, and OSError if it cannot be read."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    own = {f.name for f in fields(FastConfig)} - {f.name for f in fields(TrainingConfig)}
    base = values.get("base")
    if not isinstance(base, str):
        return not own.isdisjoint(values)
    return not own.isdisjoint(values) or is_fast_model(base if base in SHIPPED else path.parent / base)


def load_fast_config(path: str | Path) -> FastConfig:
    """Read a TOML file. Raises ValueError that names the file and the key, and OSError if it cannot be read."""
    path = Path(path)
    try:
        config: FastConfig = build(FastConfig, tomllib.loads(path.read_text(encoding="utf-8")))
        data = resolved(config.data, path.parent)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error

    def place(name: str | None) -> str | None:
        return None if name is None else str((path.parent / name).resolve())

    return replace(
        config,
        name=path.stem,
        base=config.base if config.base in SHIPPED else place(config.base),
        teacher=config.teacher if config.teacher in SHIPPED else place(config.teacher),
        sentences=place(config.sentences),
        probabilities=place(config.probabilities),
        states=place(config.states),
        data=data,
    )
