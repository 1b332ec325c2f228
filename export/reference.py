"""Reference pages of a bundle: the project's own text with the token ids, logits and labels that torch gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pagelabel.data.page import Page
from pagelabel.export.parity import torch_logits
from pagelabel.model.bundle import BundleConfig
from pagelabel.model.encoding import Encoder
from pagelabel.model.network import PageNetwork


def reference_rows(
    network: PageNetwork, encoder: Encoder, config: BundleConfig, pages: Sequence[Page]
) -> Iterator[dict[str, Any]]:
    """One row a page: what is known of it, windows (token ids), features, logits (fp32, 5 decimals) and labels."""
    for page in pages:
        logits = torch_logits(network, encoder, page)
        windows = list(encoder.windows(page))
        yield {
            **known_of(page),
            "windows": [window.ids.tolist() for window in windows],
            "features": [
                [round(float(value), 6) for value in row]
                for window in windows
                for row in window.features[window.core_markers]
            ],
            "logits": [[round(float(value), 5) for value in row] for row in logits],
            "labels": config.decide(logits)[0],
        }


def known_of(page: Page) -> dict[str, Any]:
    """Id, url, title and links, where known, and paragraphs: what a port needs to encode the page."""
    known = {"id": page.id, "url": page.url, "title": page.title, "link": page.link, "paragraphs": page.paragraphs}
    return {name: value for name, value in known.items() if value is not None}
