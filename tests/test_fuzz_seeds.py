"""Input that a reader once failed on, and a short run of the fuzzer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fastwarc")

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_a_short_run_finds_nothing() -> None:
    command = [sys.executable, str(BENCHMARKS / "fuzz.py"), "--minutes", "0.1", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["inputs"] > 100
    assert counts["pages"]
    assert counts["errors"]


@pytest.mark.parametrize("file", sorted((BENCHMARKS / "fuzz-seeds").glob("*")), ids=lambda file: file.name)
def test_what_failed_once_is_read(file: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import fuzz; from pathlib import Path; "
    code += f"assert fuzz.read(Path({str(file)!r}))[0] is None"
    subprocess.run([sys.executable, "-c", code], check=True)
