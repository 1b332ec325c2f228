"""`pagelabel evaluate`: label pages with a bundle and score them against their own labels."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pagelabel.data.page import Page
from pagelabel.labeler import Labeler
from pagelabel.training.metrics import coverage_curve, drop_doubt, score, score_by
from pagelabel.training.pages import load_pages
from pagelabel.training.plots import save_confusion, save_reliability
from pagelabel.training.report import CoverageRow, GroupScore, Report

_THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of one set of pages: all of them, without doubtful paragraphs, by group, and by least score."""

    all: Report
    without_doubt: Report | None
    by_kind: dict[str, GroupScore]
    by_view: dict[str, GroupScore]
    coverage: list[CoverageRow]

    @classmethod
    def of(cls, pages: Sequence[Page], predicted: Sequence[Page], labels: Sequence[str]) -> Evaluation:
        """Score `predicted` against the labels of `pages` (same pages, same order); ValueError as `metrics.score`."""
        sure = drop_doubt(pages, predicted) if any(page.extra.get("doubt") for page in pages) else None
        return cls(
            all=score(pages, predicted, labels),
            without_doubt=None if sure is None else score(*sure, labels),
            by_kind=score_by(pages, predicted, labels, "kind") if any("kind" in p.extra for p in pages) else {},
            by_view=score_by(pages, predicted, labels, "view") if any(page.view is not None for page in pages) else {},
            coverage=coverage_curve(pages, predicted, _THRESHOLDS),
        )

    def summary(self) -> dict[str, Any]:
        """The few numbers that go into a bundle's config."""
        article, calibration = self.all.article, self.all.calibration
        return {
            "pages": self.all.pages,
            "paragraphs": self.all.paragraphs,
            "macro_f1": round(self.all.macro_f1, 6),
            "macro_f1_interval": [round(value, 6) for value in self.all.macro_interval],
            "accuracy": round(self.all.accuracy, 6),
            "f1": {row.label: round(row.f1, 6) for row in self.all.labels},
            "article_word_f1": None if article is None else round(article.f1, 6),
            "calibration_error": None if calibration is None else round(calibration.error, 6),
        }

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_text(self) -> str:
        """Lines for a terminal."""
        lines = [self.all.to_text()]
        if self.without_doubt is not None:
            sure = self.without_doubt
            lines += ["", f"without doubtful paragraphs  macro-F1 {sure.macro_f1:.3f}, accuracy {sure.accuracy:.3f}"]
        for name, groups in (("kind", self.by_kind), ("view", self.by_view)):
            if groups:
                lines += ["", f"{name:<20}pages  paragraphs  macro-F1  accuracy"]
                lines += [
                    f"{key:<20}{row.pages:5,}  {row.paragraphs:10,}  {row.macro_f1:8.3f}  {row.accuracy:8.3f}"
                    for key, row in groups.items()
                ]
        return "\n".join(lines)


def evaluate(
    bundle: str | Path | None, files: Sequence[str], output: Path | None, *, threads: int | None = None
) -> Evaluation:
    """Label the pages of `files` and score them. With `output`, writes `evaluation.json`, `confusion.png` and
    `reliability.png` there. `threads` as `Labeler.load`. Raises ValueError on pages that cannot be scored and on less
    than one thread, BundleError on a broken bundle, and OSError, before anything is labelled, where `output` is no
    folder that can be written to.
    """
    labeler = Labeler.load(bundle, threads=threads)
    pages = load_pages(files, labeler.labels)
    if output is not None:
        _make_folder(output)
    bar = tqdm(labeler.label_pages(pages), total=len(pages), unit="page", disable=not sys.stderr.isatty())
    evaluation = Evaluation.of(pages, list(bar), labeler.labels)
    if output is not None:
        record = {"files": list(files), "bundle": labeler.config.sha256, **evaluation.to_dict()}
        temporary = output / "evaluation.json.tmp"
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        temporary.rename(output / "evaluation.json")
        save_confusion(evaluation.all, output / "confusion.png")
        if evaluation.all.calibration is not None:
            save_reliability(evaluation.all, output / "reliability.png")
    return evaluation


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        # A folder that is there already may take no files.
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise OSError(f"{output}: not a folder that can be written to: {error.strerror}") from error
