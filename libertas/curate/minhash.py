"""Near-duplicates by MinHash, in numpy: texts -> signatures -> components of similar documents.

A text becomes the set of its word 5-grams, computed on bytes without a Python loop over words. One-permutation hashing
(Li, Owen, Zhang 2012) puts every 5-gram's hash in one of 112 bins and keeps the smallest of each bin; empty bins
borrow from another by optimal densification (Shrivastava 2017). The share of equal bins of two signatures estimates
the Jaccard similarity of the two sets without bias, with a standard error of sqrt(J (1 - J) / 112), 0.04 at J = 0.8.
Texts with few 5-grams have fewer independent bins, and a larger error. In a script without spaces between words a
"word" is everything up to the next ASCII space or punctuation mark, so near-duplicates are found less often there.

Shape letters: D documents, B bins (112), W words of a batch, S shingles of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 5
BANDS, ROWS = 14, 8
"""datatrove's default: two documents meet in a band with probability 1 - (1 - J^8)^14, which is 0.92 at J = 0.8."""
BINS = BANDS * ROWS
STRICT_ROWS = 2
"""Bands of two rows, for proofs: at J = 0.8 a pair is missed with probability (1 - J^2)^56, about 1e-25."""
EMPTY = np.uint32(0xFFFFFFFF)

Signatures = NDArray[np.uint32]
"""Shape (documents, 112). A document without a word has only `EMPTY` and is similar to nothing."""

BYTE_BASE, WORD_BASE = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd, hence invertible modulo 2^64; the first is 2^64 / golden ratio, the second a well-tested mixing constant."""
MODULUS = 1 << 64


@dataclass(frozen=True, slots=True)
class Pair:
    """Two documents by position, and the share of equal bins in their signatures."""

    left: int
    right: int
    similarity: float


def _letter_table() -> NDArray[np.uint64]:
    """Value of every byte: 0 between words; letters in lower case; bytes of non-ASCII characters belong to words."""
    values = np.zeros(256, dtype=np.uint64)
    for byte in range(256):
        if byte >= 0x80 or chr(byte).isalnum() or chr(byte) == "_":
            values[byte] = bytes([byte]).lower()[0] + 1  # `bytes.lower` changes ASCII letters only
    return values


LETTERS = _letter_table()
IS_WORD = LETTERS > 0


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    """base^0 ... base^(count-1) modulo 2^64."""
    factors = np.full(count, base % MODULUS, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


_tables = (_powers(BYTE_BASE, 1 << 16), _powers(pow(BYTE_BASE, -1, MODULUS), 1 << 16))


def _byte_powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Powers of the byte base and of its inverse, grown to the longest text seen."""
    global _tables
    if len(_tables[0]) < count:
        size = 1 << (count - 1).bit_length()
        _tables = (_powers(BYTE_BASE, size), _powers(pow(BYTE_BASE, -1, MODULUS), size))
    return _tables


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64, in place: every input bit reaches every output bit."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _word_hashes(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hash and start of every word in a text that begins and ends between words, each of shape (W,).

    A word's hash is its polynomial in the byte base, taken from a running sum and shifted back to the word's start, so
    that it does not depend on where the word stands.
    """
    powers, inverses = _byte_powers(len(data))
    edges = np.flatnonzero(np.diff(IS_WORD[data].view(np.int8)))
    starts, ends = edges[0::2] + 1, edges[1::2]
    running = LETTERS[data]
    running *= powers[: len(data)]
    np.cumsum(running, out=running)
    return _mixed((running[ends] - running[starts - 1]) * inverses[starts]), starts


def shingles(texts: Sequence[str], words: int = SHINGLE_WORDS) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all word n-grams of some texts and the text each belongs to, two arrays of shape (S,).

    Words are runs of ASCII letters (in lower case), digits, underscores and non-ASCII bytes. A text with fewer than
    `words` words has one shingle of all it has; one without a word has none. Equal n-grams come as often as they occur.
    """
    pieces = [b" " + text.encode() for text in texts]
    bounds = np.cumsum([0] + [len(p) for p in pieces])
    data = np.frombuffer(b"".join(pieces) + b" ", dtype=np.uint8)
    hashes, starts = _word_hashes(data)
    first = np.searchsorted(starts, bounds)  # the number of each text's first word, and the end
    counts_D = np.diff(first)
    windows = max(len(hashes) - words + 1, 0)
    whole = np.zeros(windows, dtype=np.uint64)
    for k, factor in enumerate(_powers(WORD_BASE, words)):
        whole += hashes[k : k + windows] * factor
    owner_W = np.repeat(np.arange(len(texts)), counts_D)
    inside = owner_W[:windows] == owner_W[words - 1 : words - 1 + windows]
    values, owners = whole[inside], owner_W[:windows][inside]
    short = np.flatnonzero((counts_D > 0) & (counts_D < words))
    if len(short):
        factors = _powers(WORD_BASE, words)
        rest = [(hashes[first[d] : first[d + 1]] * factors[: counts_D[d]]).sum(dtype=np.uint64) for d in short]
        values = np.concatenate([values, np.array(rest, dtype=np.uint64)])
        owners = np.concatenate([owners, short])
    return _mixed(values), owners


def _probe_order() -> NDArray[np.int64]:
    """For every bin (row) all bins in the order in which it borrows from them; the same for every document."""
    keys = _mixed(np.arange(1, BINS * BINS + 1, dtype=np.uint64) * np.uint64(BYTE_BASE))
    return np.argsort(keys.reshape(BINS, BINS), axis=1)


PROBES = _probe_order()


def signatures(texts: Sequence[str]) -> Signatures:
    """Signatures of some texts, shape (texts, 112); each depends on its own text alone."""
    values, owners = shingles(texts)
    bins = ((values >> np.uint64(32)) * np.uint64(BINS)) >> np.uint64(32)
    lowest = np.minimum(values.astype(np.uint32), EMPTY - np.uint32(1))
    result = np.full(len(texts) * BINS, EMPTY, dtype=np.uint32)
    np.minimum.at(result, owners * BINS + bins.astype(np.int64), lowest)
    filled = result.reshape(len(texts), BINS)
    return _densified(filled)


def _densified(sparse: Signatures) -> Signatures:
    """Fill every empty bin from the first non-empty one in its probe order."""
    dense = sparse.copy()
    documents, bins = np.nonzero((sparse == EMPTY) & (sparse != EMPTY).any(axis=1, keepdims=True))
    for attempt in range(BINS):
        if not len(documents):
            break
        borrowed = sparse[documents, PROBES[bins, attempt]]
        dense[documents, bins] = borrowed
        still = borrowed == EMPTY
        documents, bins = documents[still], bins[still]
    return dense


def similarity(left: Signatures, right: Signatures) -> NDArray[np.float64]:
    """Estimated Jaccard similarity along the last axis; 0 where a document has no words."""
    equal: NDArray[np.float64] = ((left == right) & (left != EMPTY)).mean(axis=-1)
    return equal


def buckets(signs: Signatures, rows: int = ROWS) -> Iterator[NDArray[np.int64]]:
    """Groups of two or more documents that agree in a whole band of `rows` bins, ascending within a group."""
    with_words = np.flatnonzero(signs[:, 0] != EMPTY)
    if len(with_words) < 2:
        return
    factors = _powers(WORD_BASE, rows)
    for band in range(0, BINS, rows):
        keys = _mixed((signs[with_words, band : band + rows].astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64))
        order = np.argsort(keys, kind="stable")
        cuts = np.flatnonzero(np.diff(keys[order])) + 1
        borders = np.concatenate([[0], cuts, [len(order)]])
        for number in np.flatnonzero(np.diff(borders) > 1):
            yield with_words[order[borders[number] : borders[number + 1]]]


def components(signs: Signatures, at_least: float) -> NDArray[np.int64]:
    """For every document the smallest position in its component of near-duplicates, shape (D,).

    Two documents are joined when they meet in a band and their signatures agree in at least a share `at_least`.
    """
    parent = np.arange(len(signs))
    for members in buckets(signs):
        roots = {root(parent, int(m)) for m in members}
        if len(roots) > 1:
            for pair in _spanning_pairs(signs, members, at_least):
                _join(parent, pair.left, pair.right)
    return np.array([root(parent, i) for i in range(len(signs))], dtype=np.int64)


def _spanning_pairs(signs: Signatures, members: NDArray[np.int64], at_least: float) -> Iterator[Pair]:
    """Pairs that span the components inside one bucket; equal documents cost one comparison each, not all pairs."""
    waiting = members
    while len(waiting) > 1:
        frontier, waiting = [int(waiting[0])], waiting[1:]
        while frontier and len(waiting):
            here = frontier.pop()
            alike = similarity(signs[here], signs[waiting])
            near = alike >= at_least
            yield from (Pair(here, int(w), float(s)) for w, s in zip(waiting[near], alike[near], strict=True))
            frontier.extend(int(w) for w in waiting[near])
            waiting = waiting[~near]


def root(parent: NDArray[np.int64], item: int) -> int:
    """The representative of an item in a forest of parents; halves the path on the way."""
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = int(parent[item])
    return item


def _join(parent: NDArray[np.int64], left: int, right: int) -> None:
    """Make two items one component; the smaller position represents it, whatever the order of calls."""
    low, high = sorted((root(parent, left), root(parent, right)))
    parent[high] = low


def nearest_across(probe: Signatures, other: Signatures, at_least: float) -> dict[int, Pair]:
    """For every document of `other` that is near-duplicate of one of `probe`: its position -> the most similar pair.

    Bands of two rows let practically no pair slip. `left` counts in `probe`, `right` in `other`.
    """
    border = len(probe)
    found: dict[int, Pair] = {}
    for members in buckets(np.concatenate([probe, other]), STRICT_ROWS):
        cut = int(np.searchsorted(members, border))
        for left in members[:cut].tolist():
            rest = members[cut:] - border
            alike = similarity(probe[left], other[rest])
            for right, value in zip(rest[alike >= at_least].tolist(), alike[alike >= at_least].tolist(), strict=True):
                if right not in found or (-value, left) < (-found[right].similarity, found[right].left):
                    found[right] = Pair(left, right, value)
    return found
