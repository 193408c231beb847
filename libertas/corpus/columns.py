"""Rows of Python values as Arrow tables, from buffers.

`pyarrow.array` asks of all it is given whether it is of pandas, and to know that imports pandas wherever it is
installed. This takes longer than to judge or write some hundred documents, in each process; we never hold any.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def column_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as an array; None becomes null.

    Raises:
        TypeError: a number does not fit into `kind` as it is.
        OverflowError: an integer has more than 64 bits.
    """
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return pa.array(values, kind)  # lists and truth values, which few tables have
    there = np.array([value is not None for value in values], dtype=bool)
    bitmap = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    if pa.types.is_string(kind):
        encoded = [b"" if value is None else value.encode() for value in values]
        ends = np.cumsum([0, *map(len, encoded)])
        assert ends[-1] < 2**31, "more text than a column of strings can hold"
        buffers = [pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(encoded))]
    else:
        dense = [0 if value is None else value for value in values] or np.empty(0, kind.to_pandas_dtype())
        buffers = [pa.py_buffer(np.asarray(dense).astype(kind.to_pandas_dtype(), casting="safe"))]
    return pa.Array.from_buffers(kind, len(values), [bitmap, *buffers])


def table_of(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Columns of equal length, by name, as a table."""
    return pa.Table.from_arrays([column_of(columns[field.name], field.type) for field in schema], schema=schema)


def table_of_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; what a row lacks is null."""
    return table_of({name: [row.get(name) for row in rows] for name in schema.names}, schema)
