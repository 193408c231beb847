"""What became no document: one table of drops for web archives and for files of others alike."""

import pyarrow as pa

DROPS = "drops.parquet"
DROPS_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("uri", pa.string()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("value", pa.string()),
    ]
)
"""One row for each record that became no document. `offset` is in bytes of the file on disk; of what has no id of its
own, `record_id` is file, member and number."""
DROPS_AT_ONCE = 1 << 14
"""Rows of drops that are held in memory."""
