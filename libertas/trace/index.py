"""A suffix array over the training tokens: where, and how often, does any sequence of tokens occur?

The array lists every position of the training tokens, sorted by the tokens that follow (Manber & Myers 1993), so that
all occurrences of a sequence lie side by side and are found by binary search. It is built by libdivsufsort, whose time
does not grow with repetition as that of comparison sorts does: tokens are written as big-endian bytes, whose order is
the order of the token ids, all byte suffixes are sorted, and those that begin inside a token are left out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydivsufsort import divsufsort

from libertas.corpus import save_array
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import Manifest, read_manifest_of
from libertas.lineage.walk import input_of
from libertas.terminal import progress
from libertas.tokenize.store import TokenStore
from libertas.trace.config import IndexConfig

SUFFIXES = "suffixes.npy"
WINDOW = 16
"""Tokens compared at first beyond what is known to match; doubled while all of them do."""

Suffixes = NDArray[np.uint32] | NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Match:
    """A prefix of a query that occurs in the training tokens, and its interval in the suffix array."""

    length: int
    """Tokens that match; 0 if not even the first one occurs."""
    first: int
    last: int
    """First rank of the interval, and the one after its end."""


class TokenIndex:
    """The suffix array of a token store's training part, as a memory map: opening it reads nothing."""

    def __init__(self, path: Path, tokens: TokenStore, suffixes: Suffixes, manifest: Manifest) -> None:
        """Use `TokenIndex.open`."""
        self.path, self.tokens, self.manifest = path, tokens, manifest
        self.suffixes = suffixes
        """Positions of all training tokens in the order of what follows them."""
        self._tokens = np.asarray(tokens.tokens)  # a plain view: slicing a memmap object is several times slower
        self._big_endian = self._tokens.dtype.newbyteorder(">")

    @staticmethod
    def open(path: Path) -> "TokenIndex":
        """Open the index at `path` and the token store it was made from.

        Raises:
            UsageError: `path` is no index.
        """
        manifest = read_manifest_of(path, "index", "an index made by `libertas index`")
        tokens = TokenStore.open(input_of(path, "tokens"))
        return TokenIndex(path, tokens, np.asarray(np.load(path / SUFFIXES, mmap_mode="r")), manifest)

    def longest_match(self, tokens: Sequence[int] | NDArray[np.integer]) -> Match:
        """The longest prefix of `tokens` that occurs in the training tokens, with all its occurrences."""
        query = self._query(tokens)
        length = self._longest(query, 0, 0)
        return self._interval(query[:length])

    def match_lengths(self, tokens: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        """For each position of `tokens`, how many tokens from there on occur together in training, shape (tokens,)."""
        query = self._query(tokens)
        lengths = np.zeros(len(query), dtype=np.int64)
        known = 0
        for start in range(len(query)):
            known = self._longest(query, start, known)
            lengths[start] = known
            known = max(0, known - 1)  # without its first token, a match is still a match
        return lengths

    def count(self, match: Match) -> int:
        """How often the matched tokens occur in training; 0 for a match of no tokens."""
        return match.last - match.first

    def positions(self, match: Match, limit: int | None = None) -> list[int]:
        """Training positions at which the match begins, in increasing order; the first `limit` of them."""
        found = np.sort(self.suffixes[match.first : match.last])
        return [int(p) for p in found[:limit]]

    def _query(self, tokens: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        query = np.asarray(tokens, dtype=np.int64)
        largest = np.iinfo(self._tokens.dtype).max
        assert query.size == 0 or 0 <= query.min() <= query.max() <= largest, f"token ids go from 0 to {largest}"
        return query

    def _longest(self, query: NDArray[np.int64], start: int, known: int) -> int:
        """Tokens from `start` on that occur together; at least `known` of them do."""
        window = known + WINDOW
        while True:
            wanted = query[start : start + window]
            rank = self._rank(wanted)
            found = max(
                self._common(wanted, neighbour)
                for neighbour in (rank - 1, rank)  # whatever shares most with the query sorts next to it
            )
            if found < window or start + window >= len(query):
                return found
            window *= 2

    def _rank(self, wanted: NDArray[np.int64]) -> int:
        """How many suffixes sort before `wanted`."""
        size = len(wanted)
        return bisect_left(range(len(self.suffixes)), self._bytes(wanted), key=lambda rank: self._suffix(rank, size))

    def _interval(self, wanted: NDArray[np.int64]) -> Match:
        size = len(wanted)
        if size == 0:
            return Match(0, 0, 0)
        first = self._rank(wanted)
        last = bisect_right(
            range(len(self.suffixes)), self._bytes(wanted), lo=first, key=lambda rank: self._suffix(rank, size)
        )
        return Match(size, first, last)

    def _suffix(self, rank: int, size: int) -> bytes:
        """The first `size` tokens of the suffix with this rank, in bytes that sort as the tokens do."""
        position = int(self.suffixes[rank])
        return self._tokens[position : position + size].astype(self._big_endian).tobytes()

    def _bytes(self, tokens: NDArray[np.int64]) -> bytes:
        return tokens.astype(self._big_endian).tobytes()

    def _common(self, wanted: NDArray[np.int64], rank: int) -> int:
        """How many first tokens `wanted` shares with the suffix of this rank."""
        if not 0 <= rank < len(self.suffixes):
            return 0
        position = int(self.suffixes[rank])
        suffix = self._tokens[position : position + len(wanted)]
        different = np.flatnonzero(suffix != wanted[: len(suffix)])
        return int(different[0]) if len(different) else len(suffix)


def index(config: IndexConfig) -> TokenIndex:
    """Write the suffix array of a store's training tokens.

    Raises:
        UsageError: the store has no training tokens.
    """
    draft = Draft(kind="index", out=config.out, config=config, inputs={"tokens": [config.tokens]}, code=__name__)
    if not draft.finished():
        store = TokenStore.open(config.tokens)
        if len(store) == 0:
            raise UsageError(f"{config.tokens} has no training tokens; expected at least one; gather more text")
        with draft.build() as folder:
            with progress(f"sorting {len(store):,} suffixes"):
                save_array(folder / SUFFIXES, sorted_suffixes(store.tokens))
            draft.counts = {"tokens": len(store)}
    return TokenIndex.open(config.out)


def sorted_suffixes(tokens: NDArray[np.integer]) -> Suffixes:
    """Positions of `tokens` in the order of what follows them; a suffix comes before those that continue it.

    Needs 18 bytes of memory per token of two bytes, and about twice that from 2^30 tokens on.
    """
    width = tokens.dtype.itemsize
    by_bytes = divsufsort(np.array(tokens, dtype=tokens.dtype.newbyteorder(">")).view(np.uint8))
    positions: NDArray[np.int64] = by_bytes[by_bytes % width == 0] // width
    return positions.astype(np.uint32) if len(tokens) <= 1 << 32 else positions.astype(np.uint64)
