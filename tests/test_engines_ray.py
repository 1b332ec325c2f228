import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_pages import KEEP, expected, paragraphs, texts

pytest.importorskip("ray", reason="needs pagelabel[ray]")

import pyarrow as pa
import ray
import ray.data

from pagelabel.engines.ray import LabelPages

# Ray warns of its own defaults.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A local cluster of two workers, which find pagelabel where this process does."""
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}})
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def plain(value: Any) -> Any:
    """Lists for arrays, at any depth."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_two_workers_give_the_labels_of_the_labeler(cluster: None, tmp_path: Path) -> None:
    """And each of them has loaded one model, in a process of its own."""

    class Told(LabelPages):
        def __init__(self, folder: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.folder = Path(folder)
            (self.folder / str(os.getpid())).touch()

        def __call__(self, batch: pa.Table) -> pa.Table:
            # One that is there early would label everything before the other has started.
            deadline = time.time() + 60
            while len(list(self.folder.iterdir())) < 2 and time.time() < deadline:
                time.sleep(0.05)
            return super().__call__(batch).append_column("process", pa.array([os.getpid()] * batch.num_rows))

    rows = [{"id": i, "text": text} for i, text in enumerate([*texts(), ""])]
    dataset = ray.data.from_items(rows, override_num_blocks=6)
    labelled = dataset.map_batches(
        Told,
        fn_constructor_kwargs={"folder": str(tmp_path), "keep": KEEP},
        concurrency=2,
        batch_size=2,
        batch_format="pyarrow",
    )
    found = sorted(labelled.take_all(), key=lambda row: row["id"])
    wanted = [{**row, **more} for row, more in zip(rows, expected(texts()), strict=False)]
    for row, want in zip(found, wanted, strict=False):
        assert {name: row[name] for name in want} == want
    assert (found[-1]["text"], found[-1]["pagelabel_labels"], found[-1]["pagelabel_error"]) == ("", [], None)
    loaded = {int(file.name) for file in tmp_path.iterdir()}
    assert len(loaded) == 2
    assert {row["process"] for row in found} <= loaded - {os.getpid()}


@pytest.mark.parametrize("batch_format", ["numpy", "pandas"])
def test_other_batch_formats(cluster: None, batch_format: str) -> None:
    pages = [paragraphs(text) for text in texts(4)]
    dataset = ray.data.from_items([{"id": i, "paragraphs": page} for i, page in enumerate(pages)])
    labelled = dataset.map_batches(
        LabelPages, fn_constructor_kwargs={"column": "paragraphs"}, concurrency=1, batch_format=batch_format
    )
    found = sorted(labelled.take_all(), key=lambda row: row["id"])
    for row, page, want in zip(found, pages, expected(texts(4)), strict=True):
        assert plain(row["paragraphs"]) == page
        for name in ("pagelabel_labels", "pagelabel_scores"):
            assert plain(row[name]) == want[name]
        assert ["\n".join(page)[start:end] for start, end in plain(row["pagelabel_spans"])] == page
        assert row["pagelabel_error"] is None


def test_a_null_is_an_error_in_its_row_and_old_labels_are_replaced() -> None:
    table = pa.table({"text": [None, texts(1)[0]], "pagelabel_labels": ["old", "old"]})
    labelled = LabelPages()(table)
    assert labelled.column_names == [
        "text",
        "pagelabel_labels",
        "pagelabel_scores",
        "pagelabel_spans",
        "pagelabel_error",
    ]
    first, second = labelled.to_pylist()
    assert (first["pagelabel_labels"], first["pagelabel_error"] is None) == (None, False)
    assert second["pagelabel_labels"] == expected(texts(1))[0]["pagelabel_labels"]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="body"):
        LabelPages(column="body")(pa.table({"text": ["Donate"]}))
