"""Near-duplicates: pairs that meet in a band of their signatures, then compared shingle by shingle.

Within a bucket of a band the smallest document is a centre, and all others are compared with it by signature; those
that are not surely similar to it get the next smallest of them as a centre, and so on. Pairs that may be similar are
read again, and kept when the Jaccard similarity of their sets of word 5-grams is what was asked for.
"""

from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from libertas.curate.duplicates.copies import ORIGINAL
from libertas.curate.duplicates.layout import TableLayout
from libertas.curate.duplicates.sign import FACTS, SIGNATURES
from libertas.curate.duplicates.tasks import (
    KEYS,
    Records,
    TableTask,
    as_records,
    between,
    complete,
    count,
    first_of_group,
    group_starts,
    in_order,
    ranges,
    repeated,
)
from libertas.curate.minhash import BANDS, EMPTY, band_keys, shingles, similarity

BANDED, CANDIDATES, PAIRS = "banded", "candidates", "pairs"
BANDED_TYPE = (("key", "<u8"), ("document", "<i8"))
CANDIDATES_TYPE = (("left", "<i8"), ("right", "<i8"))
PAIRS_TYPE = (*CANDIDATES_TYPE, ("similarity", "<f8"))
SLICE = 1 << 18
"""Documents whose bands are sorted into one run: 75 MB of records."""
CENTRES = 16
"""Documents of one bucket that the others are compared with."""
MARGIN = 0.25
"""How much an estimate may fall short: six standard errors for texts of a page, two for texts of two sentences."""
COMPARED_AT_ONCE = 1 << 15
"""Pairs of signatures that are compared at a time: 30 MB."""
VERIFIED_AT_ONCE = 1 << 16
"""Pairs that one task reads again."""
READ_AT_ONCE = 1 << 27
"""Characters of texts whose sets of shingles are in memory together."""


def find_pairs(layout: TableLayout, at_least: float, workers: int, engine: str) -> None:
    """Write the run `pairs`: two documents, the smaller first, and their similarity, in order of both."""
    slices = [(first, min(first + SLICE, len(layout))) for first in range(0, len(layout), SLICE)]
    tasks = [
        TableTask(layout.folder, f"{place:06}", (BANDED,), partial(_banded, layout, *documents))
        for place, documents in enumerate(slices)
    ]
    complete(tasks, "Near-duplicates: sorting", workers, engine)
    tasks = [
        TableTask(layout.folder, f"{place:06}", (CANDIDATES,), partial(_candidates, layout, at_least, *keys))
        for place, keys in enumerate(ranges(count(layout.folder / BANDED), KEYS))
    ]
    complete(tasks, "Near-duplicates: joining", workers, engine)
    parts = max(1, -(-count(layout.folder / CANDIDATES) // VERIFIED_AT_ONCE))
    cuts = [part * len(layout) // parts for part in range(parts + 1)]
    tasks = [
        TableTask(
            layout.folder, f"{part:06}", (PAIRS,), partial(_verified, layout, at_least, cuts[part], cuts[part + 1])
        )
        for part in range(parts)
    ]
    complete(tasks, "Near-duplicates: verifying", workers, engine)


def _banded(layout: TableLayout, first: int, last: int) -> dict[str, Records]:
    """Keys of all bands of the documents that have words and are no copies."""
    signs = layout.span(SIGNATURES, first, last)
    documents = np.arange(first, last)
    inside = (signs[:, 0] != EMPTY) & (layout.span(ORIGINAL, first, last) == documents)
    signs, documents = signs[inside], documents[inside]
    keys = np.concatenate([band_keys(signs, band) for band in range(BANDS)])
    rows = as_records(BANDED_TYPE, keys, np.tile(documents, BANDS))
    return {BANDED: rows[np.argsort(keys)]}


def _candidates(layout: TableLayout, at_least: float, low: int, high: int) -> dict[str, Records]:
    rows = between(layout.folder / BANDED, low, high)
    rows = in_order(rows[repeated(rows["key"])], "key", "document")
    found = [np.empty((2, 0), dtype=np.int64)]
    for _ in range(CENTRES):
        starts = group_starts(rows["key"])
        left, right = rows["document"][first_of_group(starts)][~starts], rows["document"][~starts]
        if not len(left):
            break
        alike = _estimates(layout, left, right)
        found.append(np.array([left, right])[:, alike >= at_least - MARGIN])
        rows = rows[~starts][alike < (1 + at_least) / 2]
    left, right = np.concatenate(found, axis=1)
    return {CANDIDATES: _distinct(as_records(CANDIDATES_TYPE, left, right))}


def _estimates(layout: TableLayout, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    result = np.empty(len(left))
    for first in range(0, len(left), COMPARED_AT_ONCE):
        part = slice(first, first + COMPARED_AT_ONCE)
        needed, places = np.unique(np.concatenate([left[part], right[part]]), return_inverse=True)
        signs, half = layout.take(SIGNATURES, needed), len(left[part])
        result[part] = similarity(signs[places[:half]], signs[places[half:]])
    return result


def _distinct(rows: Records) -> Records:
    rows = in_order(rows, "left", "right")
    return rows[group_starts(rows["left"], rows["right"])]


def _verified(layout: TableLayout, at_least: float, low: int, high: int) -> dict[str, Records]:
    rows = _distinct(between(layout.folder / CANDIDATES, low, high))
    alike = jaccard(layout, rows["left"], rows["right"])
    inside = alike >= at_least
    return {PAIRS: as_records(PAIRS_TYPE, rows["left"][inside], rows["right"][inside], alike[inside])}


def jaccard(layout: TableLayout, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Jaccard similarity of the sets of word 5-grams of pairs of documents, read again; shape (pairs,)."""
    needed = np.where(np.diff(left, prepend=-1) != 0, layout.take(FACTS, left, "size"), 0)
    needed += layout.take(FACTS, right, "size")
    batch = np.cumsum(needed) // READ_AT_ONCE
    result = np.zeros(len(left))
    for part in np.split(np.arange(len(left)), np.flatnonzero(np.diff(batch)) + 1):
        sets = _shingle_sets(layout, np.unique(np.concatenate([left[part], right[part]])))
        for pair in part.tolist():
            result[pair] = jaccard_of_sets(sets[int(left[pair])], sets[int(right[pair])])
    return result


def _shingle_sets(layout: TableLayout, documents: NDArray[np.int64]) -> dict[int, NDArray[np.uint64]]:
    """The hashes of each document's word 5-grams, each once, increasing."""
    result: dict[int, NDArray[np.uint64]] = {}
    for numbers, found in layout.documents(documents):
        values, owners = shingles([document.text for document in found])
        ends = np.searchsorted(owners, np.arange(len(found) + 1))
        for first, last in pairwise(ends.tolist()):
            values[first:last].sort()
        once = group_starts(values, owners)
        values, ends = values[once], np.concatenate([[0], np.cumsum(once)])[ends]
        result.update(zip(numbers.tolist(), np.split(values, ends[1:-1]), strict=True))
    return result


def jaccard_of_sets(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> float:
    """Share of two sets' elements that both have, 0 for two empty ones; each increasing without repeats."""
    both = np.concatenate([left, right])
    both.sort()
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / (len(both) - common) if len(both) else 0.0
