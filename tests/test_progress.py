"""How far a run is, on a terminal."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import toy_pages, write_pages


def test_a_pipe_does_not_tell_how_far_it_is(tiny_bundle: Path, tmp_path: Path) -> None:
    source = write_pages(tmp_path / "pages.jsonl", toy_pages(40))
    master, terminal = os.openpty()
    command = [sys.executable, "-m", "pagelabel", "label", "--from", "jsonl", "/dev/stdin", "--model", str(tiny_bundle)]
    with subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as pipe:
        done = subprocess.run(command, stdin=pipe.stdout, stdout=subprocess.PIPE, stderr=terminal, timeout=100)
    os.close(terminal)
    os.close(master)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 40
