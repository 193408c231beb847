"""`metrics.jsonl`: one line per step, the source of truth for every curve; on resuming, later lines are cut off."""

from pathlib import Path
from typing import Any

import orjson

from libertas.lineage.artifact import write_durably

METRICS = "metrics.jsonl"


class Journal:
    """Appends one JSON line per step to a run's metrics."""

    def __init__(self, folder: Path, after_step: int) -> None:
        """Open for appending; lines of steps after `after_step`, and a torn last line, are removed."""
        self.path = folder / METRICS
        kept = [row for row in read_metrics(self.path) if row["step"] <= after_step]
        write_durably(self.path, b"".join(_line(row) for row in kept))
        self._file = self.path.open("ab")

    def write(self, row: dict[str, Any]) -> None:
        """Append a row; it must have a `step`."""
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole rows of a metrics file; none if it does not exist."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_bytes().split(b"\n"):
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue  # the torn last line of a killed run, or the empty end
    return rows
