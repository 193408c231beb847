"""The stream of training: which documents it has how often, and in what order, as numbers of documents in a file.

How much is taken of each component is decided first, as a `Portion`; the stream is drawn only to be written.

Each pass over a component takes its documents in the order of a keyed permutation of its own, and a part of a pass is
the beginning of that order, so that 1.5 passes are everything and a half that has nothing to do with corpus order.
Components are interleaved so that after any prefix of the stream the fractions that were read of any two differ by no
more than half a document of each.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from libertas.corpus import save_array
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.documents import Documents, Rows
from libertas.curate.mixture.epochs import Dose, Size, doses, nearest_count, unused
from libertas.errors import UsageError
from libertas.permutation import permuted

COPY = np.uint64(1 << 63)
"""Set in the number of a document that the stream has had before."""

POSITION_BYTES = 56
"""Memory that a place in the stream takes at most while it is drawn, measured."""
MOST_POSITIONS = 1 << 31
"""Longest stream."""

LEFT_OUT = ("weight", "beyond the weight of its component")
"""Rule and reason against what a part of a pass leaves out."""

Stream = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Portion:
    """What is taken of a group's documents."""

    rows: Rows
    passes: int
    part: Rows
    """Documents of one more pass, in its order."""
    key: str
    """Of the permutations of the passes."""


def drop_unused(documents: Documents, config: MixConfig) -> None:
    """Speak against documents of components, or languages, that nothing is wanted of.

    Raises:
        UsageError: nothing is left, or a setting names what does not occur.
    """
    rows = documents.staying()
    if not len(rows):
        raise UsageError(
            f"{', '.join(map(str, config.decisions)) or 'the list of tombstones'} leaves none of "
            f"{len(documents.table)} documents to mix; expected at least two: curate with fewer rules or more languages"
        )
    column, names, kind = _grouping(documents, config)
    codes = documents.table[column][rows]
    idle = unused(config, names)
    for name in idle:
        documents.drop(rows[codes == names.index(name)], "weight", f"{kind} has weight 0", 0.0)
    if not len(documents.staying()):
        raise UsageError(f"weights leaves no {kind} to train on; expected a weight above 0 for at least one")


def _grouping(documents: Documents, config: MixConfig) -> tuple[str, list[str], str]:
    """Field of the array, names of its codes, and what to call them."""
    if config.by_language:
        return "language", documents.languages, "language"
    return "component", documents.components, "component"


def grouped(documents: Documents, config: MixConfig) -> dict[str, Rows]:
    """Training documents of each group, by name."""
    rows = documents.staying("train")
    column, names, _ = _grouping(documents, config)
    codes = documents.table[column][rows]
    order = np.argsort(codes, kind="stable")
    parts = np.split(rows[order], np.flatnonzero(np.diff(codes[order])) + 1) if len(rows) else []
    found = {names[int(documents.table[column][part[0]])]: part for part in parts}
    return {name: found[name] for name in sorted(found)}


def take_portions(documents: Documents, config: MixConfig) -> tuple[dict[str, Portion], dict[str, float]]:
    """What is taken of each group, by name; documents that are left out of a part of a pass become drops.

    With a budget, what one group has too much or too little by whole documents is made up by the next, those with the
    smallest documents last, so that the sum is exact to within a document.

    Returns:
        The portions, and the passes that were asked of each group.
    """
    table, groups = documents.table, grouped(documents, config)
    measure = "tokens" if config.tokenizer is not None else "bytes"
    sizes = {
        name: Size(
            len(rows), int(table["bytes"][rows].sum(dtype=np.int64)), int(table[measure][rows].sum(dtype=np.int64))
        )
        for name, rows in groups.items()
    }
    wanted = doses(config, sizes)
    order = sorted(sizes, key=lambda name: (-sizes[name].measure / sizes[name].documents, name))
    portions: dict[str, Portion] = {}
    surplus = 0.0
    for name in order:
        key = f"libertas mix {config.seed} {name}"
        portions[name], beyond = _portion(documents, groups[name], wanted[name], surplus, measure, key)
        surplus = beyond if config.has_total else 0.0
    if not any(portion.passes or len(portion.part) for portion in portions.values()):
        raise UsageError("the budget is too small for a single document; expected more; raise it")
    return {name: portions[name] for name in sorted(portions)}, {name: dose.weight for name, dose in wanted.items()}


def _portion(
    documents: Documents, rows: Rows, dose: Dose, surplus: float, measure: str, key: str
) -> tuple[Portion, float]:
    """A group's documents as often as wanted, and by how much they, with the `surplus` before, are too much."""
    order = _shuffled(rows, key, dose.passes)
    sums = np.cumsum(documents.table[measure][order], dtype=np.int64)
    count = nearest_count(sums, dose.rest - surplus)
    if not dose.passes:
        count = count or dose.fewest
        documents.drop(order[count:], *LEFT_OUT, dose.weight)
    taken = int(sums[count - 1]) if count else 0
    return Portion(rows, dose.passes, order[:count], key), surplus + taken - dose.rest


def _shuffled(rows: Rows, key: str, number: int) -> Rows:
    """Documents in the order of their pass of this number."""
    return rows[permuted(np.arange(len(rows), dtype=np.uint64), len(rows), f"{key} {number}")]


def times_taken(documents: Documents, portions: Iterable[Portion]) -> Rows:
    """How often the stream has each document."""
    times = np.zeros(len(documents.table), dtype=np.int64)
    for portion in portions:
        times[portion.rows] = portion.passes
        times[portion.part] += 1
    return times


def draw_stream(portions: Iterable[Portion], sizes: NDArray[np.integer]) -> Stream:
    """The stream: numbers of documents, with `COPY` where they stood before.

    Args:
        portions: of each group.
        sizes: bytes of each document.

    Raises:
        UsageError: it would be too long.
    """
    portions = list(portions)
    length = sum(portion.passes * len(portion.rows) + len(portion.part) for portion in portions)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if length > (most := min(MOST_POSITIONS, memory // POSITION_BYTES)):
        raise UsageError(
            f"the mixture has {length:,} documents with repeats, {POSITION_BYTES} bytes of memory each; expected at "
            f"most {most:,} here; lower weights or the budget, or mix more than once"
        )
    return interleave([_stream_of(portion) for portion in portions], sizes)


def _stream_of(portion: Portion) -> Stream:
    passes = [_shuffled(portion.rows, portion.key, n) for n in range(portion.passes)]
    stream: Stream = np.concatenate([np.empty(0, dtype=np.int64), *passes, portion.part]).astype(np.uint64)
    stream[len(portion.rows) if portion.passes else len(portion.part) :] |= COPY
    return stream


def interleave(streams: Sequence[Stream], sizes: NDArray[np.integer]) -> Stream:
    """One stream in which each document stands where its middle byte lies in its own, as a fraction of that.

    Where fractions are equal, the order of the streams decides.
    """
    places = []
    for stream in streams:
        size = sizes[stream & ~COPY].astype(np.int64) + 1  # so that empty texts have a place, too
        ends = np.cumsum(size)
        places.append((ends - size / 2) / ends[-1] if len(ends) else ends.astype(np.float64))
    order = np.argsort(np.concatenate(places), kind="stable")
    result: Stream = np.concatenate(streams)[order]
    return result


def save_stream(path: Path, stream: Stream, sizes: NDArray[np.integer], shard_bytes: int) -> list[int]:
    """Write a part's documents to a file; returns where in it each shard begins, and the end.

    A shard has the documents that begin within its `shard_bytes` of the part's text.
    """
    save_array(path, stream)
    size = sizes[stream & ~COPY].astype(np.int64) + 1
    begun = (np.cumsum(size) - size) // shard_bytes
    return [0, *(np.flatnonzero(np.diff(begun)) + 1).tolist(), len(stream)]
