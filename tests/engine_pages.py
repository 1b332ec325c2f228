"""Pages for the tests of the engines, and what `Labeler` itself says of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pagelabel import Labeler, Page

_ROWS = (
    "Skip to content",
    "Home | News | Sport | Jobs",
    "Council votes for bridge number {i}",
    "The council voted on bridge number {i} on Monday, and the work begins in the spring of next year.",
    "“We waited {i} years for this bridge and now it comes,” said the mayor.",
    "Traffic will be led over the old road until then, the county said in its plan for the coming years.",
    "Support our newsroom: donate $5 a month.",
    "Read next: school number {i} gets a roof",
    "Copyright, all rights reserved",
)
KEEP = ("body", "quote")


def texts(count: int = 8) -> list[str]:
    """Short pages as texts, no two the same; white space and blank lines differ, so that spans have to be right."""
    return [("\n" * (1 + i % 3)).join(f"{' ' * (i % 2)}{row.format(i=i)} " for row in _ROWS) for i in range(count)]


def paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def expected(pages: list[str]) -> list[dict[str, Any]]:
    """The row that each text should get, from `Labeler` alone."""
    labeler = Labeler.load(threads=1)
    rows = []
    for i, text in enumerate(pages):
        page = labeler.label(Page(str(i), paragraphs(text)))
        spans, at = [], 0
        for paragraph in page.paragraphs:
            start = text.index(paragraph, at)
            at = start + len(paragraph)
            spans.append([start, at])
        rows.append(
            {
                "pagelabel_labels": page.labels,
                "pagelabel_scores": page.scores,
                "pagelabel_spans": spans,
                "pagelabel_error": None,
                "pagelabel_text": page.text(KEEP),
            }
        )
    assert {"body", "promo", "donation"} <= {label for row in rows for label in row["pagelabel_labels"]}
    return rows


def need_java() -> None:
    """Skip the test where Spark would find no Java."""
    home = os.environ.get("JAVA_HOME")
    if not (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or later, on the path or in JAVA_HOME")
