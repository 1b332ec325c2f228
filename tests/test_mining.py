"""Which paragraphs a model knows already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pagelabel.data.page import Page
from pagelabel.training.config import AugmentConfig, TrainingConfig
from pagelabel.training.mining import known_paragraphs
from pagelabel.training.teacher import write_rows


def test_a_paragraph_is_known_where_its_own_label_is_likely(tmp_path: Path) -> None:
    page = Page("a", ["x", "y", "z"], labels=["quote", "body", "promo"])
    other = Page("b", ["x"], labels=["body"])
    likely = np.array([[0.05, 0.9, 0.05, 0, 0], [0.7, 0.3, 0, 0, 0], [0.9, 0, 0.1, 0, 0]], np.float32)
    file = tmp_path / "p.safetensors"
    write_rows(file, [page], [likely])
    config = TrainingConfig(probabilities=str(file), augment=AugmentConfig(skip_known=0.5))
    assert known_paragraphs([page, other], config) == [[True, False, False], None]
    assert known_paragraphs([page, other], TrainingConfig()) == [None, None]
    with pytest.raises(ValueError, match=r"page 'a' has rows of shape \(3, 5\)"):
        known_paragraphs([Page("a", ["x"], labels=["body"])], config)
