"""An n-gram model with interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998, section 3): the comparator.

    p_n(w | h) = max(c(h w) - D(c(h w)), 0) / c(h •)  +  gamma(h) * p_{n-1}(w | h without its first token)

down to the uniform distribution. The highest order uses counts, lower orders the number of distinct tokens seen before
the n-gram; D has three values per order, for counts 1, 2 and more. Everything is arrays: an n-gram is named by the rank
of its first n-1 tokens times the vocabulary plus its last token, so any vocabulary fits 64 bits, and counting is
sorting.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from libertas.terminal import Bar, progress

ORDER = 5

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Level:
    """All distinct n-grams of one order."""

    keys: Numbers
    """Sorted: rank of the first n-1 tokens * vocabulary + last token."""
    discounted: Floats
    """Per n-gram: its share of its context's mass after discounting, (c - D(c)) / c(context •)."""
    remainder: Floats
    """Per context (rank in the level below): the mass gamma left for the next lower order; 1 where never continued."""


class NgramModel:
    """Probabilities of tokens given up to `order` - 1 tokens before them."""

    def __init__(self, tokens: NDArray[np.integer], vocabulary: int, order: int = ORDER) -> None:
        """Count the n-grams of a token stream; those that span two documents are counted as the stream has them."""
        self.vocabulary, self.order = vocabulary, min(order, len(tokens))
        with progress(f"counting {order}-grams", order) as bar:
            self.levels = _count(tokens.astype(np.int64), vocabulary, self.order, bar)

    def log_probabilities(self, tokens: NDArray[np.integer]) -> Floats:
        """Natural-log probability of each token but the first; what lies before the first is unknown.

        Args:
            tokens: one sequence, starting with end-of-text if it is a document; shape (T,), the result (T - 1,).
        """
        numbers = tokens.astype(np.int64)
        probability: Floats = np.full(len(numbers), 1.0 / self.vocabulary)
        ranks: Numbers = np.zeros(len(numbers) + 1, dtype=np.int64)  # of the n-gram that starts at each token
        for n, level in enumerate(self.levels[: len(numbers)], start=1):
            contexts = ranks[:-1]
            ranks = _find(level.keys, contexts, numbers[n - 1 :], self.vocabulary)
            kept = np.where(contexts >= 0, level.remainder[contexts], 1.0)
            seen = np.where(ranks >= 0, level.discounted[ranks], 0.0)
            probability[n - 1 :] = seen + kept * probability[n - 1 :]
        return np.log(probability[1:])


def _find(keys: Numbers, contexts: Numbers, last: Numbers, vocabulary: int) -> Numbers:
    wanted = contexts * vocabulary + last
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((contexts >= 0) & (keys[place] == wanted), place, -1)


def _count(tokens: Numbers, vocabulary: int, order: int, bar: Bar) -> list[Level]:
    """Levels 1 to `order`; counts of the lower ones are numbers of distinct tokens before."""
    tables: list[Numbers] = []
    raw: list[Numbers] = []
    suffixes: list[Numbers] = []
    """Per order above the first: the rank, one order below, of each distinct n-gram without its first token."""
    ranks: Numbers = np.zeros(len(tokens), dtype=np.int64)
    for n in range(1, order + 1):
        named = ranks[: len(tokens) - n + 1] * vocabulary + tokens[n - 1 :]
        by_name = np.argsort(named)
        ordered = named[by_name]
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        if n > 1:
            suffixes.append(ranks[by_name[first] + 1])
        tables.append(ordered[first])
        raw.append(np.diff(np.r_[first, len(ordered)]))
        ranks = np.empty(len(named), dtype=np.int64)
        ranks[by_name] = np.repeat(np.arange(len(first)), raw[-1])
        bar.advance()
    counts = [np.bincount(s, minlength=len(low)) for s, (low, _) in zip(suffixes, pairwise(tables), strict=True)]
    counts.append(raw[-1])
    contexts = [1, *(len(t) for t in tables[:-1])]
    return [_level(t, c, size, vocabulary) for t, c, size in zip(tables, counts, contexts, strict=True)]


def _level(keys: Numbers, counts: Numbers, contexts: int, vocabulary: int) -> Level:
    """Discount the counts of one order; `contexts` is the number of distinct contexts it may have."""
    discount = discounts(counts)[np.minimum(counts, 3)]
    context = keys // vocabulary
    total = np.bincount(context, weights=counts, minlength=contexts)
    given_up = np.bincount(context, weights=discount, minlength=contexts)
    alive = total > 0
    remainder = np.ones(contexts)
    np.divide(given_up, total, out=remainder, where=alive)
    share = np.zeros(len(keys))
    np.divide(counts - discount, total[context], out=share, where=alive[context])
    return Level(keys, share, remainder)


def discounts(counts: Numbers) -> Floats:
    """What is taken from counts 0, 1, 2 and 3 or more (Chen & Goodman 1998, equation 26), never more than the count.

    Where a small stream has no n-grams of some count the formula is undefined, or gives nothing to tokens that were
    never seen; then 0.75 is taken from every count (the usual fixed value of absolute discounting).
    """
    one, two, three, four = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    fixed = np.array([0.0, 0.75, 0.75, 0.75])
    if not (one and two and three):
        return fixed
    y = one / (one + 2 * two)
    wanted = np.array([0.0, 1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three])
    return np.minimum(wanted, [0.0, 1.0, 2.0, 3.0]) if (wanted[1:] > 0).all() else fixed
