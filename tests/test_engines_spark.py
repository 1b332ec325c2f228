import os
import sys
from collections.abc import Iterator

import pytest
from engine_pages import KEEP, expected, need_java, paragraphs, texts

pytest.importorskip("pyspark", reason="needs pagelabel[spark]")

import pandas as pd
from pyspark.sql import Row, SparkSession
from pyspark.sql.types import StringType, StructType

from pagelabel.engines.spark import label_frames, label_udf, labelled_schema


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """A local session of two workers, which find pagelabel where this process does."""
    need_java()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        builder = SparkSession.builder.master("local[2]").appName("pagelabel")
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "localhost",
            "spark.driver.bindAddress": "127.0.0.1",
            # A page a batch: what is loaded once must be so across batches.
            "spark.sql.execution.arrow.maxRecordsPerBatch": "1",
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


def row(found: Row) -> dict[str, object]:
    return {name: value for name, value in found.asDict(recursive=True).items() if name.startswith("pagelabel_")}


def test_map_in_pandas_gives_the_labels_of_the_labeler(spark: SparkSession) -> None:
    pages = spark.createDataFrame([(i, text) for i, text in enumerate(texts())], "id long, text string").repartition(2)
    labelled = pages.mapInPandas(label_frames(keep=KEEP), labelled_schema(pages.schema, keep=KEEP))
    found = sorted(labelled.collect(), key=lambda row: row["id"])
    assert [(row["id"], row["text"]) for row in found] == list(enumerate(texts()))
    assert [row(one) for one in found] == expected(texts())


def test_the_udf_gives_the_labels_of_the_labeler_for_lists_of_paragraphs(spark: SparkSession) -> None:
    pages = [paragraphs(text) for text in texts(4)]
    frame = spark.createDataFrame(list(enumerate(pages)), "id long, paragraphs array<string>")
    labelled = frame.withColumn("found", label_udf()("paragraphs")).select("id", "found.*")
    for one, page, want in zip(sorted(labelled.collect()), pages, expected(texts(4)), strict=True):
        assert one["pagelabel_labels"] == want["pagelabel_labels"]
        assert one["pagelabel_scores"] == want["pagelabel_scores"]
        assert ["\n".join(page)[start:end] for start, end in one["pagelabel_spans"]] == page


def test_nulls_and_empty_pages_stand_in_their_rows(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(0, None), (1, ""), (2, texts(1)[0])], "id long, text string").coalesce(1)
    labelled = frame.mapInPandas(label_frames(), labelled_schema(frame.schema))
    null, empty, page = sorted(labelled.collect())
    assert (null["text"], null["pagelabel_labels"]) == (None, None)
    assert "expected a text" in null["pagelabel_error"]
    assert (empty["pagelabel_labels"], empty["pagelabel_error"]) == ([], None)
    assert page["pagelabel_labels"] == expected(texts(1))[0]["pagelabel_labels"]


def test_a_worker_loads_the_model_once(spark: SparkSession) -> None:
    def loads(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        from pagelabel.engines.core import _labeler

        for _ in label_frames()(frames):
            yield pd.DataFrame({"process": [os.getpid()], "loads": [_labeler.cache_info().misses]})

    frame = spark.createDataFrame([(text,) for text in texts(6)], "text string").repartition(2)
    for _ in range(2):
        found = frame.mapInPandas(loads, "process long, loads long").collect()
        assert len(found) == 6
        assert {one["loads"] for one in found} == {1}
        assert os.getpid() not in {one["process"] for one in found}


def test_labels_that_are_there_already_are_replaced(spark: SparkSession) -> None:
    schema = StructType().add("pagelabel_labels", StringType()).add("text", StringType())
    assert labelled_schema(schema).names == [
        "text",
        "pagelabel_labels",
        "pagelabel_scores",
        "pagelabel_spans",
        "pagelabel_error",
    ]
    frame = spark.createDataFrame([("old", texts(1)[0])], schema)
    [found] = frame.mapInPandas(label_frames(), labelled_schema(schema)).collect()
    assert found["pagelabel_labels"] == expected(texts(1))[0]["pagelabel_labels"]
