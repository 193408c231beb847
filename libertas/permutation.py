"""Shuffling without a table: a keyed permutation of 0…size-1, computed for any number in O(1), and its inverse.

A Feistel network over the next power of four with cycle walking (Black & Rogaway 2002, "Ciphers with arbitrary finite
domains"): no memory, seekable, and invertible. A linear-congruential shuffle would be cheaper and is known to be
pathological.
"""

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

ROUNDS = 8
"""Four rounds of strong functions make a pseudorandom permutation (Luby & Rackoff 1988); ours are only mixers."""

Numbers = NDArray[np.uint64]


def permuted(numbers: Numbers, size: int, key: str) -> Numbers:
    """Image of each number below `size` under the permutation that belongs to a key."""
    return _walk(numbers.astype(np.uint64), size, _round_keys(key))


def unpermuted(numbers: Numbers, size: int, key: str) -> Numbers:
    """The inverse of `permuted`."""
    return _walk(numbers.astype(np.uint64), size, _round_keys(key)[::-1])


def mixed64(numbers: Numbers) -> Numbers:
    """The finalizer of splitmix64 (Steele, Lea & Flood 2014): a bijection in which every bit reaches every other."""
    with np.errstate(over="ignore"):
        z = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _round_keys(key: str) -> list[np.uint64]:
    data = blake3(key.encode()).digest(length=8 * ROUNDS)
    return list(np.frombuffer(data, dtype="<u8"))


def _network(numbers: Numbers, half_bits: int, keys: list[np.uint64]) -> Numbers:
    bits, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = numbers >> bits, numbers & mask
    for key in keys:
        left, right = right, left ^ (mixed64(right + key) & mask)
    return (right << bits) | left  # halves swapped, so that reversed keys undo it


def _walk(numbers: Numbers, size: int, keys: list[np.uint64]) -> Numbers:
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    with np.errstate(over="ignore"):
        out = _network(numbers, half_bits, keys)
        while (outside := out >= np.uint64(size)).any():
            out[outside] = _network(out[outside], half_bits, keys)
    return out
