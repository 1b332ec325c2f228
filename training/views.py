"""Views of pages whose HTML we do not have: what an extractor would leave, learnt from what it left of other pages.

    python -m pagelabel.training.views PAGES -o VIEWS --whole WHOLE... --views VIEWS_OF_WHOLE...

For each extractor (`view`) of the second files a gradient boosting classifier learns which paragraphs of the whole
pages it keeps, from the text's features, the share of links (`link`, percent) and those of the neighbours. It then
chooses among the paragraphs of PAGES. The labels stay as they are: extractors do not know them, and so this does not
either. Each view has the fields `page` (the id of the page) and `view`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from tqdm import tqdm

from pagelabel.commands import finish
from pagelabel.data.page import Page
from pagelabel.data.pagefiles import valid_pages, write_pages
from pagelabel.model.features import FEATURE_NAMES, page_features

# Of the neighbours: words, whether they end like a sentence, links.
_LOOKS = (FEATURE_NAMES.index("words"), FEATURE_NAMES.index("stop"), -1)
_REACH = 4
_AVERAGED = (8, 24)
# What is kept hangs on settings and markup that the paragraphs do not show, so pages differ in how much they keep.
_CUTS = (0.3, 0.7)
# Fields with an entry for each paragraph: those that a view has of its own, and those that only its page needs.
_KEPT, _LEFT = ("weights", "probabilities"), ("link", "main")


def extractor_features(page: Page) -> npt.NDArray[np.float32]:
    """What decides about each paragraph, float32 [N, features]. Raises ValueError on a page without `link`."""
    if page.link is None:
        raise ValueError(
            f"page {page.id!r}: 'link' should be a percentage for each of its {len(page.paragraphs)} paragraphs"
        )
    own = np.column_stack([page_features(page.paragraphs), np.array(page.link, np.float32) / 100])
    looks = own[:, _LOOKS]
    shifted = [_shift(looks, step) for step in range(-_REACH, _REACH + 1) if step]
    averages = [_average(looks, reach) for reach in (*_AVERAGED, len(looks))]
    return np.column_stack([own, *shifted, *averages]).astype(np.float32)


def _shift(rows: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.float32]:
    """Row i + step in row i; -1 beyond the page."""
    out = np.full_like(rows, -1)
    if step > 0:
        out[:-step] = rows[step:]
    else:
        out[-step:] = rows[:step]
    return out


def _average(rows: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.float64]:
    """Mean of the rows at most `reach` before or behind each."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    places = np.arange(len(rows))
    start, stop = np.maximum(0, places - reach), np.minimum(len(rows), places + reach + 1)
    return np.asarray((sums[stop] - sums[start]) / (stop - start)[:, None])


def kept_paragraphs(page: Page, view: Page) -> npt.NDArray[np.bool_]:
    """Which paragraphs of the page are in its view, bool [N]; of a text that comes more often, the first ones."""
    left = Counter(view.paragraphs)
    kept = np.zeros(len(page.paragraphs), bool)
    for i, text in enumerate(page.paragraphs):
        if left[text]:
            left[text] -= 1
            kept[i] = True
    return kept


def learn(pages: Sequence[Page], views: Sequence[Page], seed: int) -> dict[str, HistGradientBoostingClassifier]:
    """A classifier of kept paragraphs for each extractor."""
    known = {page.id: page for page in pages}
    features = {page.id: extractor_features(page) for page in pages}
    rows: dict[str, list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]] = defaultdict(list)
    for view in views:
        name = str(view.extra["page"])
        if name in known:
            rows[str(view.extra["view"])].append((features[name], kept_paragraphs(known[name], view)))
    models = {}
    for name, found in tqdm(sorted(rows.items()), disable=not sys.stderr.isatty()):
        x, y = np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])
        models[name] = HistGradientBoostingClassifier(max_iter=150, random_state=seed).fit(x, y)
    return models


def simulated(page: Page, models: dict[str, HistGradientBoostingClassifier], seed: int) -> Iterator[Page]:
    """The page as each extractor would leave it; none where it would leave nothing or everything."""
    features = extractor_features(page)
    for number, (name, model) in enumerate(models.items()):
        rng = np.random.default_rng((seed, number, *page.id.encode()))
        kept = np.flatnonzero(model.predict_proba(features)[:, 1] > rng.uniform(*_CUTS)).tolist()
        if 0 < len(kept) < len(page.paragraphs):
            extra = {key: value for key, value in page.extra.items() if key not in _LEFT}
            for key in _KEPT:
                if extra.get(key):
                    extra[key] = [extra[key][i] for i in kept]
            if extra.get("doubt"):
                extra["doubt"] = [place for place, i in enumerate(kept) if i in extra["doubt"]]
            yield replace(
                page,
                id=f"{page.id}#{name}",
                paragraphs=[page.paragraphs[i] for i in kept],
                labels=None if page.labels is None else [page.labels[i] for i in kept],
                extra={**extra, "page": page.id, "view": name},
            )


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate what extractors leave of pages.")
    parser.add_argument("pages")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--whole", nargs="+", required=True)
    parser.add_argument("--views", nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    models = learn(list(valid_pages(args.whole)), list(valid_pages(args.views)), args.seed)
    pages = tqdm(valid_pages([args.pages]), disable=not sys.stderr.isatty())
    write_pages(args.output, (view for page in pages for view in simulated(page, models, args.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(finish("pagelabel.training.views", main))
