"""The labelled pages that ship with pagelabel, and how far the two passes of their annotation agree.

`python -m pagelabel.data.corpus` prints the figures of the corpus' README.
"""

from __future__ import annotations

import importlib.resources
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pagelabel.data.page import Page


def corpus_files() -> list[str]:
    """The paths of the JSON lines files of the corpus, sorted."""
    folder = importlib.resources.files("pagelabel.data") / "corpus"
    return sorted(str(file) for file in folder.iterdir() if file.name.endswith(".jsonl"))


def corpus_pages() -> Iterator[Page]:
    """The pages of the corpus, file by file."""
    for file in corpus_files():
        for number, line in enumerate(Path(file).read_text(encoding="utf-8").strip("\n").split("\n"), 1):
            yield Page.from_record(json.loads(line), f"{file}:{number}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two passes over the same paragraphs: how many there are, how many got the same label from both, and the F1 of
    each label of one pass against the other (the same whichever is taken for the truth)."""

    paragraphs: int
    same: int
    f1: dict[str, float]

    @property
    def share(self) -> float:
        return self.same / self.paragraphs

    @property
    def macro_f1(self) -> float:
        return sum(self.f1.values()) / len(self.f1)


def agreement(first: Iterable[str], second: Iterable[str]) -> Agreement:
    """Compare two passes. Raises ValueError if they are empty or of different lengths."""
    pairs = Counter(zip(first, second, strict=True))
    if not pairs:
        raise ValueError("two passes without a paragraph cannot be compared")
    given: Counter[str] = Counter()
    for (a, b), count in pairs.items():
        given[a] += count
        given[b] += count
    f1 = {label: 2 * pairs[label, label] / count for label, count in given.items()}
    return Agreement(pairs.total(), sum(pairs[label, label] for label in f1), f1)


def report(pages: Iterable[Page]) -> str:
    """What the pages are and how far their passes (`labels_a`, `labels_b`) agree, as Markdown."""
    pages = list(pages)
    labels: Counter[str] = Counter()
    forms = Counter((page.extra["kind"], page.extra["form"]) for page in pages)
    kinds = Counter(page.extra["kind"] for page in pages)
    first: list[str] = []
    second: list[str] = []
    for page in pages:
        labels.update(page.labels or ())
        first += page.extra["labels_a"]
        second += page.extra["labels_b"]
    passes = agreement(first, second)
    lines = ["| kind | pages | whole page | extract |", "|---|---:|---:|---:|"]
    for kind, count in kinds.most_common():
        lines.append(f"| {kind} | {count} | {forms[kind, 'page']} | {forms[kind, 'extract']} |")
    whole = sum(forms[kind, "page"] for kind in kinds)
    lines.append(f"| all | {len(pages)} | {whole} | {len(pages) - whole} |")
    lines += ["", "| label | paragraphs | F1 between the passes |", "|---|---:|---:|"]
    for label, count in labels.most_common():
        lines.append(f"| {label} | {count} | {passes.f1.get(label, 0.0):.3f} |")
    lines.append(f"| all | {labels.total()} | {passes.macro_f1:.3f} (macro) |")
    lines += ["", f"The passes agree on {passes.same} of {passes.paragraphs} paragraphs: {passes.share:.1%}."]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(corpus_pages()))
