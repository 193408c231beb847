"""The rules by which others have called items contaminated, for comparison: what each would have said.

- `13 words`: one row of N words stands in training. N is the 5th percentile of the task's lengths, 8 to 13 (GPT-3:
  Brown et al. 2020, appendix C).
- `8-gram coverage`: 70 % of the rows of 8 words stand somewhere in training (PaLM: Chowdhery et al. 2022, section 8).
- `50 characters`: one of three rows of 50 letters and digits, drawn at random, stands in training (GPT-4 technical
  report, OpenAI 2023, appendix C); items with fewer are not judged.

The rows of an item may stand in different documents. Words are those of `curate.contamination.words`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from libertas.curate.contamination.grams import Known, known_grams, known_windows, sorted_once, word_grams
from libertas.curate.contamination.probe import GRAM_WORDS, MANY_ITEMS
from libertas.curate.contamination.words import Hashes, Places, Words, mixed, scale_of, windows_of, words_of
from libertas.evaluate.contamination.items import Sought

GPT3, PALM, GPT4 = "13 words", "8-gram coverage", "50 characters"
GPT3_WORDS = (8, 13)
GPT3_PERCENTILE = 5
PALM_COVERAGE = 0.7
GPT4_CHARACTERS, GPT4_DRAWS = 50, 3


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rules say of one item."""

    rules: tuple[str, ...]
    """Those that call it contaminated."""
    longest: int
    """Words of its longest stretch whose rows of 8 all stand in training: the longest contaminated span (Singh et al.
    2024, arXiv 2411.03923)."""
    coverage: float
    """Share of its rows of 8 words that stand in training."""
    shared: bool
    """Whether some of its rows stand in training, and each of these is in many items."""
    stretch: tuple[int, int]
    """Characters of the longest such stretch, in `Sought.text`."""
    document: int
    """The first document that holds the beginning of that stretch; -1 where there is none."""


class PublishedRules:
    """All rows of all items, and the first document in which each was seen."""

    def __init__(self, tasks: Sequence[Sequence[Sought]]) -> None:
        """Read the items of every task."""
        items = [item for task in tasks for item in task]
        self.items = items
        self.words = words_of([item.text for item in items])
        scales = np.array([scale_of(item.text) for item in items], np.int64)
        sizes = np.diff(self.words.first) // np.maximum(scales, 1)
        counts = np.cumsum([0, *map(len, tasks)])
        needed = [_gpt3_words(sizes[a:b]) for a, b in pairwise(counts.tolist())]
        self.eight = GRAM_WORDS * scales
        self.needed = np.repeat(needed, np.diff(counts)).astype(np.int64) * scales
        rows = [_rows(self.words, lengths) for lengths in (self.eight, self.needed)]
        keys = sorted_once(np.concatenate([hashes for hashes, _ in rows]))
        self.known = Known.of(keys)
        self.lengths = np.unique(np.concatenate([self.eight, self.needed])).tolist()
        self.rows = [(np.searchsorted(keys, hashes), first) for hashes, first in rows]
        self.seen_in = np.full(len(keys), -1, np.int64)
        self.shared = _of_many(self.rows, [item.text for item in items], len(keys))
        drawn = [_drawn(item) for item in items]
        self.windows = Known.of(sorted_once(np.concatenate([np.empty(0, np.uint64), *drawn])))
        self.drawn = [np.searchsorted(self.windows.keys, hashes) for hashes in drawn]
        self.window_seen = np.zeros(len(self.windows.keys), np.bool_)

    def read(self, texts: Sequence[str], words: Words, first: int) -> None:
        """Take note of what some documents hold; they are numbered from `first`, in rising order from call to call."""
        at, length, number = known_grams(words.hashes, self.lengths, self.known)
        document = np.searchsorted(words.first, at, side="right") - 1
        new = (at + length <= words.first[document + 1]) & (self.seen_in[number] < 0)
        number, document = number[new], document[new]
        order = np.argsort(-document, kind="stable")  # of equal rows, the last that is written is the first document
        self.seen_in[number[order]] = first + document[order]
        if len(self.windows.keys):
            for text in texts:
                self.window_seen[known_windows(text, GPT4_CHARACTERS, self.windows)] = True

    def ruled(self, item: int) -> Ruled:
        """What the rules say of an item, after all documents were read."""
        eight, needed = (numbers[first[item] : first[item + 1]] for numbers, first in self.rows)
        seen = self.seen_in[eight] >= 0
        coverage = float(seen.mean()) if len(seen) else 0.0
        tripped = {
            GPT3: bool((self.seen_in[needed] >= 0).any()),
            PALM: coverage >= PALM_COVERAGE,
            GPT4: bool(self.window_seen[self.drawn[item]].any()),
        }
        at, count = _longest_run(seen)
        words = count + int(self.eight[item]) - 1 if count else 0
        first = int(self.words.first[item]) + at
        stretch = (int(self.words.starts[first]), int(self.words.ends[first + words - 1])) if count else (0, 0)
        both = np.concatenate([eight[seen], needed[self.seen_in[needed] >= 0]])
        return Ruled(
            rules=tuple(name for name, found in tripped.items() if found),
            longest=words,
            coverage=coverage,
            shared=bool(len(both) and self.shared[both].all()),
            stretch=stretch,
            document=int(self.seen_in[eight[at]]) if count else -1,
        )


def _gpt3_words(sizes: Places) -> int:
    low, high = GPT3_WORDS
    return int(np.clip(np.percentile(sizes, GPT3_PERCENTILE), low, high)) if len(sizes) else high


def _rows(words: Words, lengths: Places) -> tuple[Hashes, Places]:
    """The n-grams of every item, one item after the other, where an item's n is its length; and the first of each."""
    size = np.diff(words.first)
    owner = np.repeat(np.arange(len(size)), size)
    hashes, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for length, grams in word_grams(words.hashes, np.unique(lengths).tolist()).items():
        at = np.flatnonzero((lengths[owner[: len(grams)]] == length) & (owner[: len(grams)] == owner[length - 1 :]))
        hashes.append(mixed(grams[at]))
        places.append(at)
    place = np.concatenate(places)
    order = np.argsort(place, kind="stable")
    counts = np.maximum(size - lengths + 1, 0)
    return np.concatenate(hashes)[order], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _of_many(rows: Sequence[tuple[Places, Places]], texts: Sequence[str], keys: int) -> NDArray[np.bool_]:
    """Which n-grams are in more than `MANY_ITEMS` different items."""
    different = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    text_I = np.array([different[text] for text in texts], np.int64)
    pairs = [number * len(texts) + text_I[np.repeat(np.arange(len(texts)), np.diff(first))] for number, first in rows]
    number = sorted_once(np.concatenate([np.empty(0, np.int64), *pairs])) // max(len(texts), 1)
    found: NDArray[np.bool_] = np.bincount(number, minlength=keys) > MANY_ITEMS
    return found


def _drawn(item: Sought) -> Hashes:
    """Hashes of the rows of characters that stand for an item; the same whenever it is asked."""
    windows = windows_of(item.text, GPT4_CHARACTERS)
    draw = random.Random(f"{item.parts.task} {item.parts.id}")
    return windows[[draw.randrange(len(windows)) for _ in range(GPT4_DRAWS)]] if len(windows) else windows


def _longest_run(seen: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest row of true values begins, and how many they are."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]])))
    if not len(edges):
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    most = int(lengths.argmax())
    return int(edges[2 * most]), int(lengths[most])
