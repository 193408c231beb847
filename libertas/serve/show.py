"""An artifact's manifest as a table for the terminal."""

from typing import Any

from rich.table import Table
from rich.text import Text

from libertas.lineage.manifest import Manifest
from libertas.terminal import printable


def details(manifest: Manifest) -> Table:
    """Kind, settings, counts, size, time and host of an artifact."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    size = sum(f.bytes for f in manifest.files)
    rows: list[tuple[str, Any]] = [
        ("kind", manifest.kind),
        ("fingerprint", manifest.fingerprint),
        ("content", manifest.content),
        ("made", f"{manifest.finished} in {manifest.seconds:,.1f} s"),
        ("memory", f"{manifest.peak_memory_bytes / 1e6:,.0f} MB at most"),
        ("command", " ".join(manifest.command)),
        ("version", manifest.version),
        ("host", f"{manifest.host['system']}, Python {manifest.host['python']}, {manifest.host['cores']} cores"),
        ("files", f"{len(manifest.files):,} ({size / 1e6:,.2f} MB)"),
    ]
    rows += [(f"  {key}", value) for key, value in manifest.identity.items()]
    rows += [(key.replace("_", " "), _flat(value)) for key, value in manifest.counts.items()]
    for key, value in rows:
        table.add_row(Text(printable(key)), Text(printable(str(value))))
    return table


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_flat(v)}" for k, v in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
