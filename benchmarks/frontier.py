"""Accuracy against speed of several bundles, measured in one run on one core: a table and a plot.

    python benchmarks/frontier.py model/both model/bundle model/fast runs/candidates/* \
        --pages ../shared/data/dev.jsonl.gz --out benchmarks/results

Bundles that were shipped before are in the history (`git log -- model`): `git archive COMMIT model/fast | tar -x
--strip-components=2 -C runs/candidates/NAME` takes one out (a pair names the other two as seen from its own folder).
`both-cost-2` is a pair that may lose two points for speed: `pagelabel pair accurate fast --beside
--cost 0.02 -o runs/candidates/both-cost-2 --dev ../shared/data/dev.jsonl.gz ../shared/data/dev_views.jsonl.gz`.
Accuracy is what each bundle's export measured on the files that its config names; speed is whole pages a second,
tokenizing included, nothing cached between pages. Rounds go through the bundles in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from measured import cpu, measured

from pagelabel import Labeler
from pagelabel.model.bundle import bundle_files, read_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--pages", required=True, help="pages to label (JSON lines)")
    parser.add_argument("--limit", type=int, default=24, help="pages to use, spread over the file (default: 24)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for frontier.json, frontier.md and frontier.png"
    )
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pages = measured(args.pages)
    pages = pages[:: max(1, len(pages) // args.limit)][: args.limit]
    labelers = {folder: Labeler.load(folder, threads=1, cache=0) for folder in args.bundles}
    times: dict[Path, list[float]] = {folder: [] for folder in labelers}
    for _ in range(args.rounds):
        for folder, labeler in labelers.items():
            start = time.perf_counter()
            for _page in labeler.label_pages(pages):
                pass
            times[folder].append(time.perf_counter() - start)
    rows = [_row(folder, len(pages) / statistics.median(found)) for folder, found in times.items()]
    rows.sort(key=lambda row: -row["pages_per_second"])
    args.out.mkdir(parents=True, exist_ok=True)
    processor = cpu()
    result = {"cpu": processor, "bundles": rows}
    (args.out / "frontier.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = f"Whole pages a second on one core of {processor['name']}.\n\n{_table(rows)}"
    (args.out / "frontier.md").write_text(text, encoding="utf-8")
    _plot(rows, args.out / "frontier.png")
    print(_table(rows))


def _row(folder: Path, speed: float) -> dict[str, Any]:
    config = read_bundle(folder)
    metrics = config.provenance["metrics"]
    return {
        "bundle": folder.name,
        "network": config.network,
        "pages_per_second": round(speed, 2),
        "megabytes": round(sum(file.stat().st_size for file in bundle_files(folder)) / 1e6, 1),
        "macro_f1": {name: scores["macro_f1"] for name, scores in metrics.items()},
    }


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["macro_f1"]))
    head = ["bundle", "network", "pages/s", "MB", *(f"macro-F1 {name}" for name in names)]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        scores = [f"{row['macro_f1'][name]:.3f}" if name in row["macro_f1"] else "" for name in names]
        lines.append([row["bundle"], row["network"], f"{row['pages_per_second']:.1f}", f"{row['megabytes']}", *scores])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plot(rows: list[dict[str, Any]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, marker in zip(dict.fromkeys(n for row in rows for n in row["macro_f1"]), "os^v", strict=False):
        found = [row for row in rows if name in row["macro_f1"]]
        axes.scatter(
            [row["pages_per_second"] for row in found],
            [row["macro_f1"][name] for row in found],
            marker=marker,
            label=name,
        )
        for row in found:
            axes.annotate(
                row["bundle"],
                (row["pages_per_second"], row["macro_f1"][name]),
                fontsize=7,
                xytext=(4, 3),
                textcoords="offset points",
            )
    axes.set(xscale="log", xlabel="whole pages a second, one core", ylabel="macro-F1")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
