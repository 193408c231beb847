"""Word n-grams that a text repeats, for all lengths in one pass.

An n-gram can only occur twice if the shorter ones in it do, so each length looks only at the places that were left.
The class of an n-gram is told from those of two shorter ones that overlap, as in the construction of suffix arrays by
prefix doubling (Manber and Myers 1993): time O(words · lengths), without hashing any n-gram as a whole.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
"""Lengths in words whose most frequent n-gram, or all repeated n-grams, Rae et al. 2021 look at."""


MOST_UNITS = 1_000_000
"""Of a longer text only so many units are looked at: they take 100 bytes each, while they are."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """Shares of a text's word characters, by length of the n-grams."""

    top: dict[int, float]
    """In the most frequent n-gram; 0 where none occurs twice. Of equally frequent ones the longest counts."""
    duplicate: dict[int, float]
    """In n-grams that stand earlier already; characters in several of them count once."""


def repetition(units: Sequence[str], counts: Counter[str], factor: float = 1.0) -> Repetition:
    """How much a text repeats itself.

    Args:
        units: its words, or the characters of a script without spaces.
        counts: how often each unit occurs.
        factor: units per word; an n-gram has `n * factor` units.
    """
    top, duplicate = dict.fromkeys(TOP, 0.0), dict.fromkeys(DUPLICATE, 0.0)
    ends = [0, *accumulate(map(len, units))]
    classes = {unit: number for number, (unit, count) in enumerate(counts.items()) if count > 1}
    known = [classes.get(unit, -1) for unit in units]  # -1 where an n-gram does not repeat, or does not fit
    places = [place for place, number in enumerate(known) if number >= 0]
    length = 1
    for n in (*TOP, *DUPLICATE):
        wanted = max(round(n * factor), length + 1)
        while length < wanted and places:
            longer = min(wanted, 2 * length)
            places, keys, often = _grow(known, places, longer - length)
            length = longer
        if not places:
            break
        if n in top:
            top[n] = _most_frequent(places, keys, often, ends, length) / ends[-1]
        else:
            duplicate[n] = _again(places, keys, ends, length) / ends[-1]
    return Repetition(top, duplicate)


def _grow(known: list[int], places: list[int], step: int) -> tuple[list[int], list[int], Counter[int]]:
    """Make `known` the classes of n-grams longer by `step`; returns where those that repeat are, and their keys."""
    size, last = len(known), len(known) - step
    fits = [place for place in places if place < last and known[place + step] >= 0]
    keys = [known[place] * size + known[place + step] for place in fits]
    often = Counter(keys)
    numbers = {key: number for number, (key, count) in enumerate(often.items()) if count > 1}
    kept = [(place, key) for place, key in zip(fits, keys, strict=True) if key in numbers]
    for place in places:
        known[place] = -1
    for place, key in kept:
        known[place] = numbers[key]
    return [place for place, _ in kept], [key for _, key in kept], often


def _most_frequent(places: list[int], keys: list[int], often: Counter[int], ends: list[int], length: int) -> int:
    most = max(often[key] for key in keys)
    longest = max(ends[p + length] - ends[p] for p, key in zip(places, keys, strict=True) if often[key] == most)
    return min(most * longest, ends[-1])


def _again(places: list[int], keys: list[int], ends: list[int], length: int) -> int:
    seen: set[int] = set()
    covered = end = 0
    for place, key in zip(places, keys, strict=True):
        if key in seen:
            covered += ends[place + length] - ends[max(place, end)]
            end = place + length
        seen.add(key)
    return covered
