"""Where each document of a corpus lies: `documents.npy` in corpus order, `by_id.npy` its order by id."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from libertas.corpus.shard import ROW

SORTED_AT_ONCE = 1 << 21
"""Ids that are sorted in memory at a time: two million, in about 200 MB."""


def write_index(folder: Path, shards: Iterable[NDArray[np.void]]) -> NDArray[np.uint32]:
    """Write `documents.npy` and `by_id.npy` from the rows of each shard, in order; memory does not grow with them.

    Returns:
        Numbers of the documents whose id an earlier document has, increasing; shape (repeats,).
    """
    part = folder / ".documents"
    with part.open("wb") as file:
        for rows in shards:
            file.write(rows.data)
    rows = np.memmap(part, dtype=ROW, mode="r") if part.stat().st_size else np.empty(0, dtype=ROW)
    save_array(folder / "documents.npy", rows)
    part.unlink()
    repeats = [np.empty(0, dtype=np.uint32)]
    with (folder / "by_id.npy").open("wb") as file:
        _write_header(file, np.empty(0, dtype=np.uint32), (len(rows),))
        for numbers in _in_order_of_id(rows):
            file.write(numbers.data)
            ids = rows["id"][numbers]
            repeats.append(numbers[1:][ids[1:] == ids[:-1]])
    return np.sort(np.concatenate(repeats))


def _in_order_of_id(rows: NDArray[np.void]) -> Iterator[NDArray[np.uint32]]:
    """Numbers of the documents by id, equal ids by number; in pieces that hold about `SORTED_AT_ONCE` each.

    Ids are hashes, so those that begin with the same digits are about as many as any others.
    """
    pieces = -(-len(rows) // SORTED_AT_ONCE)
    bounds = [f"{256 * piece // pieces:02x}".encode() for piece in range(1, min(pieces, 256))]
    for low, high in zip([b"", *bounds], [*bounds, b"g"], strict=True):
        found = [np.empty(0, dtype=np.uint32)]
        for start in range(0, len(rows), SORTED_AT_ONCE):
            ids = rows["id"][start : start + SORTED_AT_ONCE]
            found.append((np.flatnonzero((ids >= low) & (ids < high)) + start).astype(np.uint32))
        numbers = np.concatenate(found)
        yield numbers[np.argsort(rows["id"][numbers], kind="stable")]


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a `.npy` file; unlike `numpy.save`, a full disk is said to be one."""
    with path.open("wb") as file:
        _write_header(file, array, array.shape)
        if array.size:
            file.write(np.ascontiguousarray(array).view(np.uint8).data)


def _write_header(file: BinaryIO, like: NDArray[Any], shape: tuple[int, ...]) -> None:
    header = np.lib.format.header_data_from_array_1_0(like)
    np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
