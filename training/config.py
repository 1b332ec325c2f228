"""Training settings: one TOML file, checked key by key, stored resolved with every checkpoint."""

from __future__ import annotations

import glob
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from pagelabel.model.labels import LABELS
from pagelabel.training.checks import check_labels, check_ranges


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Labelled pages, as files that `pagelabel.data` reads, or patterns such as `pages/*.jsonl`. Relative paths start
    at the folder of the TOML file.

    Without `dev`, `dev_share` of the sites is held out of `train`, and kept as `dev.jsonl` in the run's folder. Lines
    that share a `page` field are views of one page: each epoch takes the whole page and some of its views.
    """

    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    dev_share: float = 0.1
    corrections: str | None = None


@dataclass(frozen=True, slots=True)
class EncodingSettings:
    """Token counts of the windows, what stands at their head, whether links are read where they are known, and whether
    lines that go on are joined (`pagelabel.model.lines`), see `pagelabel.model.encoding.EncodingConfig`, which has the
    defaults. Where `base` is a trained model, what is not set is as it was trained with."""

    window_tokens: int | None = None
    context_tokens: int | None = None
    head_tokens: int | None = None
    tail_tokens: int | None = None
    about: tuple[str, ...] | None = None
    links: bool | None = None
    join_lines: bool | None = None


@dataclass(frozen=True, slots=True)
class PageAugment:
    """Shares (0 to 1) of what is changed in a training page, see `pagelabel.training.augment`; `views` is how many of a
    page's views an epoch takes, `repeat_rare` how often more it takes a page with rare labels, `listings` how many
    index pages are made of the articles, see `pagelabel.training.listings`. `hide_about` is how often a page's title or
    address is left out, `hide_links` how often its links are: many users have text alone. `wrap_lines` is the share of
    pages that are hard-wrapped, as extractors that keep line breaks leave some, see `pagelabel.training.wrapping`."""

    crop: float = 0.2
    strip_furniture: float = 0.3
    only_furniture: float = 0.07
    repeat_rare: int = 1
    views: int = 1
    listings: int = 0
    wrap_lines: float = 0.0
    hide_about: float = 0.3
    hide_links: float = 0.5
    rare_labels: tuple[str, ...] = ("donation",)


@dataclass(frozen=True, slots=True)
class AugmentConfig(PageAugment):
    """`mask_tokens` is the share of tokens that are masked, `skip_uniform` how often a window of one label alone is
    left out."""

    mask_tokens: float = 0.08
    skip_uniform: float = 0.5


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """AdamW with linear warm-up and decay. `head_rate` is for the layers that are new; `class_weights` as `labels`.
    With `compile` the layers are compiled first, see `pagelabel.training.precision`."""

    epochs: int = 4
    batch_windows: int = 8
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    warmup: float = 0.06
    weight_decay: float = 0.01
    label_smoothing: float = 0.03
    dropout: float = 0.0
    doubt_weight: float = 0.5
    class_weights: tuple[float, ...] | None = None
    evaluations: int = 6
    patience: int = 3
    threads: int | None = None
    compile: bool = False


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides a run. `name` is that of the file it was read from, for the model card."""

    name: str = "config"
    base: str = "all-MiniLM-L6-v2"
    layers: int | None = None
    labels: tuple[str, ...] = LABELS
    seed: int = 1
    data: DataConfig = field(default_factory=DataConfig)
    encoding: EncodingSettings = field(default_factory=EncodingSettings)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        check_ranges(self.data, self.augment, self.optim)
        rare = self.augment.rare_labels
        check_labels(self.labels, self.optim.class_weights, rare, AugmentConfig().rare_labels)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_config(path: str | Path) -> TrainingConfig:
    """Read a TOML file. Raises ValueError that names the file and the key, and OSError if it cannot be read."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        config: TrainingConfig = build(TrainingConfig, values)
        data = resolved(config.data, path.parent)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    # A base is a folder beside the config, a folder, or a name.
    base = path.parent / config.base
    return replace(config, name=path.stem, base=str(base.resolve()) if base.is_dir() else config.base, data=data)


def same_settings(stored: dict[str, Any], config: Any) -> bool:
    """Whether the settings that a run was begun with are those of `config` (which has `to_dict`). What it did not have
    yet stands at its default, which changes nothing."""

    def filled(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
        known = {
            key: filled(values.get(key, {}), default) if isinstance(default, dict) else values.get(key, default)
            for key, default in defaults.items()
        }
        return values | known

    asked, defaults = (json.loads(json.dumps(settings.to_dict())) for settings in (config, type(config)()))
    same: bool = filled(stored, defaults) == asked
    return same


def resolved(data: DataConfig, folder: Path) -> DataConfig:
    """`data` with its relative paths starting at `folder` and its patterns (`pages/*.jsonl`) as the files that they
    stand for, sorted. Raises ValueError where a pattern stands for none."""

    def place(name: str) -> str:
        return str((folder / name).resolve())

    def places(names: Sequence[str]) -> tuple[str, ...]:
        out: list[str] = []
        for name in names:
            literal = not glob.has_magic(name) or (folder / name).exists()
            found = [name] if literal else sorted(glob.glob(name, root_dir=folder))
            if not found:
                raise ValueError(f"no file is like {name!r} (looked for from {folder})")
            out += map(place, found)
        return tuple(out)

    return replace(
        data,
        train=places(data.train),
        dev=places(data.dev),
        corrections=None if data.corrections is None else place(data.corrections),
    )


def build(cls: Any, values: dict[str, Any], prefix: str = "") -> Any:
    """A settings dataclass of the values of a TOML table. Raises ValueError that names the key."""
    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            raise ValueError(f"unknown key '{prefix}{key}'; known are {', '.join(known)}")
    made: dict[str, Any] = {}
    for key, value in values.items():
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise ValueError(f"'{key}' should be a table")
            made[key] = build(hints[key], value, f"{key}.")
        else:
            made[key] = _checked(f"{prefix}{key}", str(known[key].type), value)
    return cls(**made)


def _checked(key: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        element = str if "str" in kind else (int, float)
        if not isinstance(value, list) or not all(isinstance(v, element) and not isinstance(v, bool) for v in value):
            raise ValueError(f"'{key}' should be a list of {'strings' if element is str else 'numbers'}")
        return tuple(value)
    expected: Any = {"int": int, "float": (int, float), "str": str, "bool": bool}[kind.removesuffix(" | None")]
    if not isinstance(value, expected) or isinstance(value, bool) != (expected is bool):
        raise ValueError(f"'{key}' should be of type {kind}, found {value!r}")
    return value
