"""Means and ratios with their errors and intervals, and what two models' scores on the same items say together.

Everything here is a sum over items of one part each (a linearized mean, ratio, or difference of them); parts of one
cluster are added up before they are squared. Sources: Miller 2024, "Adding error bars to evals" (arXiv 2411.00640) for
clustered errors and paired differences; Cochran 1977, "Sampling techniques", chapters 5 and 6, for strata and ratios;
Cameron and Miller 2015, "A practitioner's guide to cluster-robust inference", section VI, for few clusters; Wilson 1927
with the effective number of items of Korn and Graubard 1998 for shares; McNemar 1947 for the test, which is exact here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
"""Of intervals; what they leave out lies at both sides."""
POWER = 0.8
"""With which a difference counts as detectable."""
EXACT_FREEDOM = 30
"""Degrees of freedom up to which Student's quantile is solved for; above, its expansion is good to 1e-6."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, how uncertain it is, and from how much it was computed."""

    mean: float
    stderr: float | None
    """Standard error; None when it cannot be estimated from a single observation or cluster."""
    n: int
    freedom: float = math.inf
    """Degrees of freedom of the error: clusters less the means that were fitted."""
    limits: tuple[float, float] | None = None
    """The 95 % interval where it is not Student's, as with shares of items."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval; None where the error is not known."""
        if self.limits or self.stderr is None:
            return self.limits
        half = student((1 + CONFIDENCE) / 2, self.freedom) * self.stderr
        return self.mean - half, self.mean + half

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        interval = list(self.interval) if self.interval else None
        return {"mean": self.mean, "stderr": self.stderr, "n": self.n, "interval": interval}


@cache
def student(probability: float, freedom: float) -> float:
    """Quantile of Student's distribution, for a probability above one half; infinite freedom gives the normal one.

    Abramowitz and Stegun 1964: 26.7.3 and 26.7.4, solved by bisection, and the expansion 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    if freedom > EXACT_FREEDOM:
        terms = (
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        )
        return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 + _within(middle, int(freedom))) / 2 < probability else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Probability that Student's t lies within sqrt(freedom) * tan(angle) of zero."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term = cosine if freedom % 2 else 1.0
    total = 0.0
    for power in range(1 if freedom % 2 else 0, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if freedom % 2 else sine * total


def _estimated(
    value: float, parts: NDArray[np.float64], groups: Sequence[str] | None, strata: Sequence[str] | None = None
) -> Estimate:
    """An estimate that is a sum of `parts`, up to a constant, over clusters that are drawn within strata.

    With C clusters in a stratum, where parts sum to 0: SE^2 = sum of C / (C - 1) * (sum of a cluster's parts)^2.
    """
    clusters = _numbered(groups if groups is not None else range(len(parts)))
    layers = np.zeros(len(parts), dtype=np.int64) if strata is None else _numbered(strata)
    pairs = np.unique(np.stack([layers, clusters]), axis=1)
    sizes = np.bincount(pairs[0])
    n, freedom = len(parts), int(clusters.max()) + 1 - len(sizes)
    if sizes.min() < 2 or freedom < 1:
        return Estimate(value, None, n, freedom=max(freedom, 0))
    totals = np.bincount(clusters, weights=parts * np.sqrt(sizes / (sizes - 1))[layers])
    return Estimate(value, math.sqrt(float((totals**2).sum())), n, freedom)


def _numbered(names: Sequence[Any]) -> NDArray[np.int64]:
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)


def clustered_mean(values: ArrayLike, groups: Sequence[str] | None = None) -> Estimate | None:
    """Mean of `values`; observations of one group may depend on each other. None when there are no values.

    With C clusters and n values of mean m: SE = sqrt(C / (C - 1) * sum over clusters of (sum of (value - m))^2) / n.
    With every value its own cluster this is the textbook standard deviation over sqrt(n).
    """
    return ratio(values, np.ones(len(np.asarray(values))), groups)


def clustered_share(right: ArrayLike, groups: Sequence[str] | None = None) -> Estimate | None:
    """Share of items that are right, with Wilson's interval: it never leaves [0, 1], and is not empty at its ends."""
    found = clustered_mean(right, groups)
    if found is None or found.stderr is None:
        return found
    quantile, size = student((1 + CONFIDENCE) / 2, found.freedom), effective_items(found)
    center = found.mean + quantile**2 / (2 * size)
    half = quantile * math.sqrt(found.mean * (1 - found.mean) / size + (quantile / (2 * size)) ** 2)
    low, high = ((center + side * half) / (1 + quantile**2 / size) for side in (-1, 1))
    return replace(found, limits=(max(low, 0.0), min(high, 1.0)))


def effective_items(share: Estimate) -> float:
    """Independent items that would give a share this error (Korn and Graubard 1998), at most the items there are.

    Where all items agree, nothing tells how alike those of a cluster are: then clusters are counted.
    """
    variance = share.mean * (1 - share.mean)
    if variance <= 0:
        return min(float(share.n), share.freedom + 1)
    return min(float(share.n), variance / share.stderr**2) if share.stderr else float(share.n)


def ratio(numerators: ArrayLike, denominators: ArrayLike, groups: Sequence[str] | None = None) -> Estimate | None:
    """Sum of numerators over sum of denominators, as bits per byte over documents. None when nothing is divided by.

    The error is the delta method's: of document i, the part is (a_i - r * b_i) / sum of b.
    """
    a: NDArray[np.float64] = np.asarray(numerators, dtype=np.float64)
    b: NDArray[np.float64] = np.asarray(denominators, dtype=np.float64)
    if not b.sum():
        return None
    value = float(a.sum() / b.sum())
    return _estimated(value, (a - value * b) / b.sum(), groups)


def weighted_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    strata: Sequence[str],
    weights: Mapping[str, float],
    groups: Sequence[str] | None = None,
) -> Estimate | None:
    """Weighted mean of the strata's ratios; the weights need not sum to 1. None when no stratum has any weight.

    A ratio of ones is a mean: with equal weights this is the mean over subjects of their accuracies. A stratum of a
    single cluster leaves the error unknown.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (numerators, denominators))
    names, numbers = np.unique(np.asarray(strata), return_inverse=True)
    above, below = np.bincount(numbers, weights=a), np.bincount(numbers, weights=b)
    weight = np.array([weights.get(str(name), 0.0) for name in names])
    used = (weight > 0) & (below > 0)
    if not used.any():
        return None
    weight = np.where(used, weight, 0.0) / weight[used].sum()
    below = np.where(used, below, 1.0)
    ratios, kept = above / below, used[numbers]
    parts = (weight / below)[numbers] * (a - ratios[numbers] * b)
    chosen: list[int] = np.flatnonzero(kept).tolist()
    among = [groups[i] for i in chosen] if groups is not None else None
    return _estimated(float(weight @ ratios), parts[chosen], among, [str(strata[i]) for i in chosen])


def detectable(difference: Estimate) -> float | None:
    """The smallest true difference that a two-sided test at 5 % finds in four cases of five, given its error.

    Where no item changed sides the error is 0, and that of the interval stands in.
    """
    if difference.stderr is None or difference.interval is None:
        return None
    low, high = difference.interval
    spread = (high - low) / 2 / student((1 + CONFIDENCE) / 2, difference.freedom)
    return _quantiles(difference.freedom) * (difference.stderr or spread)


def detectable_over(chance: float, found: Estimate) -> float | None:
    """The smallest true distance of a share from chance that such a test finds, given how alike a cluster's items are.

    The error is that of chance itself, sqrt(chance * (1 - chance) / effective items).
    """
    if found.stderr is None:
        return None
    return _quantiles(found.freedom) * math.sqrt(chance * (1 - chance) / effective_items(found))


def _quantiles(freedom: float) -> float:
    return student((1 + CONFIDENCE) / 2, freedom) + student(POWER, freedom)


def paired_ratio(
    one: ArrayLike, one_by: ArrayLike, two: ArrayLike, two_by: ArrayLike, groups: Sequence[str]
) -> Estimate | None:
    """Difference of two ratios over the same documents, such as bits per byte of two models: the second less the first.

    The delta method linearizes each ratio; differences of a group's documents are added up before they are squared.
    """
    a, b, c, d = (np.asarray(values, dtype=np.float64) for values in (one, one_by, two, two_by))
    if not b.sum() or not d.sum():
        return None
    first, second = a.sum() / b.sum(), c.sum() / d.sum()
    parts = (c - second * d) / d.sum() - (a - first * b) / b.sum()
    return _estimated(float(second - first), parts, groups)


def paired_shares(before: Sequence[bool], after: Sequence[bool], groups: Sequence[str]) -> Estimate | None:
    """Difference of two shares of the same items, the second less the first.

    The interval is that of Agresti and Min 2005: half an item is added to each of the four kinds of pairs, so that few
    items of which none changed sides do not look like certainty. Pairs count by how alike those of a cluster are.
    """
    found = clustered_mean(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64), groups)
    if found is None or found.stderr is None:
        return found
    won = sum(new and not old for old, new in zip(before, after, strict=True))
    lost = sum(old and not new for old, new in zip(before, after, strict=True))
    if found.stderr:
        alike = max(1.0, found.stderr**2 * found.n / ((won + lost) / found.n - found.mean**2))
    else:
        alike = found.n / (found.freedom + 1)
    pairs, changed, more = found.n / alike + 2, (won + lost) / alike + 1, (won - lost) / alike
    half = student((1 + CONFIDENCE) / 2, found.freedom) * math.sqrt(changed - more**2 / pairs) / pairs
    return replace(found, limits=(more / pairs - half, more / pairs + half))


def mcnemar(won: int, lost: int) -> float:
    """Probability of at least so uneven a split of the items on which two models differ, if both are equally good.

    Exact and two-sided: twice the binomial tail with even odds, at most 1.
    """
    flips, fewer = won + lost, min(won, lost)
    if not flips:
        return 1.0
    logs = [math.lgamma(flips + 1) - math.lgamma(k + 1) - math.lgamma(flips - k + 1) for k in range(fewer + 1)]
    tail = math.fsum(math.exp(log - flips * math.log(2)) for log in logs)
    return min(1.0, 2 * tail)
