"""Reference pages of a bundle: the project's own text with the token ids, logits and labels that torch gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pagelabel.data.page import Page
from pagelabel.export.parity import Logits, torch_logits
from pagelabel.export.rescoring import Rescoring
from pagelabel.model.bundle import BundleConfig
from pagelabel.model.encoding import Encoder
from pagelabel.model.network import PageNetwork


def reference_rows(
    network: PageNetwork, encoder: Encoder, config: BundleConfig, pages: Sequence[Page], rescoring: Rescoring
) -> Iterator[dict[str, Any]]:
    """One row a page: what is known of it, windows (token ids), features, the model's logits (fp32, 5 decimals), those
    of the rescorer, where there is one, and labels."""
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
            **decided(page, logits, config, rescoring),
        }


def decided(page: Page, logits: Logits, config: BundleConfig, rescoring: Rescoring) -> dict[str, Any]:
    """Logits of a reference page, as they are and rescored, and its labels."""
    (rescored,) = rescoring.rescored([logits], [page])
    fields = {"logits": logits, **({"rescored": rescored} if rescoring.files else {})}
    numbers = {name: [[round(float(value), 5) for value in row] for row in rows] for name, rows in fields.items()}
    return {**numbers, "labels": config.decide(rescored)[0]}


def known_of(page: Page) -> dict[str, Any]:
    """Id, url and title, where known, and paragraphs: what a port needs to encode the page."""
    known = {"id": page.id, "url": page.url, "title": page.title, "paragraphs": page.paragraphs}
    return {name: value for name, value in known.items() if value is not None}
