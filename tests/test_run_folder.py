"""One process keeps a run, and several learn together."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages

from pagelabel.model.checkpoint import load_info
from pagelabel.training.config import load_config
from pagelabel.training.run_folder import digests, guard, keep, leads, processes, write_config


def test_the_first_process_keeps_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert leads()
    assert processes() == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, expected in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert leads() is expected
    assert processes() == 2


def test_two_processes_learn_together(toy_config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "pagelabel", "train", "--config", str(toy_config), "-o", str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count(str(tmp_path / "run" / "best")) == 1
    assert done.stderr.count("18 training pages") == 1
    info = load_info(tmp_path / "run" / "best")
    assert info["metrics"]["macro_f1"] > 0.8
    assert info["processes"] == 2
    assert {file.name for file in (tmp_path / "run").iterdir()} == {"best", "config.json", "state"}


def test_a_run_goes_on_in_as_many_processes(toy_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(toy_config)
    monkeypatch.setenv("WORLD_SIZE", "2")
    write_config(tmp_path, config, [])
    guard(tmp_path, config, True, [])
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(ValueError, match="another number of processes"):
        guard(tmp_path, config, True, [])
    write_config(tmp_path, config, [])
    guard(tmp_path, config, True, [])


def test_a_run_goes_on_with_the_data_that_it_was_started_with(toy_config: Path, tmp_path: Path) -> None:
    config, pages = load_config(toy_config), tmp_path / "pages"
    pages.mkdir()
    write_pages(pages / "a.jsonl", toy_pages()[:3])
    write_pages(pages / "b.jsonl", toy_pages()[3:])
    config = replace(config, data=replace(config.data, train=(str(pages),)))
    before = digests(config.data, states=None)
    assert [name for name, _ in before] == ["a.jsonl", "b.jsonl", "dev.jsonl"]
    write_config(tmp_path, config, before)
    guard(tmp_path, config, True, before)
    write_pages(pages / "b.jsonl", toy_pages()[4:])
    with pytest.raises(ValueError, match=r"^b\.jsonl has changed since the run was started"):
        guard(tmp_path, config, True, digests(config.data))
    (pages / "b.jsonl").unlink()
    with pytest.raises(ValueError, match=r"^b\.jsonl has changed since the run was started"):
        guard(tmp_path, config, True, digests(config.data))
    # A run of before this was stored.
    known = json.loads((tmp_path / "config.json").read_text())
    del known["data_sha256"]
    (tmp_path / "config.json").write_text(json.dumps(known))
    guard(tmp_path, config, True, [])
    for name in ("gone.jsonl", "gone/*.jsonl"):
        with pytest.raises(ValueError, match=r"^states: .*gone.*: no such file"):
            digests(config.data, states=str(tmp_path / name))


def test_a_run_goes_on_with_the_pages_that_it_held_out(tmp_path: Path) -> None:
    pages = toy_pages()
    file = Path(keep(pages[:3], tmp_path, resume=False))
    held = file.read_bytes()
    assert keep(pages[:3], tmp_path, resume=True) == str(file)
    for others in (pages[:2], pages[3:6]):
        with pytest.raises(ValueError, match="its data has changed since"):
            keep(others, tmp_path, resume=True)
    assert file.read_bytes() == held
    file.unlink()
    keep(pages[:2], tmp_path, resume=True)
    assert len(file.read_bytes().splitlines()) == 2
