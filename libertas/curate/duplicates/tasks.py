"""Tasks that write arrays, and arrays that are sorted runs: all that the stage needs to join more than fits in memory.

A task makes one array for each of its tables and may be killed at any moment and run anywhere: an array appears under
its name when it is whole, and a task whose arrays are all there is not done again. A *run* is an array of records
sorted by their first field; what many runs hold of a range of keys is read by binary search in each of them.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.corpus import save_array
from libertas.engine import map_on_ray, map_ordered
from libertas.lineage.artifact import WRITING
from libertas.terminal import progress

Records = NDArray[Any]
"""Shape (records,), of a structured type."""

PARTITION_RECORDS = 1 << 23
"""Records that are joined in memory at a time: about 130 MB, and three times that while they are sorted."""
KEYS = 1 << 64
"""Number of keys that a hash can have."""


@dataclass(frozen=True, slots=True)
class TableTask:
    """Something that makes arrays."""

    folder: Path
    name: str
    tables: tuple[str, ...]
    make: Callable[[], Mapping[str, NDArray[Any]]]
    """A `partial` of a module-level function, so that it can travel; gives an array for each table."""

    def done(self) -> bool:
        """Whether every array is there."""
        return all((self.folder / table / f"{self.name}.npy").exists() for table in self.tables)


def complete(tasks: Sequence[TableTask], title: str, workers: int, engine: str) -> None:
    """Run the tasks that are not done."""
    for folder, table in {(task.folder, table) for task in tasks for table in task.tables}:
        (folder / table).mkdir(parents=True, exist_ok=True)
    with progress(title, len(tasks)) as bar:
        todo = [task for task in tasks if not task.done()]
        bar.advance(len(tasks) - len(todo), "parts")
        for outcome in _outcomes(todo, workers, engine):
            if isinstance(outcome, Exception):
                raise outcome
            bar.advance(1, "parts")


def _outcomes(tasks: Sequence[TableTask], workers: int, engine: str) -> Iterable[Exception | None]:
    if engine == "ray":
        return (outcome for _, outcome in map_on_ray(_run, tasks))
    return map_ordered(_run, tasks, min(workers, len(tasks)))


def _run(task: TableTask) -> None:
    arrays = task.make()
    for table in task.tables:
        path = task.folder / table / f"{task.name}.npy"
        unfinished = path.with_name(path.name + WRITING)
        save_array(unfinished, arrays[table])
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.rename(unfinished, path)


def opened(path: Path) -> Records:
    """An array on disk; nothing is read yet."""
    array: Records = np.load(path, mmap_mode="r")
    return array


def count(folder: Path) -> int:
    """Records in all runs of a folder."""
    return sum(len(opened(path)) for path in folder.glob("*.npy"))


def between(folder: Path, low: int, high: int) -> Records:
    """The records of all runs of a folder with a key in [low, high), in memory, run after run in order of name.

    The folder has at least one run, and all have the same type.
    """
    parts = []
    for path in sorted(folder.glob("*.npy")):
        rows = opened(path)
        key = str((rows.dtype.names or ("",))[0])
        keys = _Column(rows, key)
        parts.append(np.array(rows[bisect_left(keys, low) : bisect_left(keys, high)]))
    return np.concatenate(parts)


class _Column(Sequence[int]):
    """One field of records, as numbers that `bisect` can look at without reading all."""

    def __init__(self, rows: Records, field: str) -> None:
        self._rows, self._field = rows, field

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return int(self._rows[place][self._field])


def ranges(records: int, keys: int) -> list[tuple[int, int]]:
    """Cut keys [0, keys) into equal ranges that hold about `PARTITION_RECORDS` each, if keys are spread evenly."""
    parts = max(1, -(-records // PARTITION_RECORDS))
    return list(pairwise(part * keys // parts for part in range(parts + 1)))


def as_records(dtype: Sequence[tuple[Any, ...]], *columns: NDArray[Any]) -> Records:
    """Columns of equal length as records."""
    rows = np.empty(len(columns[0]), dtype=list(dtype))
    for (name, *_), column in zip(dtype, columns, strict=True):
        rows[name] = column
    return rows


def in_order(rows: Records, *fields: str) -> Records:
    """Records sorted by some fields, the most important first."""
    return rows[np.lexsort([rows[field] for field in reversed(fields)])]


def repeated(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Places of the keys that occur more than once."""
    order: NDArray[np.int64] = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    inside = np.zeros(len(keys), dtype=bool)
    inside[1:] = same
    inside[:-1] |= same
    return np.sort(order[inside])


def group_starts(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a new group begins, in sorted columns of one length."""
    starts = np.zeros(len(columns[0]), dtype=bool)
    starts[:1] = True
    for column in columns:
        starts[1:] |= column[1:] != column[:-1]
    return starts


def first_of_group(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For every place the place where its group begins."""
    places: NDArray[np.int64] = np.flatnonzero(starts)[np.cumsum(starts) - 1]
    return places
