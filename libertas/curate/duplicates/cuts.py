"""Rows of the side-cars `cuts`: what of each document stood in an earlier one."""

from collections.abc import Sequence

import pyarrow as pa

from libertas.corpus import Piece
from libertas.curate.duplicates.layout import TableLayout
from libertas.curate.duplicates.lines import CUT_LINES
from libertas.curate.duplicates.sign import FACTS
from libertas.curate.duplicates.substring import CUT_SPANS
from libertas.curate.duplicates.tasks import between
from libertas.curate.sidecar import CUTS_SCHEMA, rows_of

CUT_METHODS = {"lines": CUT_LINES, "substring": CUT_SPANS}
"""Method, which is also the rule that a cut names -> the run of its cuts."""


def cut_rows(layout: TableLayout, methods: Sequence[str], piece: Piece) -> pa.Table:
    """The cuts of a piece's documents by some methods, in order."""
    start, first = layout.place_of(piece)
    found = []
    for method in sorted(set(methods) & set(CUT_METHODS)):
        rows = between(layout.folder / CUT_METHODS[method], first, first + piece.documents)
        ids, sources = (layout.take(FACTS, rows[name], "id").astype(str).tolist() for name in ("document", "source"))
        numbers, begins, ends = (rows[name].tolist() for name in ("document", "start", "end"))
        found += [
            {
                "number": number - start,
                "document_id": identifier,
                "start": begin,
                "end": end,
                "replacement": "",
                "rule": method,
                "detail": f"before in {source}",
            }
            for number, identifier, begin, end, source in zip(numbers, ids, begins, ends, sources, strict=True)
        ]
    return rows_of(CUTS_SCHEMA, sorted(found, key=lambda row: (row["number"], row["start"], row["end"])))
