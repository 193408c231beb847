"""Means and ratios with their standard errors, and what two models' scores on the same items say together.

Sources: Miller 2024, "Adding error bars to evals" (arXiv 2411.00640) for clustered errors, with the small-sample factor
C / (C - 1), and for paired differences; Cochran 1977, "Sampling techniques", chapter 6, for the ratio; McNemar 1947 for
the test, which is exact here; Efron 1979 for the bootstrap.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, how uncertain it is, and from how much it was computed."""

    mean: float
    stderr: float | None
    """Standard error; None when it cannot be estimated from a single observation or cluster."""
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def clustered_mean(values: ArrayLike, groups: Sequence[str]) -> Estimate | None:
    """Mean of `values`; observations of one group may depend on each other. None when there are no values.

    With C clusters and n values of mean m: SE = sqrt(C / (C - 1) * sum over clusters of (sum of (value - m))^2) / n.
    With every value its own cluster this is the textbook standard deviation over sqrt(n).
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers):
        return None
    mean = float(numbers.mean())
    _, cluster = np.unique(np.asarray(groups), return_inverse=True)
    totals = np.bincount(cluster, weights=numbers - mean)
    if len(totals) < 2:
        return Estimate(mean, None, len(numbers))
    variance = len(totals) / (len(totals) - 1) * float((totals**2).sum())
    return Estimate(mean, math.sqrt(variance) / len(numbers), len(numbers))


def ratio(numerators: ArrayLike, denominators: ArrayLike) -> Estimate | None:
    """Sum of numerators over sum of denominators, as bits per byte over documents. None when nothing is divided by.

    The error is the delta method's: the standard deviation over documents of (a_i - r * b_i), over mean(b) * sqrt(n).
    """
    a: NDArray[np.float64] = np.asarray(numerators, dtype=np.float64)
    b: NDArray[np.float64] = np.asarray(denominators, dtype=np.float64)
    if not b.sum():
        return None
    value = float(a.sum() / b.sum())
    if len(a) < 2:
        return Estimate(value, None, len(a))
    deviation = float(np.std(a - value * b, ddof=1))
    return Estimate(value, deviation / (float(b.mean()) * math.sqrt(len(a))), len(a))


NORMAL_95 = 1.959964
"""97.5 % of a normal distribution lie below so many standard deviations: the half-width of a 95 % interval."""
POWER_80 = 0.841621
"""80 % of a normal distribution lie below so many standard deviations."""


def detectable(stderr: float) -> float:
    """The smallest true difference that a two-sided test at 5 % finds in four cases of five, given its error."""
    return (NORMAL_95 + POWER_80) * stderr


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
    _, cluster = np.unique(np.asarray(groups), return_inverse=True)
    totals = np.bincount(cluster, weights=parts)
    value = float(second - first)
    if len(totals) < 2:
        return Estimate(value, None, len(a))
    return Estimate(value, math.sqrt(len(totals) / (len(totals) - 1) * float((totals**2).sum())), len(a))


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


def bootstrapped(
    values: ArrayLike,
    by: ArrayLike,
    groups: Sequence[str],
    draws: int = 1000,
    seed: int = 0,
) -> float | None:
    """Standard error of a ratio of sums by drawing whole groups with replacement; None for a single group.

    An independent check of `ratio` and `clustered_mean` (with `by` all ones), and of use where few groups make their
    formulas doubtful.
    """
    a, b = np.asarray(values, dtype=np.float64), np.asarray(by, dtype=np.float64)
    _, cluster = np.unique(np.asarray(groups), return_inverse=True)
    above, below = np.bincount(cluster, weights=a), np.bincount(cluster, weights=b)
    if len(above) < 2:
        return None
    chosen = np.random.default_rng(seed).integers(0, len(above), (draws, len(above)))
    return float(np.std(above[chosen].sum(1) / below[chosen].sum(1), ddof=1))
