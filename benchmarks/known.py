"""What is known of a page beside its text, and what that is worth: scores with each of it hidden in turn.

    python benchmarks/known.py --pages ../shared/data/dev.jsonl.gz --out benchmarks/results

The pages are scored three times by each shipped model: as text alone, with title and address, and with links (what
percent of each paragraph lies in some, `link`), too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from measured import measured

from pagelabel import Labeler, Page
from pagelabel.model.bundle import SHIPPED
from pagelabel.training.metrics import score

_KNOWN: dict[str, tuple[str, ...]] = {
    "text alone": (),
    "title and address": ("title", "url"),
    "title, address and links": ("title", "url", "link"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, help="labelled whole pages with title, url and link (JSON lines)")
    parser.add_argument("--bundle", help="bundle folder (default: the shipped ones)")
    parser.add_argument("--out", type=Path, help="folder for known.json")
    args = parser.parse_args()
    pages = measured(args.pages)
    rows = {
        name: {known: _scored(Labeler.load(name), pages, fields) for known, fields in _KNOWN.items()}
        for name in ([args.bundle] if args.bundle else SHIPPED)
    }
    text = json.dumps(rows, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "known.json").write_text(text + "\n", encoding="utf-8")


def _scored(labeler: Labeler, pages: Sequence[Page], fields: Sequence[str]) -> dict[str, object]:
    report = score(pages, list(labeler.label_pages(_with(page, fields) for page in pages)), labeler.labels)
    return {
        "macro_f1": round(report.macro_f1, 6),
        "macro_f1_interval": [round(value, 6) for value in report.macro_interval],
        "accuracy": round(report.accuracy, 6),
        "f1": {row.label: round(row.f1, 6) for row in report.labels},
        "article_word_f1": round(report.article.f1, 6) if report.article else None,
        "calibration_error": round(report.calibration.error, 6) if report.calibration else None,
    }


def _with(page: Page, fields: Sequence[str]) -> Page:
    """The page with those of title, url and link that are named."""
    extra = {name: value for name, value in page.extra.items() if name in fields}
    return replace(page, url=page.url if "url" in fields else None, extra=extra)


if __name__ == "__main__":
    main()
