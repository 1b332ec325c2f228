"""Checkpoint to bundle, checked before it is renamed into place."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tqdm import tqdm

from pagelabel.data.page import Page
from pagelabel.export.calibrate import fit_decisions
from pagelabel.export.card import model_card
from pagelabel.export.graph import write_fp32, write_int8
from pagelabel.export.pair import export_pair
from pagelabel.export.parity import Parity, Tolerance, measure, same_tokens
from pagelabel.export.reference import reference_rows
from pagelabel.export.writing import ExportError, dev_sets, evaluations, new_bundle, portable, reference_pages
from pagelabel.flat import FlatModel, Logits
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import (
    CARD,
    CONFIG,
    FILES,
    FLAT,
    MODEL,
    REFERENCE,
    TOKENIZER,
    BundleConfig,
    find_bundle,
    is_bundle,
    read_bundle,
    sha256,
)
from pagelabel.model.checkpoint import Checkpoint, is_checkpoint
from pagelabel.model.encoding import Encoder
from pagelabel.model.pair import Pair
from pagelabel.sessions import open_session
from pagelabel.training.base import load_model
from pagelabel.training.pages import one_view
from pagelabel.training.wrapping import as_read

_TORCH_PAGES = 40
# What the bundle says elsewhere, or the machine alone has.
_IDLE = ("labels", "encoding", "encoder", "dev")


def export(
    checkpoint: str | Path, output: str | Path, *, dev: Sequence[str] = (), tolerance: Tolerance | None = None
) -> Path:
    """Write the bundle of a checkpoint (or of a bundle, whose decisions are then fitted to other pages: of a pair the
    weight, too) to `output`, replacing a bundle there.

    Temperature, transitions and thresholds are fitted, and parity and scores measured, on the labelled pages of `dev`
    (by default the dev files of the training run). Raises ExportError when a parity level is not reached and
    ValueError when there are no labelled pages; `output` is untouched then.
    """
    output, folder = Path(output), find_bundle(checkpoint)
    if is_bundle(folder) and isinstance(encoding := read_bundle(folder).encoding, Pair):
        flat, fast = (folder / part for part in encoding.parts)
        return export_pair(flat, fast, output, dev=dev)
    loaded = load_model(checkpoint)
    loaded.network.encoder.set_attn_implementation("eager")
    sets = dev_sets(list(dev) or list(loaded.info.get("dev", ())), loaded.labels)
    with new_bundle(output) as folder:
        _write(loaded, sets, folder, tolerance or Tolerance(), from_bundle=not is_checkpoint(checkpoint))
    return output


def _write(
    checkpoint: Checkpoint, sets: dict[str, list[Page]], folder: Path, tolerance: Tolerance, *, from_bundle: bool
) -> None:
    join = checkpoint.encoding.join_lines
    pages = as_read([page for pages in sets.values() for page in pages], join=join)
    checkpoint.tokenizer.save(str(folder / TOKENIZER))
    config = BundleConfig(checkpoint.labels, checkpoint.encoding, 1.0, {}, {}, {})
    encoder = Encoder(Tokenizer.from_file(str(folder / TOKENIZER)), checkpoint.encoding)
    with tempfile.TemporaryDirectory() as scratch:
        fp32 = Path(scratch) / "fp32.onnx"
        _say("writing the graph, fp32 and int8")
        write_fp32(checkpoint.network, fp32)
        write_int8(fp32, folder / MODEL)
        int8 = Labeler(config, FlatModel(encoder, open_session(folder / MODEL, None)))
        bar = tqdm(pages, desc="int8 logits", unit="page", disable=not sys.stderr.isatty())
        logits = [int8.logits(page) for page in bar]
        _say("comparing torch, fp32 and int8")
        fp32_labeler = Labeler(config, FlatModel(encoder, open_session(fp32, None)))
        parity = _parity(checkpoint, fp32_labeler, encoder, pages, logits, tolerance)
    config = fit_decisions(config, logits, pages)
    rows = reference_rows(checkpoint.network, encoder, config, reference_pages())
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (folder / REFERENCE).write_text("".join(lines), encoding="utf-8")
    scores = evaluations(sets, logits, config, join=join)
    config = replace(
        config,
        sha256={name: sha256(folder / name) for name in FILES[FLAT]},
        provenance={
            "checkpoint": {**portable(checkpoint.info, _IDLE), "encoder": _encoder(checkpoint.info)},
            "parity": {**parity.to_dict(), "from_bundle": from_bundle},
            "metrics": {name: evaluation.summary() for name, evaluation in scores.items()},
        },
    )
    (folder / CARD).write_text(model_card(config, scores), encoding="utf-8")
    (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")


def _parity(
    checkpoint: Checkpoint,
    fp32: Labeler,
    encoder: Encoder,
    pages: Sequence[Page],
    int8: Sequence[Logits],
    tolerance: Tolerance,
) -> Parity:
    """Token ids on all pages; logits on whole pages and one view of each, torch's on the first of them."""
    other = same_tokens(Encoder(checkpoint.tokenizer, checkpoint.encoding), encoder, pages)
    if other is not None:
        raise ExportError(f"token ids of page {other!r} differ between checkpoint and bundle")
    number = {id(page): i for i, page in enumerate(pages)}
    some = one_view(pages)
    quantised = np.concatenate([int8[number[id(page)]] for page in some])
    parity = measure(checkpoint.network, fp32, encoder, some, quantised, _TORCH_PAGES)
    failures = parity.failures(tolerance)
    if failures:
        raise ExportError("parity not reached, nothing written: " + "; ".join(failures))
    return parity


def _encoder(info: dict[str, Any]) -> dict[str, Any]:
    """The encoder's settings, with which training can go on from the bundle (`pagelabel.training.restore`)."""
    return {key: value for key, value in info["encoder"].items() if key != "_name_or_path"}


def _say(message: str) -> None:
    print(message, file=sys.stderr)
