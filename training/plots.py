"""Pictures of a report as PNG files: the confusion matrix, and how far scores can be trusted."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from pagelabel.training.report import Report


def save_confusion(report: Report, path: str | Path) -> None:
    """Draw the confusion matrix: paragraphs in each cell, shaded by their share of the gold label."""
    counts = np.array(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [s.label for s in report.labels]
    places = range(len(names))
    side = 2.2 + 0.9 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in places:
        for j in places:
            colour = "white" if shares[i, j] > 0.5 else "black"
            text = f"{counts[i, j]:,}\n{shares[i, j]:.1%}"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(places, names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.set_xlabel("given")
    axes.set_ylabel("gold")
    axes.set_title(f"{report.paragraphs:,} paragraphs, macro-F1 {report.macro_f1:.3f}")
    _save(figure, Path(path))


def save_reliability(report: Report, path: str | Path) -> None:
    """Draw accuracy against score, bin by bin, over a histogram of the scores. Raises ValueError without scores."""
    if report.calibration is None:
        raise ValueError("no reliability diagram: the labelled pages have no scores")
    bins = report.calibration.bins
    lows, widths = [b.low for b in bins], [b.high - b.low for b in bins]
    figure = Figure(figsize=(5, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.bar(lows, [b.accuracy or 0 for b in bins], widths, align="edge", color="tab:blue", edgecolor="white")
    filled = [b for b in bins if b.mean_score is not None and b.accuracy is not None]
    upper.plot([b.mean_score for b in filled], [b.accuracy for b in filled], "o", color="black", markersize=4)
    upper.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1)
    upper.set_ylabel("share right")
    upper.set_title(f"expected calibration error {report.calibration.error:.3f}")
    lower.bar(
        lows, [b.count / report.paragraphs for b in bins], widths, align="edge", color="tab:grey", edgecolor="white"
    )
    lower.set_xlabel("score of the given label")
    lower.set_ylabel("share of\nparagraphs")
    _save(figure, Path(path))


def _save(figure: Figure, path: Path) -> None:
    """Write under a temporary name beside `path`, then rename: a picture is whole or not there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            figure.savefig(file, format="png")
        # mkstemp makes files that only their owner can read.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
