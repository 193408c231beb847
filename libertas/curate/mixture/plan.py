"""The table of a mixture, as the Pile's paper has it (Gao et al. 2020, table 1), and the same in figures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from libertas.curate.mixture.documents import PARTS, Documents, Rows
from libertas.curate.mixture.stream import LEFT_OUT
from libertas.terminal import printable

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def component_counts(documents: Documents, times: Rows, weights: dict[str, float]) -> dict[str, dict[str, Any]]:
    """What becomes of each component.

    Args:
        documents: after everything is decided.
        times: how often training has each document.
        weights: passes that were asked of a component; where none is named, what came of it.
    """
    table, count = documents.table, len(documents.components)

    def tally(which: Rows, amounts: NDArray[np.integer] | None = None) -> list[int]:
        found = np.bincount(table["component"][which], amounts, minlength=count)  # exact below 2^53
        numbers: list[int] = found.astype(np.int64).tolist()
        return numbers

    def size(which: Rows) -> list[int]:
        return tally(which, table["bytes"][which])

    first = np.flatnonzero(times)
    seen, copies, distinct = (
        tally(first, times[first] * table["bytes"][first]),
        tally(first, times[first] - 1),
        tally(first),
    )
    dropped, raw = tally(np.flatnonzero(table["drop"])), size(_trainable(documents))
    held = {part: (tally(documents.staying(part)), size(documents.staying(part))) for part in PARTS[1:]}
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
        for part, (n, held_bytes) in held.items():
            result[name] |= {f"{part}_documents": n[code], f"{part}_bytes": held_bytes[code]}
    return result


def _trainable(documents: Documents) -> Rows:
    """Documents that could be trained on: those that a part of a pass leaves out, too."""
    drop = documents.table["drop"]
    free = (drop == 0) | (drop == documents.code_of(*LEFT_OUT))
    return np.flatnonzero(free & (documents.table["part"] == 0))


def mixture_table(documents: Documents, times: Rows, weights: dict[str, float]) -> Table:
    """Component, raw size, weight, epochs, effective size, mean document size and share, the largest share first.

    The raw size is what there is to train on: what is dropped or held out is not in it.
    """
    counts = component_counts(documents, times, weights)
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
