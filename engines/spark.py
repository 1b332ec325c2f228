"""For Spark: a function for `DataFrame.mapInPandas`, and a pandas UDF. The model is loaded once in a Python worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pagelabel.data.streams import TextMode
from pagelabel.engines.core import KNOWN, PageStage

try:
    import pandas as pd
    from pyspark.sql.functions import pandas_udf
    from pyspark.sql.types import ArrayType, DataType, DoubleType, LongType, StringType, StructField, StructType
except ModuleNotFoundError as error:
    message = f"pagelabel.engines.spark needs {error.name}: pip install 'pagelabel[spark]'"
    raise ModuleNotFoundError(message, name=error.name) from error

_TYPES: dict[str, DataType] = {
    "pagelabel_labels": ArrayType(StringType()),
    "pagelabel_scores": ArrayType(DoubleType()),
    "pagelabel_spans": ArrayType(ArrayType(LongType())),
    "pagelabel_error": StringType(),
    "pagelabel_text": StringType(),
}

Frames = Iterator[pd.DataFrame]


def label_frames(
    model: str | None = None, column: str = "text", text_mode: TextMode = "auto", keep: Sequence[str] | None = None
) -> Callable[[Frames], Frames]:
    """A function for `mapInPandas` that adds the columns of `pagelabel.engines.core.Row`; see `labelled_schema`.

    The arguments are those of `PageStage`. `mapInPandas` takes all columns through pandas, where whole numbers with
    nulls among them become floats on the way: select what is needed, or use `label_udf`.
    """
    return partial(_label_frames, PageStage(model, column, text_mode, keep))


def labelled_schema(schema: StructType, keep: Sequence[str] | None = None) -> StructType:
    """`schema` with the columns that `label_frames` adds, or replaces where they are there already."""
    added = _row_type(PageStage(keep=keep))
    return StructType([*(field for field in schema if field.name not in _TYPES), *added])


def label_udf(
    model: str | None = None, text_mode: TextMode = "auto", keep: Sequence[str] | None = None
) -> Callable[..., Any]:
    """A pandas UDF from a column of texts, or of paragraph lists, to a struct of the fields of `Row`."""
    stage = PageStage(model, text_mode=text_mode, keep=keep)

    def label(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield _frame(stage, batch)

    # Spark reads the annotations to tell what kind of UDF it is, and needs the types themselves.
    label.__annotations__ = {"batches": Iterator[pd.Series], "return": Iterator[pd.DataFrame]}
    udf: Callable[..., Any] = pandas_udf(label, returnType=_row_type(stage))
    return udf


def _label_frames(stage: PageStage, frames: Frames) -> Frames:
    for frame in frames:
        rest = frame.drop(columns=[name for name in _TYPES if name in frame])
        known = frame[[name for name in KNOWN if name in frame]].to_dict("records")
        yield rest.join(_frame(stage, frame[stage.column], known))


def _frame(stage: PageStage, values: pd.Series, known: Sequence[Mapping[str, object]] = ()) -> pd.DataFrame:
    return pd.DataFrame(list(stage.rows(values, known)), columns=list(stage.columns), index=values.index)


def _row_type(stage: PageStage) -> StructType:
    return StructType([StructField(name, _TYPES[name]) for name in stage.columns])
