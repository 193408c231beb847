"""Means and ratios with their standard errors.

Sources: Miller 2024, "Adding error bars to evals" (arXiv 2411.00640) for clustered errors, with the small-sample factor
C / (C - 1); Cochran 1977, "Sampling techniques", chapter 6, for the ratio.
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
