import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import toy_pages, write_pages

from pagelabel.cli import main
from pagelabel.data.sources import open_source
from pagelabel.model.bundle import read_bundle
from pagelabel.runs import RunError, ShardedRun

# All fifty take two minutes; a few show in every run of the tests that nothing is lost.
KILLS = int(os.environ.get("PAGELABEL_TEST_KILLS", "6"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages with a bad line here and there."""
    lines = []
    for i, page in enumerate(toy_pages(240)):
        lines.append(page.to_json())
        if i % 31 == 7:
            lines.append('{"id": "bad", "paragraphs": 7}')
    file = tmp_path_factory.mktemp("source") / "pages.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def command(bundle: Path, source: Path, folder: Path, *more: str) -> list[str]:
    options = ["--model", str(bundle), "-o", f"{folder}/", "--shard-pages", "40", "--threads", "1", *more]
    return ["label", str(source), *options]


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tiny_bundle: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "out"
    assert main(command(tiny_bundle, source, folder)) == 1
    return content(folder)


def test_shards_hold_every_page_once_in_order(undisturbed: dict[str, bytes]) -> None:
    parts = sorted(name for name in undisturbed if name.endswith(".jsonl") and "errors" not in name)
    ids = [json.loads(line)["id"] for name in parts for line in undisturbed[name].splitlines()]
    assert ids == [f"toy-{i}" for i in range(240)]
    errors = [json.loads(line) for name in undisturbed if "errors" in name for line in undisturbed[name].splitlines()]
    assert len(errors) == 8
    assert all(error["position"].startswith("line ") for error in errors)


def test_a_run_killed_at_any_moment_ends_as_one_that_was_not(
    tiny_bundle: Path, source: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    folder, rng = tmp_path / "out", random.Random(0)
    run = [sys.executable, "-m", "pagelabel", *command(tiny_bundle, source, folder)]
    start = time.perf_counter()
    subprocess.run(run, capture_output=True, check=False)
    whole = time.perf_counter() - start
    shutil.rmtree(folder)
    for _ in range(KILLS):
        process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.3, 1.0) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = content(folder) if folder.exists() else {}
        assert all(undisturbed[name] == data for name, data in done.items() if not name.startswith("."))
        if len(done) == len(undisturbed):
            # It was faster than its end: begin anew.
            shutil.rmtree(folder)
    assert subprocess.run(run, capture_output=True, check=False).returncode == 1
    assert content(folder) == undisturbed


def test_a_finished_run_is_not_done_again(
    tiny_bundle: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tiny_bundle, source, tmp_path / "out")) == 1
    times = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()}
    assert main(command(tiny_bundle, source, tmp_path / "out")) == 1
    assert times == {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()}
    assert "240 page(s) labelled, 8 could not be read" in capsys.readouterr().err


def test_workers_give_the_same_bytes(
    tiny_bundle: Path, source: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    assert main(command(tiny_bundle, source, tmp_path / "out", "--workers", "2")) == 1
    assert content(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("more", [["--min-score", "0.5"], ["--keep", "body"], ["--to", "tsv"]])
def test_another_command_does_not_go_on_with_the_run(
    tiny_bundle: Path, source: Path, tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(command(tiny_bundle, source, tmp_path / "out"))
    capsys.readouterr()
    assert main(command(tiny_bundle, source, tmp_path / "out", *more)) == 1
    assert "repeat its command" in capsys.readouterr().err


def test_input_that_changed_is_told(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(write_pages(tmp_path / "in.jsonl", toy_pages(3)))
    main(command(tiny_bundle, file, tmp_path / "out"))
    write_pages(file, toy_pages(4))
    capsys.readouterr()
    assert main(command(tiny_bundle, file, tmp_path / "out")) == 1
    assert "other inputs" in capsys.readouterr().err


def test_a_run_that_was_begun_before_more_was_kept_of_the_model_goes_on(
    tiny_bundle: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(command(tiny_bundle, source, tmp_path / "out"))
    file = tmp_path / "out" / "run.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "model": settings["model"]["sha256"]}))
    capsys.readouterr()
    assert main(command(tiny_bundle, source, tmp_path / "out")) == 1
    assert "there already" in capsys.readouterr().err


def test_a_model_that_decides_otherwise_does_not_go_on_with_the_run(
    tiny_bundle: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    main(command(bundle, source, tmp_path / "out"))
    config = read_bundle(bundle)
    # Who made it decides nothing.
    (bundle / "config.json").write_text(replace(config, provenance={}).to_json())
    assert main(command(bundle, source, tmp_path / "out")) == 1
    assert "there already" in capsys.readouterr().err
    (bundle / "config.json").write_text(replace(config, temperature=5.0).to_json())
    assert main(command(bundle, source, tmp_path / "out")) == 1
    assert "other model" in capsys.readouterr().err


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(RunError, match="choose another folder"):
        ShardedRun(tmp_path, ".jsonl", 10, {})
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_one_process_at_a_time_writes_a_run(
    tiny_bundle: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "many.jsonl").write_bytes(source.read_bytes() * 20)
    folder = tmp_path / "out"
    run = command(tiny_bundle, tmp_path / "many.jsonl", folder)
    with subprocess.Popen([sys.executable, "-m", "pagelabel", *run], stderr=subprocess.DEVNULL) as first:
        while not (folder / "part-00001.jsonl").exists():
            assert first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGSTOP)
        begun = content(folder)
        assert main(run) == 1
        assert "another process writes this run" in capsys.readouterr().err
        assert content(folder) == begun
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=60) == 1
    assert len(list(folder.glob("part-?????.jsonl"))) == 20 * 248 // 40
    # What has ended holds it no longer.
    assert main(run) == 1
    assert "124 shard(s) are there already" in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_file(tiny_bundle: Path, source: Path, tmp_path: Path) -> None:
    run = command(tiny_bundle, source, tmp_path / "out")
    # The largest file that the process may write: the kernel refuses what is beyond it, as a full disk does.
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); "
        f"from pagelabel.cli import main; sys.exit(main({run!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large: " in done.stderr
    assert "part-00000.jsonl'" in done.stderr
    assert "Traceback" not in done.stderr
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["run.json"]


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def started(tiny_bundle: Path, tmp_path: Path, pages: int = 6000) -> subprocess.Popen[str]:
    """A run with two workers that takes a while, once its first shard is there."""
    file = write_pages(tmp_path / "in.jsonl", toy_pages(pages))
    run = command(tiny_bundle, Path(file), tmp_path / "out", "--workers", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "pagelabel", *run],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts what runs in the background with interrupts ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 60
    while not (tmp_path / "out" / "part-00000.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    return process


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_a_worker_that_the_system_kills_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    process = started(tiny_bundle, tmp_path)
    workers = [pid for pid in children(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker process was ended from outside" in stderr
    assert "Traceback" not in stderr
    assert not list((tmp_path / "out").glob(".*"))


def test_an_interrupt_ends_the_run_and_its_workers(tiny_bundle: Path, tmp_path: Path) -> None:
    process = started(tiny_bundle, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip().splitlines()[-1] == "pagelabel: interrupted"
    assert "Traceback" not in stderr
    assert not list((tmp_path / "out").glob(".*"))


def test_a_source_that_can_be_read_only_now_does_not_shift_the_others(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    locked, free = write_pages(tmp_path / "a.jsonl", toy_pages(30)), write_pages(tmp_path / "b.jsonl", toy_pages(30))
    folder = tmp_path / "out"
    options = ["label", locked, free, "--model", str(tiny_bundle), "-o", f"{folder}/", "--shard-pages", "10"]

    def refuse(source: str) -> io.BufferedReader:
        if source == locked:
            raise PermissionError(13, "Permission denied")
        return open_source(source)

    with monkeypatch.context() as patch:
        patch.setattr("pagelabel.data.readers.open_source", refuse)
        assert main(options) == 1
        # As it was, it goes on.
        assert main(options) == 1
    before = content(folder)
    capsys.readouterr()
    assert main(options) == 1
    assert "a.jsonl: could not be read then, and can be now" in capsys.readouterr().err
    assert content(folder) == before


@pytest.mark.parametrize("text", ["[]", "null", "{"])
def test_settings_that_cannot_be_read_are_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json: not readable"):
        ShardedRun(tmp_path, ".jsonl", 10, {})
