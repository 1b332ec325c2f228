"""How fast a bundle labels pages on one core, against extractors on the same pages' HTML in the same run.

    python benchmarks/speed.py --pages ../shared/data/dev.jsonl.gz --html ../shared/data/html --out benchmarks/results

Every round runs each contender once over all pages, in an order that turns from round to round, so that a machine
that slows down slows all of them. Labelling includes tokenizing; extraction includes parsing. Nothing is cached between
rounds but what a contender keeps of its own accord. Peer packages: pip install trafilatura justext.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pagelabel import Labeler, Page, PageError, read_pages
from pagelabel.model.bundle import shipped_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, help="pages to label (JSON lines)")
    parser.add_argument("--html", required=True, type=Path, help="folder of their HTML with an index.json")
    parser.add_argument("--views", help="the same pages as extractors leave them, labelled too")
    parser.add_argument("--bundle", help="bundle folder (default: the shipped one)")
    parser.add_argument("--limit", type=int, default=60, help="pages to use, spread over the file (default: 60)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for speed.json")
    args = parser.parse_args()
    for needed in (args.pages, args.html / "index.json"):
        if not Path(needed).exists():
            sys.exit(f"{needed}: not there; the measured pages are not part of this repository")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    index = json.loads((args.html / "index.json").read_text())
    pages = [page for page in _pages(args.pages) if page.id in index]
    pages = pages[:: max(1, len(pages) // args.limit)][: args.limit]
    html = [gzip.decompress((args.html / index[page.id]).read_bytes()) for page in pages]
    labeler = Labeler.load(args.bundle, threads=1)
    contenders: dict[str, Callable[[], object]] = {
        "pagelabel": lambda: list(labeler.label_pages(pages)),
        **_peers(html),
    }
    if args.views:
        ids = {page.id for page in pages}
        views = [page for page in _pages(args.views) if page.extra.get("page") in ids]
        contenders["pagelabel, extracted pages"] = lambda: list(labeler.label_pages(views))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(args.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contenders[name]()
            times[name].append(time.perf_counter() - start)
    counts = {name: len(views) if "extracted" in name else len(pages) for name in names}
    record = {
        "cpu": _cpu(),
        "python": platform.python_version(),
        "pages": len(pages),
        "rounds": args.rounds,
        "pages_per_second": {
            name: {
                "median": round(counts[name] / statistics.median(t), 2),
                "least": round(counts[name] / max(t), 2),
                "most": round(counts[name] / min(t), 2),
            }
            for name, t in times.items()
        },
        "ratio_to_trafilatura": _ratio(times),
        **_amounts(labeler, pages, statistics.median(times["pagelabel"])),
        "start_up_seconds": _start_up(args.bundle),
        "bundle_megabytes": _size(Path(args.bundle) if args.bundle else shipped_bundle()),
        "peak_memory_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }
    text = json.dumps(record, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "speed.json").write_text(text + "\n", encoding="utf-8")


def _pages(source: str) -> list[Page]:
    pages = []
    for item in read_pages(source):
        if isinstance(item, PageError):
            sys.exit(str(item))
        pages.append(item)
    return pages


def _peers(html: list[bytes]) -> dict[str, Callable[[], object]]:
    import justext
    import trafilatura

    stop = justext.get_stoplist("English")

    def quiet(extract: Callable[[bytes], object], page: bytes) -> object:
        # A page that an extractor cannot parse counts as done: the time it took is what is measured.
        try:
            return extract(page)
        except Exception:  # noqa: BLE001
            return None

    return {
        "trafilatura": lambda: [quiet(trafilatura.extract, page) for page in html],
        "jusText": lambda: [quiet(lambda source: justext.justext(source, stop), page) for page in html],
    }


def _ratio(times: dict[str, list[float]]) -> dict[str, float]:
    """Pages/s of ours over trafilatura's, round by round: median, least and most."""
    ratios = [theirs / ours for ours, theirs in zip(times["pagelabel"], times["trafilatura"], strict=True)]
    values = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    return {name: round(value, 3) for name, value in values.items()}


def _amounts(labeler: Labeler, pages: list[Page], seconds: float) -> dict[str, float]:
    tokens = sum(len(ids) for page in pages for ids in labeler.model.encoded(page.paragraphs))
    size = sum(len(text.encode("utf-8", "replace")) for page in pages for text in page.paragraphs)
    return {
        "paragraphs_per_second": round(sum(len(page.paragraphs) for page in pages) / seconds),
        "tokens_per_second": round(tokens / seconds),
        "text_megabytes_per_second": round(size / 1e6 / seconds, 3),
    }


def _start_up(bundle: str | None) -> float:
    """Best of five: a new process that imports pagelabel and loads the bundle, less an empty interpreter."""
    load = f"from pagelabel import Labeler; Labeler.load({bundle!r}, threads=1)"

    def best(code: str) -> float:
        found = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            found.append(time.perf_counter() - start)
        return min(found)

    return round(best(load) - best("pass"), 3)


def _size(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 2)


def _cpu() -> dict[str, object]:
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    flags = [flag for flag in fields.get("flags", "").split() if flag.startswith(("avx", "amx", "fma"))]
    return {"name": fields.get("model name", platform.processor()), "cores": os.cpu_count(), "flags": flags}


if __name__ == "__main__":
    main()
