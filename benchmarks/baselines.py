"""Two baselines that a page-aware model has to beat: TF-IDF with logistic regression, alone and with neighbours.

`paragraph` sees the paragraph's words only, `neighbours` also those of the two paragraphs on each side, each in its
own block of features. Settings are chosen by cross-validation over the sites of the training pages.

    python benchmarks/baselines.py --train ../shared/data/train.jsonl.gz --dev ../shared/data/dev.jsonl.gz
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages
from pagelabel.model.labels import LABELS
from pagelabel.training.metrics import drop_doubt, score, score_by

MAX_ITER = 300
OFFSETS = {"paragraph": (0,), "neighbours": (0, -2, -1, 1, 2)}
FEATURES = 100_000
# Words and, unlike scikit-learn's default, one-letter words and punctuation: quotation marks tell quotes.
TOKEN = r"\w+|[^\w\s]"


@dataclass(frozen=True)
class Settings:
    """What cross-validation chooses: the inverse strength of the penalty, and whether rare labels weigh more."""

    c: float
    balanced: bool


GRID = tuple(Settings(c, balanced) for balanced in (False, True) for c in (0.1, 1.0, 10.0))


class Words:
    """TF-IDF of the words and word pairs of paragraphs."""

    def __init__(self, features: int = FEATURES):
        self.tfidf = TfidfVectorizer(
            ngram_range=(1, 2),
            token_pattern=TOKEN,
            min_df=2,
            max_features=features,
            sublinear_tf=True,
            dtype=np.float32,
        )

    def fit_matrix(self, pages: Sequence[Page]) -> sp.csr_matrix:
        """Learn the words of these pages; one row a paragraph."""
        return self.tfidf.fit_transform(text for page in pages for text in page.paragraphs)

    def matrix(self, pages: Sequence[Page]) -> sp.csr_matrix:
        """One row a paragraph, in the words learned."""
        return self.tfidf.transform(text for page in pages for text in page.paragraphs)


def with_neighbours(words: sp.csr_matrix, pages: Sequence[Page], offsets: Sequence[int]) -> sp.csr_matrix:
    """One block of columns for the paragraph at each offset; zeros where that is outside the page."""
    sizes = np.array([len(page.paragraphs) for page in pages])
    end = np.repeat(sizes.cumsum(), sizes)
    start = end - np.repeat(sizes, sizes)
    row = np.arange(words.shape[0])
    padded = sp.vstack([words, sp.csr_matrix((1, words.shape[1]), dtype=words.dtype)], format="csr")
    places = (row + offset for offset in offsets)
    return sp.hstack([padded[np.where((p >= start) & (p < end), p, len(row))] for p in places], format="csr")


def train(features: sp.csr_matrix, pages: Sequence[Page], settings: Settings) -> LogisticRegression:
    """Logistic regression from the features of the paragraphs to their labels."""
    weight = "balanced" if settings.balanced else None
    model = LogisticRegression(C=settings.c, class_weight=weight, max_iter=MAX_ITER, tol=1e-3)
    return model.fit(features, [label for page in pages for label in page.labels or ()])


def label(model: LogisticRegression, features: sp.csr_matrix, pages: Sequence[Page]) -> list[Page]:
    """The pages with the likeliest label of each paragraph, and its probability as score."""
    chances = model.predict_proba(features)
    labels = model.classes_[chances.argmax(axis=1)].tolist()
    scores = chances.max(axis=1).astype(float).tolist()
    labelled, start = [], 0
    for page in pages:
        end = start + len(page.paragraphs)
        labelled.append(replace(page, labels=labels[start:end], scores=scores[start:end]))
        start = end
    return labelled


def read_labelled(path: Path) -> list[Page]:
    """The pages of a file of JSON lines. Raises ValueError for one that is broken or has no labels."""
    pages = []
    for page in read_pages(str(path), "jsonl"):
        if isinstance(page, PageError):
            raise ValueError(str(page))
        if page.labels is None:
            raise ValueError(f"{path}: page {page.id!r} has no labels")
        pages.append(page)
    return pages


def cross_validate(pages: Sequence[Page], *, sites: int, folds: int, seed: int) -> dict[str, Any]:
    """Try GRID for each baseline on the pages of at most `sites` sites drawn at random, no site in two folds."""
    site = [str(page.extra.get("site") or page.id) for page in pages]
    drawn = set(np.random.default_rng(seed).permutation(sorted(set(site)))[:sites].tolist())
    sample = [page for page, name in zip(pages, site, strict=True) if name in drawn]
    groups = [name for name in site if name in drawn]
    macro: dict[str, dict[Settings, list[float]]] = {name: {tried: [] for tried in GRID} for name in OFFSETS}
    for fold, (fit, held) in enumerate(GroupKFold(folds).split(sample, groups=groups), 1):
        known, unseen = [sample[i] for i in fit], [sample[i] for i in held]
        words = Words(FEATURES // 4)
        matrices = words.fit_matrix(known), words.matrix(unseen)
        for name, offsets in OFFSETS.items():
            x, y = (with_neighbours(m, p, offsets) for m, p in zip(matrices, (known, unseen), strict=True))
            for settings in GRID:
                found = score(unseen, label(train(x, known, settings), y, unseen), LABELS, resamples=1).macro_f1
                macro[name][settings].append(found)
                print(f"fold {fold} of {folds}, {name}, {settings}: macro-F1 {found:.3f}", flush=True)
    tried = {
        name: [{**asdict(s), "macro_f1": float(np.mean(m)), "by_fold": m} for s, m in scores.items()]
        for name, scores in macro.items()
    }
    return {"pages": len(sample), "sites": len(drawn), "folds": folds, "tried": tried}


def evaluate(pages: Sequence[Page], labelled: Sequence[Page], seed: int) -> dict[str, Any]:
    """Everything the metrics tell about these labels."""
    found: dict[str, Any] = {"report": score(pages, labelled, LABELS, seed=seed).to_dict()}
    if any(page.extra.get("doubt") for page in pages):
        found["without_doubt"] = score(*drop_doubt(pages, labelled), LABELS, seed=seed).to_dict()
    for key in ("kind", "view"):
        if any(page.extra.get(key) for page in pages):
            found[f"by_{key}"] = {k: asdict(v) for k, v in score_by(pages, labelled, LABELS, key).items()}
    return found


def table(results: dict[str, Any]) -> str:
    """One line for each baseline and file."""
    lines = [f"{'baseline':<12}{'pages':<22}{'macro-F1':>9}{'accuracy':>9}{'article':>9}{'ECE':>7}  F1 by label"]
    for name, result in results.items():
        for file, found in result["dev"].items():
            r = found["report"]
            f1 = "  ".join(f"{s['label']} {s['f1']:.3f}" for s in r["labels"])
            figures = (r["macro_f1"], r["accuracy"], r["article"]["f1"], r["calibration"]["error"])
            lines.append(f"{name:<12}{file:<22}" + "{:9.3f}{:9.3f}{:9.3f}{:7.3f}".format(*figures) + f"  {f1}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", action="extend", required=True, metavar="FILE")
    parser.add_argument("--dev", type=Path, nargs="+", action="extend", required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/baselines.json"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cv-sites", type=int, default=200, help="sites that the settings are chosen on")
    parser.add_argument("--folds", type=int, default=3)
    options = parser.parse_args(arguments)
    files = [*options.train, *options.dev]
    for path in files:
        if not path.is_file():
            parser.error(f"{path} is not there: labelled pages are not shipped with pagelabel, bring your own")
    pages = [page for path in options.train for page in read_labelled(path)]
    dev = {path.name: read_labelled(path) for path in options.dev}
    cv = cross_validate(pages, sites=options.cv_sites, folds=options.folds, seed=options.seed)
    words = Words()
    matrix = words.fit_matrix(pages)
    dev_matrices = {file: words.matrix(members) for file, members in dev.items()}
    results: dict[str, Any] = {}
    for name, offsets in OFFSETS.items():
        best = max(cv["tried"][name], key=lambda tried: tried["macro_f1"])
        settings = Settings(best["c"], best["balanced"])
        start = time.perf_counter()
        model = train(with_neighbours(matrix, pages, offsets), pages, settings)
        seconds = round(time.perf_counter() - start, 1)
        iterations = int(model.n_iter_.max())
        print(f"{name}: trained with {settings} in {seconds} s, {iterations} iterations", flush=True)
        results[name] = {
            "settings": asdict(settings),
            "features": model.n_features_in_,
            "iterations": iterations,
            "seconds": seconds,
            "dev": {
                file: evaluate(members, label(model, with_neighbours(m, members, offsets), members), options.seed)
                for (file, members), m in zip(dev.items(), dev_matrices.values(), strict=True)
            },
        }
    record = {
        "command": shlex.join(["python", "benchmarks/baselines.py", *arguments]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": options.seed,
        "versions": {"python": platform.python_version(), "scikit-learn": sklearn.__version__},
        "files": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "cross_validation": cv,
        "baselines": results,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
