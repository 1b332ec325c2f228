"""What reading and writing files costs: `pagelabel label` over files against labelling the same pages in memory.

    python benchmarks/throughput.py --pages ../shared/data/dev.jsonl.gz --html ../shared/data/html \\
        --out benchmarks/results

Rounds alternate between the contenders. Start-up (a process, its workers, the model) is measured on one page and
taken off, as a long run pays it once. For WARC, how much of the time on one core goes into reading and block
extraction.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measured import measured

from pagelabel import Labeler, Page, read_pages
from pagelabel.columns import ParquetSink
from pagelabel.workers import label_in_workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, help="pages to label (JSON lines)")
    parser.add_argument("--html", type=Path, help="folder of HTML files (gzip) with an index.json, for WARC")
    parser.add_argument("--model", default="fast", help="bundle folder or name")
    parser.add_argument("--repeat", type=int, default=20, help="how often the pages are in a file (default: 20)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for throughput.json")
    args = parser.parse_args()
    pages = measured(args.pages)
    many = [Page(f"{i}-{page.id}", page.paragraphs) for i in range(args.repeat) for page in pages]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"JSON lines": folder / "many.jsonl", "Parquet": folder / "many.parquet"}
        files["JSON lines"].write_text("".join(page.to_json() + "\n" for page in many), encoding="utf-8")
        _write_parquet(many, files["Parquet"])
        # A format's packages are loaded once, too, so its start-up is its own.
        ones = {"JSON lines": folder / "one.jsonl", "Parquet": folder / "one.parquet"}
        ones["JSON lines"].write_text(pages[0].to_json() + "\n", encoding="utf-8")
        _write_parquet(pages[:1], ones["Parquet"])
        runs: dict[str, Callable[[], object]] = {
            "in memory": lambda: sum(1 for _ in label_in_workers(many, args.model, 2)),
            "in memory, one page": lambda: list(label_in_workers(pages[:1], args.model, 2)),
            **{
                f"{name}, one page": (lambda file=file: _label(file, folder, args.model)) for name, file in ones.items()
            },
            **{name: (lambda file=file: _label(file, folder, args.model)) for name, file in files.items()},
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(args.rounds):
            for run_name, run in runs.items():
                start = time.perf_counter()
                run()
                times[run_name].append(time.perf_counter() - start)
    best = {name: statistics.median(found) for name, found in times.items()}
    memory = best["in memory"] - best["in memory, one page"]
    seconds = {name: best[name] - best[f"{name}, one page"] for name in files}
    record = {
        "pages": len(many),
        "model": Path(args.model).name,
        "workers": 2,
        "in_memory_pages_per_second": round(len(many) / memory, 1),
        "files": {
            name: {
                "pages_per_second": round(len(many) / seconds[name], 1),
                "share_of_in_memory": round(memory / seconds[name], 3),
                "start_up_seconds": round(best[f"{name}, one page"], 2),
            }
            for name in files
        },
        **({"warc": _warc(args.html, args.model)} if args.html else {}),
    }
    text = json.dumps(record, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "throughput.json").write_text(text + "\n", encoding="utf-8")


def _label(source: Path, folder: Path, model: str) -> None:
    output = folder / f"out{source.suffix}"
    form = "parquet" if source.suffix == ".parquet" else "jsonl"
    command = [sys.executable, "-m", "pagelabel", "label", str(source), "-o", str(output), "--to", form]
    subprocess.run([*command, "--workers", "2", "--model", model], check=True)


def _write_parquet(pages: list[Page], file: Path) -> None:
    with file.open("wb") as out:
        sink = ParquetSink(out)
        for page in pages:
            sink.write(page)
        sink.close()


def _warc(html: Path, model: str) -> dict[str, object]:
    """Seconds on one core of reading (with block extraction) and of labelling the same pages."""
    index = json.loads((html / "index.json").read_text())
    bodies = [gzip.decompress((html / name).read_bytes()) for name in sorted(set(index.values()))[:300]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pages.warc.gz"
        with file.open("wb") as out:
            for number, body in enumerate(bodies):
                out.write(gzip.compress(_record(number, body)))
        start = time.perf_counter()
        pages = [item for item in read_pages(str(file)) if isinstance(item, Page)]
        read = time.perf_counter() - start
    labeler = Labeler.load(model, threads=1)
    start = time.perf_counter()
    for _ in labeler.label_pages(pages):
        pass
    label = time.perf_counter() - start
    return {
        "pages": len(pages),
        "reading_pages_per_second": round(len(pages) / read, 1),
        "labelling_pages_per_second": round(len(pages) / label, 1),
        "share_of_reading": round(read / (read + label), 3),
    }


def _record(number: int, body: bytes) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{number:032}>\r\n"
        "WARC-Date: 2026-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


if __name__ == "__main__":
    main()
