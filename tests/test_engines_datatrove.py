import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_pages import KEEP, expected, texts

pytest.importorskip("datatrove", reason="needs pagelabel[datatrove]")

import dill
from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from pagelabel.engines.core import paragraph_at
from pagelabel.engines.datatrove import KeepParagraphs, LabelParagraphs

NOTHING = "Skip to content\nCopyright, all rights reserved"


def write(folder: Path, pages: list[str]) -> str:
    folder.mkdir()
    for part in range(2):
        lines = [json.dumps({"text": text, "id": str(i)}) for i, text in enumerate(pages) if i % 2 == part]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


def read(folder: Path) -> dict[int, dict[str, Any]]:
    lines = [line for file in folder.glob("*.gz") for line in gzip.decompress(file.read_bytes()).splitlines()]
    return {int(record["id"]): record for record in map(json.loads, lines)}


def test_two_tasks_label_and_then_filter_as_the_labeler_does(tmp_path: Path) -> None:
    pages = [*texts(), NOTHING]
    pipeline = [
        JsonlReader(write(tmp_path / "in", pages)),
        LabelParagraphs(),
        JsonlWriter(str(tmp_path / "labelled")),
        KeepParagraphs(KEEP, exclusion_writer=JsonlWriter(str(tmp_path / "dropped"))),
        JsonlWriter(str(tmp_path / "kept")),
    ]
    LocalPipelineExecutor(pipeline, tasks=2, workers=2, logging_dir=str(tmp_path / "logs")).run()

    labelled, kept, dropped = (read(tmp_path / name) for name in ("labelled", "kept", "dropped"))
    rows = expected(texts())
    for i, (text, row) in enumerate(zip(texts(), rows, strict=True)):
        wanted_text = row.pop("pagelabel_text")
        assert labelled[i]["text"] == text
        assert labelled[i]["metadata"].items() >= row.items()
        assert kept[i]["text"] == wanted_text
        metadata = kept[i]["metadata"]
        assert [paragraph_at(wanted_text, span) for span in metadata["pagelabel_spans"]] == wanted_text.split("\n")
        pairs = zip(row["pagelabel_labels"], row["pagelabel_scores"], strict=True)
        assert list(zip(metadata["pagelabel_labels"], metadata["pagelabel_scores"], strict=True)) == [
            pair for pair in pairs if pair[0] in KEEP
        ]
    assert sorted(kept) == list(range(len(rows)))
    assert [(record["text"], record["metadata"]["filter_reason"]) for record in dropped.values()] == [
        (NOTHING, "pagelabel_nothing_kept")
    ]
    assert len(dropped[len(rows)]["metadata"]["pagelabel_labels"]) == 2
    steps = {step["name"]: step["stats"] for step in json.loads((tmp_path / "logs" / "stats.json").read_text())}
    labels = [label for row in rows for label in row["pagelabel_labels"]]
    [counts] = [stats for name, stats in steps.items() if name.startswith("🏷")]
    assert counts["paragraphs_body"] == labels.count("body")


def test_the_filter_labels_what_has_no_labels() -> None:
    documents = [Document(text, str(i)) for i, text in enumerate(texts())]
    kept = list(KeepParagraphs(KEEP).run(iter(documents)))
    assert [document.text for document in kept] == [row["pagelabel_text"] for row in expected(texts())]


def test_a_pickled_run_is_small_and_runs_elsewhere_as_on_slurm(tmp_path: Path) -> None:
    label = LabelParagraphs()
    list(label.run(iter([Document(texts(1)[0], "0")])))
    pipeline = [
        JsonlReader(write(tmp_path / "in", texts(2))),
        label,
        KeepParagraphs(KEEP),
        JsonlWriter(str(tmp_path / "out")),
    ]
    data = dill.dumps(
        LocalPipelineExecutor(pipeline, workers=1, logging_dir=str(tmp_path / "logs")), fmode=dill.CONTENTS_FMODE
    )
    assert len(data) < 20_000
    (tmp_path / "executor.pik").write_bytes(data)
    command = [sys.executable, "-m", "datatrove.tools.launch_pickled_pipeline", str(tmp_path / "executor.pik")]
    subprocess.run(command, check=True, capture_output=True)
    kept = read(tmp_path / "out")
    assert [kept[i]["text"] for i in range(2)] == [row["pagelabel_text"] for row in expected(texts(2))]


def test_a_text_that_was_changed_after_labelling_is_not_cut_at_the_wrong_places() -> None:
    [document] = LabelParagraphs().run(iter([Document(texts(1)[0], "0")]))
    document.text = document.text[:50]
    with pytest.raises(ValueError, match="changed since"):
        list(KeepParagraphs(KEEP).run(iter([document])))


def test_an_unknown_label_to_keep_stops_the_run() -> None:
    with pytest.raises(ValueError, match="unknown label 'bodi'"):
        list(KeepParagraphs(["bodi"]).run(iter([Document(texts(1)[0], "0")])))
