"""Files of one JSON line per step: `metrics.jsonl`, the source of truth for every curve, and the run's chain.

On resuming, lines of later steps are cut off. While the disk is full, lines wait in memory and none is torn or lost.
"""

import os
from pathlib import Path
from typing import Any

import orjson

from libertas.lineage.artifact import write_durably
from libertas.train.space import why_not_written

METRICS = "metrics.jsonl"


class Journal:
    """Appends one JSON line per step to a file of a run."""

    def __init__(self, folder: Path, after_step: int, name: str = METRICS) -> None:
        """Open for appending; lines of steps after `after_step`, and a torn last line, are removed."""
        self.path = folder / name
        kept = [row for row in read_metrics(self.path) if row["step"] <= after_step]
        write_durably(self.path, b"".join(_line(row) for row in kept))
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self._waiting, self._error = b"", OSError()

    def write(self, row: dict[str, Any]) -> None:
        """Append a row; it must have a `step`."""
        self._waiting += _line(row)
        self.settled()

    def settled(self) -> bool:
        """Write what waits; whether every line is in the file now.

        A state must not be saved before: a run that continued from it would lack lines.

        Raises:
            OSError: the file cannot be written for another reason than a full or absent disk.
        """
        try:
            while self._waiting:  # a full disk may take half a line; the rest is appended to it later
                self._waiting = self._waiting[os.write(self._file, self._waiting) :]
        except OSError as error:
            if why_not_written(error) is None:
                raise
            self._error = error
            return False
        return True

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: lines are left that cannot be written.
        """
        settled = self.settled()
        os.close(self._file)
        if not settled:
            raise OSError(self._error.errno, self._error.strerror, str(self.path)) from self._error


def _line(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


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
