"""Checkpoint of the fast model to bundle, checked before it is renamed into place.

pagelabel export runs/fast/best -o model/fast --dev PAGES...
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding

from pagelabel.data.page import Page
from pagelabel.export.calibrate import fit_decisions
from pagelabel.export.card import model_card
from pagelabel.export.graph import write_graph, write_int8
from pagelabel.export.parity import agrees
from pagelabel.export.reference import reference_row, rounded
from pagelabel.export.writing import ExportError, dev_sets, evaluations, new_bundle, portable, reference_pages
from pagelabel.flat import Logits
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import (
    CARD,
    CONFIG,
    FILES,
    HIERARCHICAL,
    PAGE,
    PARAGRAPHS,
    REFERENCE,
    WORDS,
    BundleConfig,
    find_bundle,
    is_bundle,
    sha256,
)
from pagelabel.model.features import read_features
from pagelabel.model.hierarchical import HierarchicalNetwork
from pagelabel.model.lines import Lines
from pagelabel.model.words import Words
from pagelabel.training.fast_start import load_base
from pagelabel.training.wrapping import as_read

_LOGITS, _AGREEMENT = 0.5, 0.995
_MANY = 200
_NEVER = -1e6


class _Paragraphs(torch.nn.Module):
    """The paragraph reader on distinct words: what a word adds to its own place and to its neighbours' is computed once
    a word, not once a place, and a place is then a sum of three rows. Its word table is in int8, a scale a word: a
    quarter of the bytes."""

    table: torch.Tensor
    scale: torch.Tensor
    before: torch.Tensor
    own: torch.Tensor
    behind: torch.Tensor

    def __init__(self, network: HierarchicalNetwork) -> None:
        super().__init__()
        reader = network.paragraphs
        table = reader.words.weight.detach()
        scale = table.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        self.register_buffer("table", (table / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        # As a place sees them: the word before, its own, the word behind.
        parts = reader.neighbours.weight.detach().chunk(3, dim=1)
        for name, part in zip(("before", "own", "behind"), parts, strict=True):
            self.register_buffer(name, part.T.contiguous())
        self.bias = reader.neighbours.bias
        self.out = reader.out

    def forward(self, words: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        table = embedding(words, self.table).to(torch.float32) * embedding(words, self.scale)
        # Row 0 stands for no word.
        table = torch.cat([table[:1] * 0, table])
        # No word is nowhere the strongest: relu is taken of the strongest alone, and nothing need be masked.
        own = torch.cat([torch.full_like(self.own[:1], _NEVER), (table @ self.own + self.bias)[1:]])
        edge = places[:, :1] * 0
        hidden = embedding(torch.cat([edge, places[:, :-1]], 1), table @ self.before) + embedding(places, own)
        hidden = hidden + embedding(torch.cat([places[:, 1:], edge], 1), table @ self.behind)
        mean = embedding(places, table).sum(1) / (places > 0).to(torch.float32).sum(1, keepdim=True)
        vectors: torch.Tensor = self.out(torch.cat([torch.relu(hidden.amax(1)), mean], -1))
        return vectors


class _Page(torch.nn.Module):
    def __init__(self, network: HierarchicalNetwork) -> None:
        super().__init__()
        self.reader = network.page

    def forward(self, vectors: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.reader(vectors[None], features[None])[0]
        return logits


def write_graphs(network: HierarchicalNetwork, folder: Path) -> None:
    """`paragraphs.onnx` and `page.onnx`, see `pagelabel.model.bundle`."""
    network.eval()
    distinct, paragraphs, longest, size = (
        torch.export.Dim(name, min=2, max=1 << 20) for name in ("distinct", "paragraphs", "longest", "size")
    )
    example = torch.arange(5), torch.ones(3, 4, dtype=torch.long)
    shapes: dict[str, Any] = {"words": {0: distinct}, "places": {0: paragraphs, 1: longest}}
    write_graph(_Paragraphs(network), example, folder / PARAGRAPHS, "vectors", shapes)
    vectors, features = torch.zeros(5, network.config.size), torch.zeros(5, network.config.features)
    shapes = {"vectors": {0: size}, "features": {0: size}}
    with tempfile.TemporaryDirectory() as scratch:
        fp32 = Path(scratch) / PAGE
        write_graph(_Page(network), (vectors, features), fp32, "logits", shapes)
        # Each page is a run of its own, so its scales hang on nothing else. 0.6 of the time of fp32.
        write_int8(fp32, folder / PAGE)


def _features(words: Words, page: Page) -> npt.NDArray[np.float32]:
    return read_features(page.paragraphs, page.link, words.config.features)


@torch.inference_mode()
def torch_logits(network: HierarchicalNetwork, words: Words, page: Page) -> Logits:
    """Logits of a page's paragraphs from torch in fp32, float32 [N, labels]."""
    about = words.about(page)
    vectors = torch.cat([network.paragraphs(torch.tensor([words.ids(text)])) for text in [*about, *page.paragraphs]])
    features = torch.from_numpy(_features(words, page))
    count, blank = len(about), torch.zeros(len(about), features.shape[1])
    rows = []
    for first, start, stop, end in words.spans(len(page.paragraphs)):
        inside = torch.cat([vectors[:count], vectors[count + first : count + end]])
        logits = network.page(inside[None], torch.cat([blank, features[first:end]])[None])[0]
        rows.append(logits[count + start - first : count + stop - first])
    return torch.cat(rows).numpy()


def export_fast(checkpoint: str | Path, output: str | Path, *, dev: Sequence[str] = ()) -> Path:
    """As `pagelabel.export.export.export`, for a checkpoint of `pagelabel.training.fast`, or the bundle of one, whose
    decisions are fitted anew. Raises ExportError where the graphs do not give torch's labels."""
    network, words, info = load_base(checkpoint)
    labels = tuple(info["labels"])
    sets = dev_sets(list(dev) or list(info.get("dev") or info["training"]["data"]["dev"]), labels)
    join = words.config.join_lines
    pages = as_read([page for found in sets.values() for page in found], join=join)
    output = Path(output)
    with new_bundle(output) as folder:
        (folder / WORDS).write_text("".join(word + "\n" for word in words.vocabulary), encoding="utf-8")
        write_graphs(network, folder)
        config = BundleConfig(labels, words.config, 1.0, {}, {}, {})
        model = HierarchicalModel.load(folder, words.config, None, 0)
        if model.words.vocabulary != words.vocabulary:
            raise ExportError(f"{WORDS} does not give back the vocabulary")
        labeler = Labeler(config, model)
        logits = [labeler.logits(page) for page in pages]
        parity = _parity(network, words, pages, logits)
        config = fit_decisions(config, logits, pages)
        (folder / REFERENCE).write_text("".join(_reference(network, words, config)), encoding="utf-8")
        scores = evaluations(sets, logits, config, join=join)
        config = replace(
            config,
            sha256={name: sha256(folder / name) for name in FILES[HIERARCHICAL]},
            provenance={
                "checkpoint": portable(info, ("dev",)),
                "parity": {**parity, "from_bundle": is_bundle(find_bundle(checkpoint))},
                "metrics": {name: evaluation.summary() for name, evaluation in scores.items()},
            },
        )
        (folder / CARD).write_text(model_card(config, scores), encoding="utf-8")
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
    return output


def _parity(
    network: HierarchicalNetwork, words: Words, pages: Sequence[Page], logits: Sequence[Logits]
) -> dict[str, Any]:
    """The graphs against torch in fp32, on every eighth of many pages; what differs is int8: word table and page
    network."""
    every = 8 if len(pages) >= _MANY else 1
    expected = np.concatenate([torch_logits(network, words, page) for page in pages[::every]])
    given = np.concatenate(logits[::every])
    agreement = float((expected.argmax(1) == given.argmax(1)).mean())
    difference = float(np.abs(expected - given).max())
    same = int((expected.argmax(1) == given.argmax(1)).sum())
    if not (agrees(same, len(expected), _AGREEMENT) and difference <= _LOGITS):
        raise ExportError(
            f"labels agree with torch on {agreement:.2%} (at least {_AGREEMENT:.1%} needed), logits differ by "
            f"{difference:.2g} (allowed {_LOGITS}): nothing written"
        )
    return {
        "pages": len(pages[::every]),
        "paragraphs": len(expected),
        "logits": difference,
        "agreement": agreement,
    }


def _reference(network: HierarchicalNetwork, words: Words, config: BundleConfig) -> list[str]:
    join = words.config.join_lines
    rows = []
    for page in reference_pages():
        read = Lines.of(page, join=join).page
        inputs = {
            "words": [words.ids(text) for text in [*words.about(read), *read.paragraphs]],
            "features": rounded(_features(words, read), 6),
        }
        row = reference_row(page, inputs, torch_logits(network, words, read), config, join=join)
        rows.append(json.dumps(row, ensure_ascii=False) + "\n")
    return rows
