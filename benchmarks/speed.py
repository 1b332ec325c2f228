"""How fast the models label pages on one core, against extractors on the same pages' HTML in the same run.

    python benchmarks/speed.py --pages ../shared/data/dev.jsonl.gz --html ../shared/data/html \
        --views ../shared/data/dev_views.jsonl.gz --out benchmarks/results

Every round runs each contender once over its pages, in an order that turns from round to round, so that a machine that
slows down slows all of them. Labelling includes tokenizing; extraction includes parsing. Nothing is kept between pages
or rounds but where "warm" says so: there, the paragraph cache has seen the pages before, as it has a site's menus after
a few of its pages. Peer packages: pip install trafilatura justext.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measured import cpu, measured

from pagelabel import Labeler, Page
from pagelabel.model.bundle import HIERARCHICAL, SHIPPED, bundle_files, find_bundle
from pagelabel.pair import PairModel

# A slow model reads every fourth page: the pages are spread over the file, and a round stays a few minutes long.
_SLOW_SHARE = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, help="pages to label (JSON lines)")
    parser.add_argument("--html", required=True, type=Path, help="folder of their HTML with an index.json")
    parser.add_argument("--views", required=True, help="the same pages as extractors leave them")
    parser.add_argument("--models", nargs="+", default=list(SHIPPED), help="bundle folders or names")
    parser.add_argument("--limit", type=int, default=96, help="pages to use, spread over the file (default: 96)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for speed.json")
    args = parser.parse_args()
    for needed in (args.pages, args.html / "index.json"):
        if not Path(needed).exists():
            sys.exit(f"{needed}: not there; the measured pages are not part of this repository")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    index = json.loads((args.html / "index.json").read_text())
    pages = [page for page in measured(args.pages) if page.id in index]
    pages = pages[:: max(1, len(pages) // args.limit)][: args.limit]
    html = [gzip.decompress((args.html / index[page.id]).read_bytes()) for page in pages]
    contenders = {**_models(args.models, pages, measured(args.views)), **_peers(html)}
    times = _rounds(contenders, args.rounds)
    record = {
        "cpu": cpu(),
        "python": platform.python_version(),
        "rounds": args.rounds,
        "pages_per_second": {name: _spread([contenders[name][0] / t for t in times[name]]) for name in times},
        "times_trafilatura": {
            name: _spread(_ratios(contenders, times, name)) for name in times if name not in ("trafilatura", "jusText")
        },
        "models": {name: _amounts(name, pages, contenders, times) for name in args.models},
    }
    text = json.dumps(record, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "speed.json").write_text(text + "\n", encoding="utf-8")


Contender = tuple[int, Callable[[], object]]
"""How many pages a call reads, and the call."""


def _models(names: Sequence[str], pages: list[Page], views: list[Page]) -> dict[str, Contender]:
    found: dict[str, Contender] = {}
    for name in names:
        labeler = Labeler.load(name, threads=1, cache=0)
        fast = labeler.config.network == HIERARCHICAL
        own = pages if fast else pages[::_SLOW_SHARE]
        ids = {page.id for page in own}
        extracted = [view for view in views if view.extra.get("page") in ids]
        found[name] = _contender(labeler, own)
        found[f"{name}, extracted pages"] = _contender(labeler, extracted)
        if fast:
            warm = Labeler.load(name, threads=1)
            _contender(warm, own)[1]()
            found[f"{name}, warm"] = _contender(warm, own)
    return found


def _contender(labeler: Labeler, pages: list[Page]) -> Contender:
    return len(pages), lambda: list(labeler.label_pages(pages))


def _rounds(contenders: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contenders[name][1]()
            times[name].append(time.perf_counter() - start)
    return times


def _ratios(contenders: dict[str, Contender], times: dict[str, list[float]], name: str) -> list[float]:
    """Pages/s over trafilatura's, round by round."""
    share = contenders[name][0] / contenders["trafilatura"][0]
    return [share * theirs / ours for ours, theirs in zip(times[name], times["trafilatura"], strict=True)]


def _spread(values: list[float]) -> dict[str, float]:
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def _peers(html: list[bytes]) -> dict[str, Contender]:
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
        "trafilatura": (len(html), lambda: [quiet(trafilatura.extract, page) for page in html]),
        "jusText": (len(html), lambda: [quiet(lambda source: justext.justext(source, stop), page) for page in html]),
    }


def _amounts(
    name: str, pages: list[Page], contenders: dict[str, Contender], times: dict[str, list[float]]
) -> dict[str, float]:
    labeler = Labeler.load(name, threads=1, cache=0)
    if contenders[name][0] < len(pages):
        pages = pages[::_SLOW_SHARE]
    seconds = statistics.median(times[name])
    paragraphs = [text for page in pages for text in page.paragraphs]
    # Of a pair the word pieces: the words of its second model are the same text again.
    model = labeler.model.parts[0] if isinstance(labeler.model, PairModel) else labeler.model
    return {
        "pages": len(pages),
        "paragraphs_per_second": round(len(paragraphs) / seconds),
        "tokens_per_second": round(sum(len(ids) for page in pages for ids in model.encoded(page)) / seconds),
        "text_megabytes_per_second": round(
            sum(len(t.encode("utf-8", "replace")) for t in paragraphs) / 1e6 / seconds, 3
        ),
        "start_up_seconds": _start_up(name),
        "peak_memory_megabytes": _peak(name, pages),
        "bundle_megabytes": round(sum(file.stat().st_size for file in bundle_files(find_bundle(name))) / 1e6, 2),
    }


def _start_up(name: str) -> float:
    """Best of five: a new process that imports pagelabel and loads the bundle, less an empty interpreter."""
    load = f"from pagelabel import Labeler; Labeler.load({name!r}, threads=1)"

    def best(code: str) -> float:
        found = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            found.append(time.perf_counter() - start)
        return min(found)

    return round(best(load) - best("pass"), 3)


def _peak(name: str, pages: list[Page]) -> int:
    """Peak memory of a new process that labels the pages one by one as they come in. (`ru_maxrss` would count what this
    process has when the new one forks off.)"""
    code = (
        "from pagelabel import Labeler, read_pages\n"
        f"for page in Labeler.load({name!r}, threads=1).label_pages(read_pages('-')): pass\n"
        "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    given = "".join(page.to_json() + "\n" for page in pages).encode()
    done = subprocess.run([sys.executable, "-c", code], input=given, stdout=subprocess.PIPE, check=True)
    return round(int(done.stdout) / 1000)


if __name__ == "__main__":
    main()
