"""The table of a mixture, as the Pile's paper has it (Gao et al. 2020, table 1), and the same in figures."""

from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from libertas.curate.mixture.documents import PARTS, Documents, Rows
from libertas.curate.mixture.stream import COPY, LEFT_OUT, Stream
from libertas.terminal import printable

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def component_counts(documents: Documents, stream: Stream, weights: dict[str, float]) -> dict[str, dict[str, Any]]:
    """What becomes of each component.

    Args:
        documents: after everything is decided.
        stream: what training reads.
        weights: passes that were asked of a component; where none is named, what came of it.
    """
    table, count = documents.table, len(documents.components)
    rows = stream & ~COPY
    first = rows[stream < COPY]

    def tally(which: Any, what: str | None = None) -> list[int]:
        here = table[which]
        amounts = None if what is None else here[what].astype(np.float64)
        found: list[int] = np.bincount(here["component"], amounts, minlength=count).astype(np.int64).tolist()
        return found

    seen, copies, distinct = tally(rows, "bytes"), tally(stream[stream >= COPY] & ~COPY), tally(first)
    dropped, raw = tally(table["drop"] > 0), tally(_trainable(documents), "bytes")
    held = {part: (tally(documents.staying(part)), tally(documents.staying(part), "bytes")) for part in PARTS[1:]}
    total = max(sum(seen), 1)
    result = {}
    for code, name in sorted(enumerate(documents.components), key=lambda item: item[1]):
        epochs = seen[code] / raw[code] if raw[code] else 0.0
        result[name] = {
            "documents": distinct[code],
            "copies": copies[code],
            "bytes": seen[code],
            "share": round(seen[code] / total, 6),
            "weight": weights.get(name, round(epochs, 6)),
            "epochs": round(epochs, 6),
            "raw_bytes": raw[code],
            "dropped": dropped[code],
        }
        for part, (n, size) in held.items():
            result[name] |= {f"{part}_documents": n[code], f"{part}_bytes": size[code]}
    return result


def _trainable(documents: Documents) -> Rows:
    """Documents that could be trained on: those that a part of a pass leaves out, too."""
    drop = documents.table["drop"]
    free = (drop == 0) | (drop == documents.code_of(*LEFT_OUT))
    return np.flatnonzero(free & (documents.table["part"] == 0))


def mixture_table(documents: Documents, stream: Stream, weights: dict[str, float]) -> Table:
    """Component, raw size, weight, epochs, effective size, mean document size and share, the largest share first.

    The raw size is what there is to train on: what is dropped or held out is not in it.
    """
    counts = component_counts(documents, stream, weights)
    trainable = np.bincount(documents.table["component"][_trainable(documents)], minlength=len(documents.components))
    number = dict(zip(documents.components, trainable.tolist(), strict=True))
    kept = {part: len(documents.staying(part)) for part in PARTS}
    dropped = sum(row["dropped"] for row in counts.values())
    parts = ", ".join(f"{n:,} {part}" for part, n in kept.items() if n or part == "train")
    table = Table(
        title=f"{len(documents.table):,} documents = {parts}, {dropped:,} dropped", title_justify="left", box=None
    )
    table.add_column("component")
    for heading in ("raw size", "weight", "epochs", "effective size", "mean document", "share"):
        table.add_column(heading, justify="right")
    total = {"raw_bytes": 0, "bytes": 0, "documents": 0}
    for name, row in sorted(counts.items(), key=lambda item: (-item[1]["bytes"], item[0])):
        table.add_row(
            escape(printable(name)),
            size_text(row["raw_bytes"]),
            f"{row['weight']:.4g}",
            f"{row['epochs']:.4g}",
            size_text(row["bytes"]),
            size_text(row["raw_bytes"] / max(number[name], 1)),
            f"{row['share']:.2%}",
        )
        total["raw_bytes"] += row["raw_bytes"]
        total["bytes"] += row["bytes"]
        total["documents"] += number[name]
    table.add_row(
        "together",
        size_text(total["raw_bytes"]),
        "",
        f"{total['bytes'] / max(total['raw_bytes'], 1):.4g}",
        size_text(total["bytes"]),
        size_text(total["raw_bytes"] / max(total["documents"], 1)),
        "100.00%",
        style="bold",
    )
    return table


def size_text(size: float) -> str:
    """A number of bytes in the unit that suits it."""
    power = 0
    while size >= 1024 and power < len(UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:,.2f} {UNITS[power]}" if power else f"{size:,.0f} {UNITS[0]}"
