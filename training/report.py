"""The results of an evaluation: small records that become JSON (`to_dict`) or lines for a terminal (`to_text`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's scores; `support` is how many paragraphs have it in gold. With support 0 the scores mean nothing."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ArticleScore:
    """The article against the rest, each paragraph counted by its words; `words` is the article's length in gold."""

    labels: tuple[str, ...]
    precision: float
    recall: float
    f1: float
    words: int


@dataclass(frozen=True, slots=True)
class Bin:
    """The paragraphs whose score is in (low, high]; mean score and accuracy are None where there are none."""

    low: float
    high: float
    count: int
    mean_score: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Expected calibration error: mean gap between score and accuracy over `bins`, weighted by paragraphs."""

    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What `score` found.

    `macro_labels` are the labels that macro-F1 averages, `macro_interval` its 95% interval, and `resampled` the
    number of pages that the interval resamples. `confusion[i][j]` counts the paragraphs with gold label i and given
    label j, in the order of `labels`. `article` and `calibration` are None where they cannot be had.
    """

    pages: int
    paragraphs: int
    macro_f1: float
    macro_interval: tuple[float, float]
    macro_labels: tuple[str, ...]
    resampled: int
    accuracy: float
    labels: tuple[LabelScore, ...]
    article: ArticleScore | None
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration | None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values that `json.dumps` takes."""
        return asdict(self)

    def to_text(self) -> str:
        """The report as lines for a terminal."""
        interval = "95% interval {:.3f} to {:.3f}".format(*self.macro_interval)
        lines = [
            f"{self.pages:,} pages, {self.paragraphs:,} paragraphs",
            f"macro-F1  {self.macro_f1:.3f}  ({interval}, {self.resampled:,} pages resampled)",
            f"accuracy  {self.accuracy:.3f}",
        ]
        if self.article is not None:
            a = self.article
            scores = f"F1 {a.f1:.3f}, precision {a.precision:.3f}, recall {a.recall:.3f}"
            lines.append(f"article   {scores}  ({' + '.join(a.labels)} against the rest, by words)")
        if self.calibration is not None:
            lines.append(f"calibration error  {self.calibration.error:.3f}")
        width = max(len(s.label) for s in self.labels) + 2
        lines += ["", f"{'label':<{width}}precision  recall     F1  support"]
        for s in self.labels:
            row = f"{s.precision:9.3f}  {s.recall:6.3f}  {s.f1:5.3f}  {s.support:7,}"
            lines.append(f"{s.label:<{width}}" + (row if s.support else "        -  not in gold: left out of macro-F1"))
        column = max(width, 9)
        lines += ["", "confusion (rows: gold, columns: given)"]
        lines.append(" " * width + "".join(f"{s.label:>{column}}" for s in self.labels))
        for s, counts in zip(self.labels, self.confusion, strict=True):
            lines.append(f"{s.label:<{width}}" + "".join(f"{n:>{column},}" for n in counts))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The short form of a report for a group of pages; `f1` is None for a label that the group's gold lacks."""

    pages: int
    paragraphs: int
    macro_f1: float
    accuracy: float
    f1: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Scores of the paragraphs whose score is at least `min_score`; None where none is kept.

    `labels` is how many labels occur in the gold of those kept: macro-F1 averages over them, and rows with
    different numbers do not compare.
    """

    min_score: float
    coverage: float
    accuracy: float | None
    macro_f1: float | None
    labels: int
