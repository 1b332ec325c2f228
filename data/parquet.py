"""Pages from Parquet and Arrow files: a row a page, in batches, with all other columns kept."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pagelabel.data.page import FIELDS, Page, PageError
from pagelabel.data.records import page_of_record
from pagelabel.data.streams import ReadOptions, Stream

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 64
_ARROW_FILE = b"ARROW1"
_PARQUET = b"PAR1"
# The columns of what `pagelabel.columns` writes.
_OWN = (*FIELDS, "extra")
# Columns that are text even where a writer left out the mark that says so.
_TEXTS = ("id", "url", "title", "labels", "paragraphs")


def read_parquet(stream: Stream, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    """The rows of a Parquet file, an Arrow file (Feather too) or an Arrow stream; told apart by how they begin.

    A row has `paragraphs` (a list of strings) or a text, and may have `id`, `url`, `labels` and `scores`; other columns
    are kept: dates and times in ISO 8601, bytes in base64, decimals as strings, numbers that are not finite as null. A
    row that is no page yields a PageError at "row N" (from 0).
    """
    import pyarrow as pa

    first = 0
    try:
        for batch in _batches(stream):
            # Offsets of a spoiled file point anywhere, and reading there ends the process.
            batch.validate(full=True)
            yield from _rows(batch, first, source, options)
            first += batch.num_rows
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        cause = " ".join(str(error).split())[:300]
        yield PageError(source, f"row {first}", f"not readable as Parquet or Arrow from here on: {cause}")


def _batches(stream: Stream) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = stream.peek(8)[:8]
    if not start.startswith((_PARQUET, _ARROW_FILE)):
        yield from pa.ipc.open_stream(stream)
        return
    if not stream.seekable():
        raise ValueError("this format is read from its end: give the file's name, it cannot come through a pipe")
    if start.startswith(_PARQUET):
        # pre_buffer would read whole row groups ahead.
        yield from pq.ParquetFile(stream, pre_buffer=False).iter_batches(_BATCH_ROWS)
        return
    file = pa.ipc.open_file(stream)
    for i in range(file.num_record_batches):
        batch = file.get_batch(i)
        for row in range(0, batch.num_rows, _BATCH_ROWS):
            yield batch.slice(row, _BATCH_ROWS)


def _rows(batch: pa.RecordBatch, first: int, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    names = Counter(batch.schema.names)
    for name in (*_OWN, "title", "link", options.text_column):
        if names[name] > 1:
            raise ValueError(f"the column {name!r} stands there twice")
    own = names.keys() >= set(_OWN)
    kinds = zip(batch.schema.names, batch.schema.types, strict=True)
    readers = [_reader(name, kind, options) for name, kind in kinds]
    for i in range(batch.num_rows):
        row = batch.slice(i, 1)
        if row.get_total_buffer_size() > options.max_page_bytes and row.nbytes > options.max_page_bytes:
            cause = f"larger than {options.max_page_bytes:,} bytes, the most a page may have"
            yield PageError(source, f"row {first + i}", cause)
            continue
        try:
            columns = zip(row.schema.names, row, readers, strict=True)
            record = {name: read(value[0]) for name, value, read in columns}
            # A column for all rows cannot leave a field out, so a null in it says the same.
            for name in (*FIELDS, options.text_column):
                if name in record and record[name] is None:
                    del record[name]
            if isinstance(record.get("id"), float) and record["id"].is_integer():
                # What pandas makes of whole numbers where some rows have none.
                record["id"] = int(record["id"])
            if own:
                for name, value in _rest(record.pop("extra")).items():
                    record[name] = value if record.get(name) is None else record[name]
            yield page_of_record(record, f"{source}:{first + i}", options)
        except (ValueError, OverflowError) as error:
            yield PageError(source, f"row {first + i}", str(error))


def _rest(extra: Any) -> dict[str, Any]:
    """What `pagelabel.columns` wrote as JSON, as it had no column for it."""
    try:
        found = json.loads(extra) if extra else {}
    except (TypeError, ValueError):
        found = None
    return found if isinstance(found, dict) else {"extra": extra}


def _reader(name: str, kind: pa.DataType, options: ReadOptions) -> Callable[[pa.Scalar], Any]:
    """What makes values of a column Python's."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    if pa.types.is_list(kind) and pa.types.is_string(inner):
        return _texts
    if name in (*_TEXTS, options.text_column) and (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        return lambda value: _decoded(value.as_py())
    return lambda value: _json_able(value.as_py())


def _texts(value: pa.Scalar) -> Any:
    """A list of texts, or null: asked for one by one, a page's texts take three times as long."""
    return value.values.to_numpy(zero_copy_only=False).tolist() if value.is_valid else None


def _decoded(value: Any) -> Any:
    """Bytes as the text that they are, alone or in a list."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _json_able(value: Any) -> Any:
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _json_able(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_able(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID, datetime.timedelta)):
        return str(value)
    return value
