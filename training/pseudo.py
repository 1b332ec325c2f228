"""Labels for unlabelled pages from a model that is already good, as training data for the next one (self-training).

    python -m pagelabel.training.pseudo PAGES -o FILE [--model BUNDLE...] [--workers N]

Each page gets `labels`, `weights` (how much each paragraph counts in the loss, 0 to 1) and `probabilities`. Where a
page has `main` (1 where its corpus has the paragraph in the main text), the two opinions are joined. Only what the
models are sure of counts: Xie et al., Self-training with Noisy Student, 2020 (https://arxiv.org/abs/1911.04252). The
noise is that of training (cuts, masked tokens): a part of a page learns the labels that were read in the whole page.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pagelabel.commands import finish
from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.data.pagefiles import valid_pages, write_pages
from pagelabel.labeler import Labeler

# Odds for the article's labels where the corpus has a paragraph in its main text, and where not. `main` leaves out
# bylines, captions and what only some corpora count as text, so its absence says less than its presence.
_MAIN_ODDS, _OTHER_ODDS = 3.0, 0.5
# Below this probability a label is a guess: it has no weight.
_SURE = 0.6


def join_main(
    probabilities: npt.NDArray[np.float64], main: Sequence[int] | None, labels: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Probabilities [N, labels] with the evidence of `main` (a 0 or 1 each paragraph); unchanged where it says nothing
    (no `main`, or none of the page in it)."""
    if main is None or not any(main):
        return probabilities
    article = np.array([label in ARTICLE_LABELS for label in labels])
    odds = np.where(np.array(main, bool)[:, None], _MAIN_ODDS, _OTHER_ODDS)
    joined = np.where(article, probabilities * odds, probabilities)
    return np.asarray(joined / joined.sum(axis=1, keepdims=True))


def pseudo_labelled(page: Page, probabilities: npt.NDArray[np.float64], labels: Sequence[str]) -> Page:
    """The page with labels, and `weights` and `probabilities` among its further fields."""
    main = page.extra.get("main")
    joined = join_main(probabilities, main if isinstance(main, list) else None, labels)
    best = joined.max(axis=1, initial=0.0)
    weights = np.where(best >= _SURE, best, 0.0)
    extra = {
        **page.extra,
        "weights": [round(float(weight), 3) for weight in weights],
        "probabilities": [[round(float(p), 4) for p in row] for row in joined],
    }
    return replace(page, labels=[labels[i] for i in joined.argmax(axis=1)], scores=None, extra=extra)


_labelers: list[Labeler]


def _start(bundles: Sequence[str | None]) -> None:
    global _labelers
    _labelers = [Labeler.load(bundle, threads=1) for bundle in bundles]
    if len({labeler.labels for labeler in _labelers}) > 1:
        raise ValueError("the models have different labels")


def _label(page: Page) -> Page:
    found = [labeler.config.probabilities(labeler.logits(page)) for labeler in _labelers]
    return pseudo_labelled(page, np.mean(found, axis=0), _labelers[0].labels)


def main() -> int:
    parser = argparse.ArgumentParser(description="Label unlabelled pages for training.")
    parser.add_argument("pages", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", nargs="+", default=[None], help="bundles, whose probabilities are averaged")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.workers, _start, (args.model,)) as pool:
        labelled = pool.imap(_label, valid_pages(args.pages), chunksize=4)
        write_pages(args.output, tqdm(labelled, disable=not sys.stderr.isatty()))
    return 0


if __name__ == "__main__":
    sys.exit(finish("pagelabel.training.pseudo", main))
