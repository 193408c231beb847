"""What the way of asking is worth, and what is mere noise: variance by factor, and the spread expected of one score.

Every cell of a grid asks the same items, so what the cells have in common cancels. Let x be 1 where the item i is
answered rightly in cell c, and v[g, c] the sum over the items i of cluster g of (x[i, c] - mean over i) / n, times
sqrt(C / (C - 1)) for C clusters. Then sum over g of v[g, c] v[g, d] is the clustered covariance of the scores of c and
d (Miller 2024, arXiv 2411.00640), and sum over g of xi[g] v[g, c] with normal xi is a draw of what sampling other
items would do to the scores, all cells at once (the multiplier bootstrap: Chernozhukov et al. 2013, arXiv 1212.6906).
For K independent cells of one error s, the expected spread of such draws is s times Tippett's (1925) range factor.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.evaluate.sensitivity.grid import GridCell

REST = "the rest"
"""Interactions of three factors and more."""
DRAWS = 2000
"""Of the sampling noise; the expected spread is then known to about one part in a hundred."""

CROSSED: dict[str, tuple[str, ...]] = {
    "reading": ("protocol", "normalization"),
    "wording": ("wording",),
    "examples": ("shots", "seed"),
    "order": ("order",),
}
"""Factors of the grid that are crossed. Two of them hold one factor within another: a protocol has its own
normalizations, and a number of examples its own draws."""


def deviations(values_NK: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Contribution of each cluster to the error of each cell's mean; shape (clusters, cells). Zero for one cluster."""
    centred_NK = values_NK - values_NK.mean(0)
    _, cluster = np.unique(np.asarray(groups), return_inverse=True)
    count = int(cluster.max()) + 1
    if count < 2:
        return np.zeros((1, values_NK.shape[1]))
    found_GK = np.zeros((count, values_NK.shape[1]))
    np.add.at(found_GK, cluster, centred_NK)
    return found_GK * (math.sqrt(count / (count - 1)) / len(values_NK))


def _drawn(deviations_GK: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """What sampling other items would do to the scores: draws of the multiplier bootstrap."""
    return np.random.default_rng(0).standard_normal((draws, len(deviations_GK))) @ deviations_GK


@dataclass(frozen=True, slots=True)
class Noise:
    """What one true score under every cell would have looked like, from sampling the items alone."""

    low: float
    """Expected lowest score."""
    high: float
    spread: float
    """Expected difference between the highest and the lowest score."""
    spread_95: float
    """Exceeded in one case of twenty."""

    def to_json(self) -> dict[str, float]:
        """Plain values, rounded to what the draws tell."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def noise_of(right_NK: NDArray[np.bool_], groups: Sequence[str], draws: int = DRAWS) -> Noise:
    """The spread of the cells' scores if all had one true score, their errors and correlations as they are."""
    scores_DK = _drawn(deviations(right_NK.astype(np.float64), groups), draws)
    scores_DK -= scores_DK.mean(1, keepdims=True)
    lowest, highest = scores_DK.min(1), scores_DK.max(1)
    spreads, middle = highest - lowest, float(right_NK.mean())
    return Noise(
        low=middle + float(lowest.mean()),
        high=middle + float(highest.mean()),
        spread=float(spreads.mean()),
        spread_95=float(np.quantile(spreads, 0.95)),
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """A factor's part in the variance of the scores."""

    name: str
    degrees: int
    squares: float
    """Sum of squares."""
    noise: float
    """Sum of squares to be expected from sampling the items alone."""
    noise_95: float
    """Sum of squares that sampling the items alone exceeds in one case of twenty."""

    def to_json(self, total: float) -> dict[str, Any]:
        """With shares of the total sum of squares, all 0 where all scores are equal; in the digits that are certain."""
        shares = {"share": self.squares, "noise_share": self.noise, "noise_share_95": self.noise_95}
        told = {**asdict(self), **{name: value / total if total > 0 else 0.0 for name, value in shares.items()}}
        return {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in told.items()}


def effects(cells: Sequence[GridCell], right_NK: NDArray[np.bool_], groups: Sequence[str]) -> list[Effect]:
    """Main effects, first-order interactions, and the rest; their sums of squares add up to the total.

    The cells have to be balanced: every combination of the crossed factors' levels once.
    """
    levels = {name: [tuple(getattr(c, part) for part in parts) for c in cells] for name, parts in CROSSED.items()}
    sizes = {name: len(set(found)) for name, found in levels.items()}
    assert math.prod(sizes.values()) == len(set(zip(*levels.values(), strict=True))) == len(cells), "not balanced"
    noise_GK = deviations(right_NK.astype(np.float64), groups)
    scores_XK = np.concatenate([right_NK.mean(0)[None], noise_GK, _drawn(noise_GK, DRAWS)])

    def squares(*names: str) -> NDArray[np.float64]:
        """Between the combinations of some factors: of the scores, of each cluster's part in them, and of each draw."""
        return explained(scores_XK, list(zip(*(levels[name] for name in names), strict=True)))

    parts_X: dict[str, tuple[int, NDArray[np.float64]]] = {}
    for name, (first, *within) in CROSSED.items():
        outer = [level[0] for level in levels[name]]
        parts_X[first] = len(set(outer)) - 1, explained(scores_XK, outer)
        for second in within:
            parts_X[second] = sizes[name] - len(set(outer)), squares(name) - parts_X[first][1]
    for one, two in combinations(CROSSED, 2):
        both = squares(one, two) - squares(one) - squares(two)
        parts_X[f"{one} x {two}"] = (sizes[one] - 1) * (sizes[two] - 1), both
    rest = squares(*CROSSED) - np.sum([values for _, values in parts_X.values()], axis=0)
    parts_X[REST] = len(cells) - 1 - sum(degrees for degrees, _ in parts_X.values()), rest
    return [_effect(name, *part, len(noise_GK)) for name, part in parts_X.items() if part[0]]


def _effect(name: str, degrees: int, squares_X: NDArray[np.float64], clusters: int) -> Effect:
    """Sums of squares of the scores, of each cluster, and of each draw, put together; rounding leaves none negative."""
    own_X = np.maximum(squares_X, 0.0)
    noise, drawn_D = float(own_X[1 : 1 + clusters].sum()), own_X[1 + clusters :]
    return Effect(name, degrees, float(own_X[0]), noise, float(np.quantile(drawn_D, 0.95)))


def explained(values: NDArray[np.float64], labels: Sequence[object]) -> NDArray[np.float64]:
    """Sum of squares between groups: of the groups' means about the grand mean, along the last axis."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    member_KL = np.zeros((len(labels), len(numbers)))
    member_KL[np.arange(len(labels)), [numbers[label] for label in labels]] = 1.0
    sums = values @ member_KL
    between: NDArray[np.float64] = (sums**2 / member_KL.sum(0)).sum(-1) - values.sum(-1) ** 2 / len(labels)
    return between
