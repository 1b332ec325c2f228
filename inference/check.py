"""`pagelabel check`: a bundle proves on its own reference pages that it works here as it did where it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pagelabel.data.page import Page
from pagelabel.flat import FlatModel
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import IDS, REFERENCE, find_bundle, read_bundle
from pagelabel.model.features import read_features
from pagelabel.model.pair import Pair
from pagelabel.pair import PairModel

# int8 against the fp32 logits of torch; the same share that export demands on real pages.
_LEAST_AGREEMENT = 0.97
_FEATURE_TOLERANCE = 1e-5
_FIELDS = ("id", "url", "title", "paragraphs", "link")


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared. `agreement` is the share of paragraphs labelled as the fp32 model of the reference did."""

    pages: int
    paragraphs: int
    agreement: float
    problems: tuple[str, ...]


def check_bundle(bundle: str | Path | None = None, *, threads: int | None = None) -> Check:
    """Verify digests, token ids, features and labels of a bundle without torch; of a pair those of its two bundles, and
    its own labels. Raises BundleError if it is broken."""
    labeler = Labeler.load(bundle, threads=threads)
    folder, encoding, model = find_bundle(bundle), labeler.config.encoding, labeler.model
    if not isinstance(model, PairModel) or not isinstance(encoding, Pair):
        return _check(folder, labeler)
    models: tuple[FlatModel | HierarchicalModel, ...] = model.parts
    parts = zip((folder / part for part in encoding.parts), models, strict=True)
    checks = [_check(place, Labeler(read_bundle(place), part)) for place, part in parts]
    if REFERENCE in labeler.config.files:
        checks.append(_check(folder, labeler))
    return _together(checks)


def _together(checks: list[Check]) -> Check:
    pages, paragraphs = sum(check.pages for check in checks), sum(check.paragraphs for check in checks)
    same = sum(check.agreement * check.paragraphs for check in checks)
    problems = tuple(problem for check in checks for problem in check.problems)
    return Check(pages, paragraphs, same / max(1, paragraphs), problems)


def _check(folder: Path, labeler: Labeler) -> Check:
    """Of a pair, whose inputs are those of its parts, labels are compared alone."""
    problems: list[str] = []
    pages = paragraphs = same = 0
    encoding, model = labeler.config.encoding, labeler.model
    # Not `splitlines`: text in JSON may hold other ends of lines.
    for line in (folder / REFERENCE).read_text(encoding="utf-8").strip("\n").split("\n"):
        row = json.loads(line)
        pages += 1
        page = Page.from_record({name: row[name] for name in _FIELDS if name in row}, "")
        read, sizes = labeler.as_read(page)
        if sizes != row.get("lines", sizes):
            problems.append(f"reference page {row['id']!r}: lines are joined otherwise than in those stored")
            continue
        if not isinstance(model, PairModel) and not isinstance(encoding, Pair):
            if model.encoded(read) != row[IDS[labeler.config.network]]:
                problems.append(f"reference page {row['id']!r}: token ids differ from those stored")
                continue
            features = read_features(read.paragraphs, read.link, encoding.features)
            if np.abs(features - np.array(row["features"])).max() > _FEATURE_TOLERANCE:
                problems.append(f"reference page {row['id']!r}: features differ from those stored")
        given = labeler.label(page).labels or []
        paragraphs += len(given)
        same += sum(a == b for a, b in zip(given, row["labels"], strict=True))
    agreement = same / max(1, paragraphs)
    if agreement < _LEAST_AGREEMENT:
        problems.append(f"labels agree with the reference on {agreement:.1%}, at least {_LEAST_AGREEMENT:.0%} expected")
    return Check(pages, paragraphs, agreement, tuple(problems))
