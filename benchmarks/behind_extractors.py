r"""Does labelling help behind an extractor? Word-weighted F1 of the article before and after.

    python benchmarks/behind_extractors.py --pages ../shared/data/dev.jsonl.gz \
        --views ../shared/data/dev_views.jsonl.gz --out benchmarks/results

For each extractor: all of its lines against only those labelled body or quote. The article is what the page's own
labels call body or quote, so article words that the extractor lost count as lost in both. An interval resamples pages.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from measured import measured

from pagelabel import Labeler, Page
from pagelabel.data.page import ARTICLE_LABELS

_RESAMPLES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, help="labelled whole pages (JSON lines)")
    parser.add_argument("--views", required=True, help="the same pages as extractors leave them, labelled")
    parser.add_argument("--bundle", help="bundle folder (default: the shipped one)")
    parser.add_argument("--out", type=Path, help="folder for behind_extractors.json")
    args = parser.parse_args()
    wanted = {page.id: _words(page, page.labels) for page in measured(args.pages)}
    views = measured(args.views)
    labeler = Labeler.load(args.bundle)
    counts: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for view, labelled in zip(views, labeler.label_pages(views), strict=True):
        article = wanted[view.extra["page"]]
        everything = sum(len(text.split()) for text in view.paragraphs)
        right = _words(view, view.labels)
        kept = _words(view, labelled.labels)
        both = sum(
            len(text.split())
            for text, gold, given in zip(view.paragraphs, view.labels or (), labelled.labels or (), strict=True)
            if gold in ARTICLE_LABELS and given in ARTICLE_LABELS
        )
        counts[view.extra["view"]].append((article, everything, right, kept, both))
    rows = {name: _row(np.array(found)) for name, found in sorted(counts.items())}
    text = json.dumps(rows, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "behind_extractors.json").write_text(text + "\n", encoding="utf-8")


def _row(counts: np.ndarray) -> dict[str, object]:
    rng = np.random.default_rng(0)
    samples = counts[rng.integers(0, len(counts), (_RESAMPLES, len(counts)))].sum(axis=1)
    gains = _f1(samples[:, 0], samples[:, 3], samples[:, 4]) - _f1(samples[:, 0], samples[:, 1], samples[:, 2])
    article, everything, right, kept, both = counts.sum(axis=0)
    before, after = float(_f1(article, everything, right)), float(_f1(article, kept, both))
    return {
        "pages": len(counts),
        "extractor_f1": round(before, 4),
        "with_pagelabel_f1": round(after, 4),
        "gain": round(after - before, 4),
        "gain_interval": [round(float(value), 4) for value in np.quantile(gains, (0.025, 0.975))],
        "article_words_lost_by_pagelabel": round(1 - both / right, 4),
        "other_words_removed": round(1 - (kept - both) / max(1, everything - right), 4),
    }


def _f1(article: np.ndarray, kept: np.ndarray, both: np.ndarray) -> np.ndarray:
    # A block that an extractor repeats could count more often than the page has it.
    return 2 * np.minimum(both, article) / (article + kept)


def _words(page: Page, labels: list[str] | None) -> int:
    pairs = zip(page.paragraphs, labels or (), strict=True)
    return sum(len(text.split()) for text, label in pairs if label in ARTICLE_LABELS)


if __name__ == "__main__":
    main()
