"""Spoiled input through every reader: none may crash, hang, or lose what it does not tell of.

    python benchmarks/fuzz.py --minutes 10 --seed 1

Good files of every form are cut, overwritten, doubled and spliced. An input that raises, takes longer than the limit,
or yields neither a page nor an error is written to benchmarks/fuzz-seeds/, and tests/test_fuzz_seeds.py reads it again
for ever after.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import zstandard

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages

_SEEDS = Path(__file__).parent / "fuzz-seeds"
_LIMIT_SECONDS = 10
_MAX_PAGE_BYTES = 1_000_000
_TOKENS = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n\r\n", b"WARC/1.0\r\n", b"PAR1", b"ARROW1", b"\x1f\x8b\x08", b"{",
    b'"paragraphs": [', b"]", b"\\ud800", b"<div>" * 50, b"</p>", b"<table><tr><td>", b"<!--", b"&#x110000;", b"1e999",
    b"\x85", b"Content-Length: 99999999999\r\n", b"charset=utf-7", b"\xf0\x9f\x92\xa9",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    good = samples()
    counts = {"inputs": 0, "pages": 0, "errors": 0, "failures": 0}
    slowest = 0.0
    end = time.monotonic() + args.minutes * 60
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        print(f"inputs are written to {folder} before they are read", file=sys.stderr)
        while time.monotonic() < end:
            name = rng.choice(sorted(good))
            data = spoiled(good[name], rng, list(good.values()))
            file = Path(folder) / name
            file.write_bytes(data)
            start = time.monotonic()
            cause, pages, errors = read(file)
            slowest = max(slowest, time.monotonic() - start)
            counts["inputs"] += 1
            counts["pages"] += pages
            counts["errors"] += errors
            if cause is not None:
                counts["failures"] += 1
                _SEEDS.mkdir(exist_ok=True)
                seed = _SEEDS / f"{args.seed}-{counts['inputs']}-{name}"
                seed.write_bytes(data)
                print(f"{seed}: {cause}", file=sys.stderr)
    print(json.dumps({**counts, "minutes": args.minutes, "seed": args.seed, "slowest_seconds": round(slowest, 2)}))
    return 1 if counts["failures"] else 0


def read(file: Path) -> tuple[str | None, int, int]:
    """What went wrong, if anything; how many pages and errors there were."""
    pages = errors = 0
    signal.alarm(_LIMIT_SECONDS)
    try:
        for item in read_pages(str(file), max_page_bytes=_MAX_PAGE_BYTES):
            if isinstance(item, PageError):
                errors += 1
                item.to_json()
            else:
                pages += 1
                Page.from_record(json.loads(item.to_json()), "x")
    except Exception:  # noqa: BLE001 - finding them is what this is for
        return traceback.format_exc(limit=-4), pages, errors
    finally:
        signal.alarm(0)
    if not pages and not errors and file.suffix in (".html", ".txt"):
        return "neither a page nor an error", 0, 0
    return None, pages, errors


def spoiled(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """`data` with one to six changes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            out[at : at + rng.randint(1, 8)] = rng.randbytes(rng.randint(0, 8))
        elif kind == 2:
            out[at:at] = rng.choice(_TOKENS)
        elif kind == 3:
            del out[at : at + rng.randint(1, 200)]
        elif kind == 4:
            start = rng.randrange(len(out) + 1)
            out[at:at] = out[start : start + rng.randint(1, 400)]
        elif kind == 5:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            out[at:at] = other[start : start + rng.randint(1, 400)]
        elif out:
            at = rng.randrange(len(out))
            out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def samples() -> dict[str, bytes]:
    """Good files by name: the name tells the reader."""
    nav = "<nav><a href=/>Home</a><button>Menu</button></nav>"
    article = (
        "<article><h1>Mayor resigns</h1><p>“I go,” she said — and went.</p><table><tr><td>a<td>b</table></article>"
    )
    form = "<form><label>E-mail<input></label></form>"
    html = f"<!doctype html><meta charset=utf-8><title>Mayor resigns</title><body>{nav}{article}{form}".encode()
    rows = [{"id": str(i), "paragraphs": ["Home", "Mayor resigns", "The mayor … went."], "n": i} for i in range(5)]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    texts = "".join(json.dumps({"id": str(i), "text": "One line\n\nTwo è\n"}) + "\n" for i in range(5)).encode()
    text = "Mayor resigns\n\nThe mayor said on Monday that she would\nleave.\n".encode("utf-16")
    records = [_record(i, html) for i in range(4)]
    return {
        "a.html": html,
        "b.jsonl": lines,
        "c.jsonl.gz": gzip.compress(texts),
        "d.jsonl.zst": zstandard.compress(lines),
        "e.txt": text,
        "f.warc": b"".join(records),
        "g.warc.gz": b"".join(map(gzip.compress, records)),
        "h.warc.zst": b"".join(map(zstandard.compress, records)),
        "i.parquet": _columns(rows, parquet=True),
        "j.arrow": _columns(rows, parquet=False),
    }


def _record(number: int, body: bytes) -> bytes:
    packed = gzip.compress(body)
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n\r\n" + packed
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:%032d>\r\n"
        b"WARC-Target-URI: https://a.example/\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n"
    ) % (number, len(http), http)


def _columns(rows: list[dict[str, object]], *, parquet: bool) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, out = pa.Table.from_pylist(rows), io.BytesIO()
    if parquet:
        pq.write_table(table, out)
    else:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


def _too_long(*_: object) -> None:
    raise TimeoutError(f"not read within {_LIMIT_SECONDS} seconds")


if __name__ == "__main__":
    sys.exit(main())
