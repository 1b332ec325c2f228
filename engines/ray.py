"""A stage for Ray Data: a class whose model is loaded once in each actor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pagelabel.data.streams import TextMode
from pagelabel.engines.core import KNOWN, PageStage


class LabelPages:
    """Adds the columns of `pagelabel.engines.core.Row` to each batch; the arguments are those of `PageStage`.

    `dataset.map_batches(LabelPages, concurrency=(1, 8), batch_size=64, batch_format="pyarrow")`; arguments go into
    `fn_constructor_kwargs`. A pool that grows leaves cores to the reading: one of a fixed size that takes all of them
    waits for its input forever. Arrow tables, pandas frames and dicts of arrays come back as what they were. Only Arrow
    tables give each column its type even in a batch that holds no page. Raises KeyError without the column.
    """

    def __init__(
        self,
        model: str | None = None,
        column: str = "text",
        text_mode: TextMode = "auto",
        keep: Sequence[str] | None = None,
    ) -> None:
        self.stage = PageStage(model, column, text_mode, keep)
        self.stage.load()

    def __call__(self, batch: Any) -> Any:
        column = self.stage.column
        if isinstance(batch, dict):
            return {**batch, **self._columns(batch[column], _about(batch))}
        if hasattr(batch, "assign"):
            return batch.assign(**self._columns(batch[column], _about(batch)))
        known = batch.select([name for name in KNOWN if name in batch.column_names]).to_pylist()
        added = _arrow(self._columns(batch.column(column).to_pylist(), known))
        for name in set(batch.column_names) & set(added.column_names):
            batch = batch.drop_columns(name)
        for name in added.column_names:
            batch = batch.append_column(name, added.column(name))
        return batch

    def _columns(self, values: Iterable[object], known: Iterable[Mapping[str, object]]) -> dict[str, list[object]]:
        rows = list(self.stage.rows(values, known))
        return {name: [row[name] for row in rows] for name in self.stage.columns}


def _about(batch: Any) -> Iterator[dict[str, object]]:
    """What the batch, a frame or a dict of arrays, knows about each page."""
    names = [name for name in KNOWN if name in batch]
    return (dict(zip(names, row, strict=True)) for row in zip(*(batch[name] for name in names), strict=True))


def _arrow(columns: dict[str, list[object]]) -> Any:
    import pyarrow as pa

    types = {
        "pagelabel_labels": pa.list_(pa.string()),
        "pagelabel_scores": pa.list_(pa.float64()),
        "pagelabel_spans": pa.list_(pa.list_(pa.int64())),
        "pagelabel_error": pa.string(),
        "pagelabel_text": pa.string(),
    }
    return pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
