"""`libertas decontaminate show`: what was found, with both texts side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from libertas.curate.contamination.config import ShowOverlapsConfig
from libertas.curate.contamination.stage import OVERLAPS
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest_of
from libertas.terminal import printable


@dataclass(frozen=True, kw_only=True)
class Overlaps:
    """Some of what was found."""

    counts: dict[str, Any]
    """Of the manifest, for all tasks."""
    rows: list[dict[str, Any]]
    """Rows of the table `overlaps`."""


def overlaps_of(config: ShowOverlapsConfig) -> Overlaps:
    """The first overlaps that are asked for, in corpus order.

    Raises:
        UsageError: the artifact is of another kind, or holds no such overlap.
    """
    manifest = read_manifest_of(config.found, "overlaps", "what `libertas decontaminate` made")
    wanted = {name: value for name in ("task", "item", "kind") if (value := getattr(config, name))}
    rows = list(islice(_rows(config.found, wanted), config.most))
    if wanted and not rows:
        raise UsageError(
            f"{config.found} has no overlap with {', '.join(f'{n} {v}' for n, v in wanted.items())}; its tasks: "
            f"{', '.join(manifest.counts['tasks'])}"
        )
    return Overlaps(counts=manifest.counts, rows=rows)


def overlaps_view(overlaps: Overlaps) -> list[Any]:
    """A table of counts by task, and each overlap with both texts, as the terminal shows them."""
    return [_table(overlaps.counts), *map(_panel, overlaps.rows)]


def found_table(found: Path) -> list[Any]:
    """What the stage shows when it is done: how many items of each task were found, and how."""
    return [_table(read_manifest_of(found, "overlaps", "what `libertas decontaminate` made").counts)]


def _rows(folder: Path, wanted: dict[str, str]) -> Iterator[dict[str, Any]]:
    filters = [(name, "=", value) for name, value in wanted.items()] or None
    for path in sorted((folder / OVERLAPS).glob("*.parquet"), key=lambda p: [int(n) for n in p.stem.split("-")]):
        yield from pq.read_table(path, filters=filters, partitioning=None).to_pylist()


def _table(counts: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("task", "items", "too short to tell", "with answer", "question", "passage", "documents"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for task, n in counts["tasks"].items():
        values = (n[k] for k in ("items", "too_short_to_tell", "with_answer", "question", "passage", "documents"))
        table.add_row(Text(printable(task)), *(f"{v:,}" for v in values))
    return table


def _panel(row: dict[str, Any]) -> Panel:
    pair = Table.grid(expand=True, padding=(0, 2))
    pair.add_column(ratio=1, overflow="fold")
    pair.add_column(ratio=1, overflow="fold")
    pair.add_row(Text("item", style="bold"), Text("document", style="bold"))
    pair.add_row(*(Text(printable(row[name])) for name in ("item_text", "document_text")))
    title = Text(printable(f"{row['task']} {row['item']}: {row['kind']}"))
    place = f"{row['document_id']}, characters {row['start']:,} to {row['end']:,}"
    return Panel(
        pair,
        title=title,
        title_align="left",
        subtitle=Text(f"{place}; {row['words']} words in a row, {row['coverage']:.0%}, {row['bits']:.0f} bits"),
        subtitle_align="left",
    )
