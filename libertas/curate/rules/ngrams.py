"""Word n-grams that a text repeats, for all lengths in one pass.

An n-gram can only occur twice if the shorter ones in it do, so each length looks only at the places that were left.
The class of an n-gram is told from those of two shorter ones that overlap, as in the construction of suffix arrays by
prefix doubling (Manber and Myers 1993): time O(words · lengths), without hashing any n-gram as a whole.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
"""Lengths in words whose most frequent n-gram, or all repeated n-grams, Rae et al. 2021 look at."""


MOST_UNITS = 1_000_000
"""Of a longer text only so many units are looked at: they take 100 bytes each, while they are."""


class Repetition:
    """Shares of a text's word characters, by length of the n-grams; those for longer ones only if they are asked for.

    Args:
        units: its words, or the characters of a script without spaces.
        counts: how often each unit occurs.
        factor: units per word; an n-gram has `n * factor` units.
    """

    def __init__(self, units: Sequence[str], counts: Counter[str], factor: float = 1.0) -> None:
        """Only single units are known yet."""
        self._factor, self._length = factor, 1
        self._ends = [0, *accumulate(map(len, units))]
        classes = {unit: number if count > 1 else -1 for number, (unit, count) in enumerate(counts.items())}
        self._known = list(map(classes.__getitem__, units))  # -1 where an n-gram does not repeat, or does not fit
        self._places = [place for place, number in enumerate(self._known) if number >= 0]
        self._keys: list[int] = []
        self._often: Counter[int] = Counter()

    @cached_property
    def top(self) -> dict[int, float]:
        """In the most frequent n-gram; 0 where none occurs twice. Of equally frequent ones the longest counts."""
        return {n: self._most_frequent() if self._grown_to(n) else 0.0 for n in TOP}

    @cached_property
    def duplicate(self) -> dict[int, float]:
        """In n-grams that stand earlier already; characters in several of them count once."""
        assert self.top, "shorter n-grams come first"
        return {n: self._again() if self._grown_to(n) else 0.0 for n in DUPLICATE}

    def _grown_to(self, n: int) -> bool:
        """Go on to the next n-grams that are asked for, of `n` words; whether one of them occurs twice."""
        wanted = max(round(n * self._factor), self._length + 1)
        while self._length < wanted and self._places:
            longer = min(wanted, 2 * self._length)
            self._grow(longer - self._length)
            self._length = longer
        return bool(self._places)

    def _grow(self, step: int) -> None:
        """Make `_known` the classes of n-grams longer by `step`; keep places and keys of those that repeat."""
        known, size = self._known, len(self._known)
        last = size - step
        fits = [place for place in self._places if place < last and known[place + step] >= 0]
        keys = [known[place] * size + known[place + step] for place in fits]
        self._often = often = Counter(keys)
        numbers = {key: number for number, (key, count) in enumerate(often.items()) if count > 1}
        for place in self._places:
            known[place] = -1
        kept = [(place, key) for place, key in zip(fits, keys, strict=True) if key in numbers]
        for place, key in kept:
            known[place] = numbers[key]
        self._places, self._keys = [place for place, _ in kept], [key for _, key in kept]

    def _most_frequent(self) -> float:
        ends, length, most = self._ends, self._length, max(self._often.values())
        chosen = {key for key, count in self._often.items() if count == most}
        longest = max(
            ends[p + length] - ends[p] for p, key in zip(self._places, self._keys, strict=True) if key in chosen
        )
        return min(most * longest, ends[-1]) / ends[-1]

    def _again(self) -> float:
        ends, length = self._ends, self._length
        seen: set[int] = set()
        covered = end = 0
        for place, key in zip(self._places, self._keys, strict=True):
            if key in seen:
                covered += ends[place + length] - ends[max(place, end)]
                end = place + length
            seen.add(key)
        return covered / ends[-1]
