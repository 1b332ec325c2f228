"""Reference pages of a bundle: the project's own text with the token ids, logits and labels that torch gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pagelabel.data.page import Page
from pagelabel.export.parity import torch_logits
from pagelabel.flat import Logits
from pagelabel.model.bundle import BundleConfig
from pagelabel.model.encoding import Encoder
from pagelabel.model.lines import Lines
from pagelabel.model.network import PageNetwork


def reference_rows(
    network: PageNetwork, encoder: Encoder, config: BundleConfig, pages: Sequence[Page]
) -> Iterator[dict[str, Any]]:
    """One row a page, see `reference_row`, with windows (token ids) and features; logits are those of fp32."""
    join = encoder.config.join_lines
    for page in pages:
        read = Lines.of(page, join=join).page
        windows = list(encoder.windows(read))
        features = [row for window in windows for row in window.features[window.core_markers]]
        inputs = {"windows": [window.ids.tolist() for window in windows], "features": rounded(features, 6)}
        yield reference_row(page, inputs, torch_logits(network, encoder, read), config, join=join)


def reference_row(
    page: Page, inputs: dict[str, Any], logits: Logits, config: BundleConfig, *, join: bool
) -> dict[str, Any]:
    """What is known of a page; with `join`, how many of its `lines` each paragraph is read from; `inputs`, which are of
    what is read; logits (5 decimals) and label of each line, of `logits` [N, labels] of what is read."""
    sizes = Lines.of(page, join=join).sizes
    labels = config.decide(logits)[0]
    return {
        **known_of(page),
        **({"lines": sizes} if join else {}),
        **inputs,
        "logits": rounded(np.repeat(logits, sizes, axis=0), 5),
        "labels": np.repeat(labels, sizes).tolist(),
    }


def rounded(rows: Iterable[npt.NDArray[np.float32]], decimals: int) -> list[list[float]]:
    return [[round(float(value), decimals) for value in row] for row in rows]


def known_of(page: Page) -> dict[str, Any]:
    """Id, url, title and links, where known, and paragraphs: what a port needs to encode the page."""
    known = {"id": page.id, "url": page.url, "title": page.title, "link": page.link, "paragraphs": page.paragraphs}
    return {name: value for name, value in known.items() if value is not None}
