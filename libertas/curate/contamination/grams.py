"""Rows of words, and of characters, that are looked up in a table: the step that all of a corpus goes through.

A table is sorted hashes and a filter with a bit for the highest bits of each, so that a row that is not there is seldom
looked up twice. The native kernel does what the functions here do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

import libertas.kernel as kernel
from libertas.curate.contamination.markup import unmarked
from libertas.curate.contamination.words import MIXER, MODULUS, Hashes, Places, folding_arguments, mixed, windows_of

Number = TypeVar("Number", np.int64, np.uint64)

FILTER_BITS = 32
"""Bits of the filter for each n-gram: one clean n-gram of 32 passes it at most, and is looked up."""
BLOCK = 1 << 18
"""Words that are looked up at a time."""


@dataclass(frozen=True)
class Known:
    """Hashes that are sought; K of them."""

    keys: Hashes
    """Sorted, each once; shape (K,)."""
    filter: NDArray[np.uint8]
    """A bit for each value of a hash's highest bits."""

    @staticmethod
    def of(keys: Hashes) -> "Known":
        """A table of some hashes, which are sorted and differ."""
        size = max(1 << (FILTER_BITS * len(keys) - 1).bit_length(), 64) if len(keys) else 64
        place = keys >> np.uint64(64 - (size - 1).bit_length())
        table = np.zeros(size // 8, np.uint8)
        np.bitwise_or.at(table, place >> np.uint64(3), np.uint8(1) << (place & np.uint64(7)).astype(np.uint8))
        return Known(keys, table)

    def may_hold(self, hashes: Hashes) -> NDArray[np.bool_]:
        """For each hash whether it may be among the keys; false only if it is not."""
        place = hashes >> np.uint64(64 - (len(self.filter) * 8 - 1).bit_length())
        bit: NDArray[np.uint8] = (
            self.filter[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8)
        ) & np.uint8(1)
        found: NDArray[np.bool_] = bit > 0
        return found

    def found(self, hashes: Hashes) -> tuple[Places, Places]:
        """Which hashes are among the keys, and the number of each."""
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        maybe = np.flatnonzero(self.may_hold(hashes))
        number = np.minimum(np.searchsorted(self.keys, hashes[maybe]), len(self.keys) - 1)
        known = self.keys[number] == hashes[maybe]
        return maybe[known], number[known]


def sorted_once(values: NDArray[Number]) -> NDArray[Number]:
    """Some numbers, sorted, each once; for millions, where `np.unique` takes ten times as long."""
    values = np.sort(values)
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    return values[new]


def known_grams(hashes: Hashes, lengths: Sequence[int], known: Known) -> tuple[Places, Places, Places]:
    """Place, length and number of every n-gram of a row of words that is known."""
    if kernel.native is not None:
        sizes = np.array(lengths, np.int64)
        found = kernel.native.gram_places(np.ascontiguousarray(hashes), sizes, known.filter, known.keys)
        at, length, number = np.frombuffer(found, np.int64).reshape(-1, 3).T
        return at, length, number
    longest = max(lengths, default=1)
    parts = [(np.empty(0, np.int64),) * 3]
    for block in range(0, len(hashes), BLOCK):
        for size, grams in word_grams(hashes[block : block + BLOCK + longest - 1], lengths).items():
            at, number = known.found(mixed(grams[:BLOCK]))
            parts.append((at + block, np.full(len(at), size), number))
    places, sizes, numbers = (np.concatenate(some) for some in zip(*parts, strict=True))
    return places, sizes, numbers


def known_windows(text: str, size: int, known: Known) -> Places:
    """Numbers of the rows of `size` characters of a text's words that are known, in the text's order."""
    if kernel.native is None:
        return known.found(windows_of(text, size))[1]
    found = kernel.native.window_places(*folding_arguments(unmarked(text)), size, known.filter, known.keys)
    return np.frombuffer(found, np.int64)[2::3]


def word_grams(hashes: Hashes, lengths: Sequence[int]) -> dict[int, Hashes]:
    """Hashes of all n-grams of a row of words, for each length n: length -> shape (W - n + 1,), empty for short rows.

    Made by doubling: of 2n words, the first n times a constant and the last n; any length from its binary digits.
    """
    powers = {1: hashes}
    longest = max(lengths, default=1)
    while 2 * max(powers) <= longest:
        half = max(powers)
        powers[2 * half] = _joined(powers[half], half, powers[half], half)
    found = {}
    for length in lengths:
        digits = [d for d in powers if length & d]
        whole, size = powers[digits[0]], digits[0]
        for digit in digits[1:]:
            whole, size = _joined(whole, size, powers[digit], digit), size + digit
        found[length] = whole + np.uint64(length * MIXER % MODULUS)
    return found


def _joined(left: Hashes, size: int, right: Hashes, more: int) -> Hashes:
    """Hashes of n-grams of `size` words, each with the `more` words that follow it."""
    count = max(len(right) - size, 0)
    return left[:count] * np.uint64(pow(MIXER, more, MODULUS)) + right[size : size + count]
