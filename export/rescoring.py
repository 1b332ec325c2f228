"""The rescorer of a bundle: a trained one as a graph, or another bundle's as it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pagelabel.data.page import Page
from pagelabel.export.graph import write_graph
from pagelabel.export.parity import Logits
from pagelabel.export.writing import ExportError
from pagelabel.model.bundle import RESCORER, read_bundle
from pagelabel.model.features import FEATURE_NAMES, page_features
from pagelabel.model.rescorer import Rescorer as Network
from pagelabel.rescorer import Rescorer
from pagelabel.training.rescore import load_rescorer

_LOGITS = 1e-4


class Rescoring(NamedTuple):
    """A bundle's rescorer, and what is known of its training; none in most."""

    rescorer: Rescorer | None
    info: dict[str, Any] | None

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.rescorer is None else (RESCORER,)

    def rescored(self, logits: Sequence[Logits], pages: Sequence[Page]) -> list[Logits]:
        """Logits of pages, those that have no paragraphs as they are."""
        if self.rescorer is None:
            return list(logits)
        return [
            self.rescorer(rows, page_features(page.paragraphs)) if len(rows) else rows
            for rows, page in zip(logits, pages, strict=True)
        ]


class _Page(torch.nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, logits: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.network(logits[None], features[None])[0]
        return out


def put_rescorer(source: str | Path | None, folder: Path, labels: Sequence[str]) -> Rescoring:
    """Write `rescorer.onnx` into `folder`: from a file of `pagelabel.training.rescore`, or that of a bundle, where it
    has one. Raises ExportError where its labels are others, or the graph does not give torch's logits."""
    if source is None:
        return Rescoring(None, None)
    source = Path(source)
    if source.is_dir():
        config = read_bundle(source)
        if RESCORER not in config.files:
            return Rescoring(None, None)
        _check_labels(source, config.labels, labels)
        shutil.copyfile(source / RESCORER, folder / RESCORER)
        return Rescoring(Rescorer(folder, None), config.provenance.get("rescorer"))
    network, info = load_rescorer(source)
    _check_labels(source, info["labels"], labels)
    page = torch.export.Dim("paragraphs", min=2, max=1 << 24)
    example = torch.zeros(5, len(labels)), torch.zeros(5, len(FEATURE_NAMES))
    shapes: dict[str, Any] = {"logits": {0: page}, "features": {0: page}}
    write_graph(_Page(network), example, folder / RESCORER, "rescored", shapes)
    rescorer = Rescorer(folder, None)
    rng = np.random.default_rng(0)
    for size in (1, 2, 300):
        logits = rng.normal(size=(size, len(labels))).astype(np.float32) * 3
        features = rng.random((size, len(FEATURE_NAMES)), dtype=np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(logits)[None], torch.from_numpy(features)[None])[0].numpy()
        difference = float(np.abs(rescorer(logits, features) - expected).max())
        if not difference <= _LOGITS:
            raise ExportError(f"{source}: the rescorer's graph differs from torch by {difference:.2g}: nothing written")
    return Rescoring(rescorer, info)


def _check_labels(source: Path, found: Sequence[str], labels: Sequence[str]) -> None:
    if tuple(found) != tuple(labels):
        raise ExportError(f"{source}: a rescorer of the labels {', '.join(found)}, the model has {', '.join(labels)}")
