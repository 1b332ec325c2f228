"""Does memory grow with the input? Generated pages through `pagelabel label`, sampling the memory of its processes.

python benchmarks/streaming.py --pages 200000 --workers 2 --model fast --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_WORDS = ("council", "bridge", "river", "mayor", "school", "vote", "news", "menu", "sports", "photo", "more", "city")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", default="fast", help="bundle folder or name")
    parser.add_argument("--out", type=Path, help="folder for streaming.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "pages.jsonl", Path(folder) / "out.jsonl"
        _generate(source, args.pages)
        command = [sys.executable, "-m", "pagelabel", "label", str(source), "-o", str(output)]
        command += ["--workers", str(args.workers), "--model", args.model]
        start = time.perf_counter()
        process = subprocess.Popen(command)
        samples = []
        while process.poll() is None:
            samples.append((time.perf_counter() - start, _memory(process.pid)))
            time.sleep(0.5)
        seconds = time.perf_counter() - start
        if process.returncode:
            sys.exit(process.returncode)
        lines = sum(1 for _ in output.open("rb"))
    if lines != args.pages:
        sys.exit(f"{lines:,} lines for {args.pages:,} pages")
    tenths = [[m for t, m in samples if i <= 10 * t / seconds < i + 1] for i in range(10)]
    record = {
        "pages": args.pages,
        "workers": args.workers,
        "model": Path(args.model).name,
        "seconds": round(seconds, 1),
        "pages_per_second": round(args.pages / seconds, 1),
        # Of the processes together, each page of memory counted once for each process that has it.
        "peak_megabytes_by_tenth_of_the_run": [round(max(found) / 1e6) if found else None for found in tenths],
    }
    text = json.dumps(record, indent=1)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "streaming.json").write_text(text + "\n", encoding="utf-8")


def _generate(file: Path, pages: int) -> None:
    rng = random.Random(0)
    with file.open("w", encoding="utf-8") as out:
        for number in range(pages):
            paragraphs = ["Skip to content", *(rng.choice(_WORDS).title() for _ in range(4))]
            paragraphs += [" ".join(rng.choices(_WORDS, k=rng.randint(8, 40))) + "." for _ in range(rng.randint(1, 4))]
            out.write(json.dumps({"id": str(number), "paragraphs": paragraphs}) + "\n")


def _memory(pid: int) -> int:
    """Bytes of resident memory of a process and its children."""
    total = 0
    for process in (pid, *_children(pid)):
        try:
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE")
    return total


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main()
