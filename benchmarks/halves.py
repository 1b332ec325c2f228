"""What the decisions owe to the pages that they were fitted on: fitted on half of them, tried on the rest.

    python benchmarks/halves.py --pages ../shared/data/dev.jsonl.gz ../shared/data/dev_views.jsonl.gz \
        --out benchmarks/results

Temperature, transitions and thresholds of each shipped model (of the pair how their logits are added, too) are fitted
at export on the development pages, on which its scores are measured. Here each half of the pages is labelled with what
was fitted on the other; views are in the half of their page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from measured import measured

from pagelabel import Labeler, Page
from pagelabel.export.calibrate import fit_decisions, half
from pagelabel.export.pairing import Reader, fit_pair
from pagelabel.flat import Logits
from pagelabel.model.bundle import SHIPPED
from pagelabel.pair import PairModel
from pagelabel.training.metrics import score
from pagelabel.training.wrapping import as_read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", nargs="+", required=True, help="labelled pages and their views (JSON lines)")
    parser.add_argument("--out", type=Path, help="folder for halves.json")
    args = parser.parse_args()
    sets = {Path(file).name: measured(file) for file in args.pages}
    pages = [page for found in sets.values() for page in found]
    rows = {}
    for name in SHIPPED:
        labeler = Labeler.load(name)
        given = iter(_labelled(labeler, pages))
        scores = {file: score(found, [next(given) for _ in found], labeler.labels) for file, found in sets.items()}
        rows[name] = {
            file: {"macro_f1": round(report.macro_f1, 6), "accuracy": round(report.accuracy, 6)}
            for file, report in scores.items()
        }
    text = json.dumps(rows, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "halves.json").write_text(text + "\n", encoding="utf-8")


def _labelled(labeler: Labeler, pages: Sequence[Page]) -> list[Page]:
    labelled: dict[int, Page] = {}
    given, pages = pages, as_read(pages, join=labeler.model.join_lines)
    for ours, logits in enumerate(_logits(labeler, pages)):
        fitted = [i for i, page in enumerate(pages) if half(page) != ours]
        empty = replace(labeler.config, thresholds={}, transitions=())
        config = fit_decisions(empty, [logits[i] for i in fitted], [pages[i] for i in fitted])
        for i, page in enumerate(pages):
            if half(page) == ours:
                labels, scores = config.decide(logits[i])
                spread = labeler.as_read(given[i]).spread
                labelled[i] = replace(given[i], labels=spread(labels), scores=spread(scores))
    return [labelled[i] for i in range(len(pages))]


def _logits(labeler: Labeler, pages: Sequence[Page]) -> list[list[Logits]]:
    """Of all pages, for each half; those of a pair are added as is best for the other half."""
    model = labeler.model
    if not isinstance(model, PairModel):
        return [model.logits(pages)] * 2
    first, second = model.parts
    ours, theirs = first.logits(pages), second.logits(pages)
    out = []
    for side in (0, 1):
        fitted = [i for i, page in enumerate(pages) if half(page) != side]
        some = [pages[i] for i in fitted]
        pair = fit_pair(
            model.pair.parts,
            Reader.of(first.encoder, some),
            [ours[i] for i in fitted],
            [theirs[i] for i in fitted],
            some,
            labeler.labels,
        )
        print(f"half {side}: {pair}", file=sys.stderr)
        out.append(PairModel(first, second, pair).logits(pages))
    return out


if __name__ == "__main__":
    main()
