"""What settings of a training run have to be, of whichever model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from math import inf
from typing import Any

# The least and the most that a setting may be, by its name.
_SHARES = (
    *("crop", "strip_furniture", "only_furniture", "swap_furniture", "mask_tokens", "skip_uniform", "wrap_lines"),
    *("hide_about", "hide_links", "warmup", "label_smoothing", "doubt_weight", "drop_words", "teacher_share"),
)
_COUNTS = (
    *("epochs", "batch_windows", "batch_paragraphs", "page_paragraphs", "evaluations", "patience", "threads"),
    *("head_words", "most", "least", "word_size", "size", "layers", "heads"),
)
_AMOUNTS = (
    *("repeat_rare", "views", "listings", "encoder_rate", "head_rate", "rate", "weight_decay", "states_weight"),
    *("tail_words", "sentence_epochs"),
)
_RANGES: dict[str, tuple[float, float | None]] = {
    **dict.fromkeys(_SHARES, (0, 1)),
    **dict.fromkeys(_COUNTS, (1, None)),
    **dict.fromkeys(_AMOUNTS, (0, None)),
    **dict.fromkeys(("dropout", "averaging"), (0, 0.9999)),
    "dev_share": (0.001, 0.999),
}


def check_ranges(*parts: Any) -> None:
    """Raises ValueError that names the first of these settings that is out of its range."""
    for part in parts:
        for item in fields(part):
            value, (least, most) = getattr(part, item.name), _RANGES.get(item.name, (None, None))
            if least is None or value is None:
                continue
            # So written, it is true of nan, too.
            if not least <= value <= (inf if most is None else most) or value == inf:
                range_ = f"at least {least}" if most is None else f"from {least} to {most}"
                raise ValueError(f"{item.name} should be {range_}, found {value}")


def check_labels(
    labels: Sequence[str], class_weights: Sequence[float] | None, rare: Sequence[str], usual: Sequence[str]
) -> None:
    """Raises ValueError where labels are too few or named twice, or where other settings do not fit them: a weight for
    each, and rare ones among them (but for those that a config has which says nothing, `usual`)."""
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise ValueError(f"labels should be at least two different names, found {list(labels)}")
    if class_weights is not None:
        if len(class_weights) != len(labels):
            raise ValueError(f"optim.class_weights has {len(class_weights)} numbers for {len(labels)} labels")
        if not all(0 <= weight < inf for weight in class_weights) or not any(class_weights):
            raise ValueError(f"optim.class_weights should be numbers from 0 on, not all 0, found {list(class_weights)}")
    unknown = set(rare) - set(labels)
    if unknown and tuple(rare) != tuple(usual):
        raise ValueError(f"augment.rare_labels names {sorted(unknown)}, which are not in labels")
