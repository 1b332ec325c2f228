"""The models that come with the package, on pages written for the project."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pagelabel import Labeler, read_pages
from pagelabel.check import check_bundle
from pagelabel.model.bundle import SHIPPED, bundle_files, read_bundle, shipped_bundle

EXAMPLES = Path(__file__).parent.parent / "examples"
FLOORS = json.loads((Path(__file__).parent / "floors.json").read_text())


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    return Labeler.load()


@pytest.mark.parametrize("name", SHIPPED)
def test_it_agrees_with_its_reference_pages(name: str) -> None:
    check = check_bundle(name)
    assert not check.problems
    assert check.agreement >= FLOORS["reference_agreement"]


def test_every_paragraph_of_the_example_page_is_right(labeler: Labeler) -> None:
    (page,) = read_pages(str(EXAMPLES / "mayor-resigns.txt"))
    expected = json.loads((EXAMPLES / "mayor-resigns.expected.jsonl").read_text(encoding="utf-8"))
    labelled = labeler.label(page)  # type: ignore[arg-type]
    pairs = zip(labelled.paragraphs, labelled.labels or [], expected["labels"], strict=True)
    assert [row for row in pairs if row[1] != row[2]] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_its_scores_reach_the_floors(name: str) -> None:
    metrics = read_bundle(shipped_bundle(name)).provenance["metrics"]
    for file, floors in FLOORS["metrics"][name].items():
        for key, least in floors.items():
            assert metrics[file][key] >= least, (file, key)


def test_int8_loses_little() -> None:
    parity = read_bundle(shipped_bundle("accurate")).provenance["parity"]
    assert parity["int8_agreement"] >= FLOORS["int8_agreement"]
    assert parity["fp32_macro_f1"] - parity["int8_macro_f1"] <= FLOORS["int8_macro_f1_loss"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_bundle_is_small(name: str) -> None:
    size = sum(file.stat().st_size for file in bundle_files(shipped_bundle(name)))
    assert size <= FLOORS["bundle_megabytes"][name] * 1_000_000


@pytest.mark.parametrize("name", SHIPPED)
def test_the_graphs_tell_nothing_of_the_machine_that_wrote_them(name: str) -> None:
    for file in shipped_bundle(name).glob("*.onnx"):
        # Every node had the source lines that it was exported from.
        assert b".py" not in file.read_bytes(), file.name


def test_the_example_page_is_labelled_within_a_second_start_up_included() -> None:
    command = [sys.executable, "-m", "pagelabel", "label", str(EXAMPLES / "mayor-resigns.txt"), "--to", "tsv"]
    times: list[float] = []
    # The best of up to ten: a machine that does other work now and then is slow most of the time, not always.
    while len(times) < 10 and min(times, default=2.0) >= FLOORS["example_seconds"]:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < FLOORS["example_seconds"]
