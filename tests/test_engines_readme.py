"""The README's examples of engines, run as they stand there, on a small crawl."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_pages import expected, need_java, texts

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def example(package: str) -> str:
    pytest.importorskip(package, reason="needs the extra of this engine")
    [code] = [
        block
        for block in re.findall(r"```py\n(.*?)```", README, re.DOTALL)
        if f"import {package}" in block or f"from {package}" in block
    ]
    return str(code)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "crawl").mkdir()
    lines = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts(4))]
    (tmp_path / "crawl" / "0.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def run(code: str, folder: Path) -> None:
    (folder / "example.py").write_text(code, encoding="utf-8")
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    command = [sys.executable, "example.py"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def parquet(folder: Path) -> Iterator[dict[str, object]]:
    import pyarrow.parquet as pq

    yield from sorted(pq.read_table(folder).to_pylist(), key=lambda row: str(row["id"]))


def test_datatrove(folder: Path) -> None:
    run(example("datatrove"), folder)
    files = sorted((folder / "articles").glob("*.jsonl.gz"))
    records = [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [record["text"] for record in records] == [row["pagelabel_text"] for row in expected(texts(4))]


@pytest.mark.parametrize("package", ["ray", "pyspark"])
def test_ray_and_spark(folder: Path, package: str) -> None:
    code = example(package)
    if package == "pyspark":
        need_java()
    run(code, folder)
    found = list(parquet(folder / "labelled"))
    for row, want in zip(found, expected(texts(4)), strict=True):
        assert row["pagelabel_labels"] == want["pagelabel_labels"]
        assert row["pagelabel_spans"] == want["pagelabel_spans"]
        assert row.get("pagelabel_text", want["pagelabel_text"]) == want["pagelabel_text"]
