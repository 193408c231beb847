"""How much of each component is trained on: weights, shares, temperatures, caps and budgets -> passes.

A *group* is a component or, where shares are of languages, a language. What is asked of it is a number of whole passes
and a rest, which a part of one more pass comes nearest to.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from libertas.curate.mixture.config import MOST_PASSES, WHOLE, MixConfig
from libertas.errors import UsageError


@dataclass(frozen=True, slots=True)
class Size:
    """What a group has to train on."""

    documents: int
    bytes: int
    measure: int
    """Bytes, or tokens where the budget is counted in them."""


@dataclass(frozen=True, slots=True)
class Dose:
    """How much of a group is wanted."""

    passes: int
    rest: float
    """Bytes or tokens of one more pass."""
    weight: float
    """Both, as a number of passes."""
    fewest: int = 0
    """Documents that it must have at least: one where weights alone speak, so that none vanishes by rounding."""


def unused(config: MixConfig, groups: list[str]) -> list[str]:
    """Groups that nothing is wanted of."""
    if config.named_shares:
        nothing_left = math.fsum(config.named_shares.values()) >= 1 - WHOLE
        return [g for g in groups if not config.named_shares.get(g, 0.0 if nothing_left else 1.0)]
    return [g for g in groups if config.weights.get(g, 1.0) == 0.0]


def doses(config: MixConfig, sizes: Mapping[str, Size]) -> dict[str, Dose]:
    """What is wanted of each group.

    Raises:
        UsageError: shares do not add up, the budget is beyond the caps, or a group would be repeated without end.
    """
    budget = _budget(config, sizes)
    if budget is None:
        return {
            name: _dose(Fraction(config.weights.get(name, 1.0)) * size.measure, size, config.weights.get(name, 1.0))
            for name, size in sizes.items()
        }
    shares = _measured(_shares(config, sizes), sizes)
    targets = apportioned(budget, _capped(shares, budget, config, sizes))
    return {name: _dose(Fraction(targets[name]), sizes[name], None) for name in sizes}


def _dose(target: Fraction, size: Size, weight: float | None) -> Dose:
    if size.measure == 0:  # nothing but empty texts: no part of them is more than another
        return Dose(int(weight or 0), 0.0, weight or 0.0, int(bool(weight)))
    passes, rest = divmod(target, size.measure)
    exact = float(target / size.measure) if weight is None else weight
    if exact > MOST_PASSES:
        raise UsageError(
            f"the budget asks for {exact:,.0f} passes over a component of {size.bytes:,} bytes; expected at most "
            f"{MOST_PASSES:,}; lower the budget or its share"
        )
    return Dose(int(passes), float(rest), exact, int(bool(weight)))


def _budget(config: MixConfig, sizes: Mapping[str, Size]) -> int | None:
    """Bytes or tokens in all; None where weights alone say it."""
    if config.budget_tokens is not None:
        if config.bytes_per_token is not None:
            return round(config.budget_tokens * config.bytes_per_token)
        return config.budget_tokens
    if config.budget_bytes is not None:
        return config.budget_bytes
    if config.named_shares or config.flattening is not None:
        return sum(size.bytes for size in sizes.values())
    return None


def _shares(config: MixConfig, sizes: Mapping[str, Size]) -> dict[str, float]:
    """Share of each group in the bytes of the mixture, before caps; they sum to 1."""
    if config.named_shares:
        named = {name: config.named_shares[name] for name in sizes if name in config.named_shares}
        rest = {name: size.bytes for name, size in sizes.items() if name not in named}
        left = 1.0 - math.fsum(named.values())
        if not rest and left > WHOLE:
            raise UsageError(
                f"shares sum to {1 - left:g} and name all there is to train on ({', '.join(sorted(named))}); "
                "expected a sum of 1; raise some"
            )
        return named | {name: left * bytes_ / max(sum(rest.values()), 1) for name, bytes_ in rest.items()}
    if config.flattening is not None:
        largest = max([1, *(size.bytes for size in sizes.values())])  # a power of shares of it never overflows
        wanted = {name: (size.bytes / largest) ** (1.0 / config.flattening) for name, size in sizes.items()}
    else:
        wanted = {name: config.weights.get(name, 1.0) * size.bytes for name, size in sizes.items()}
    return _normalized(wanted)


def _measured(shares: Mapping[str, float], sizes: Mapping[str, Size]) -> dict[str, float]:
    """Shares of bytes as shares of what is measured."""
    return _normalized({n: s * sizes[n].measure / sizes[n].bytes if sizes[n].bytes else 0.0 for n, s in shares.items()})


def _normalized(wanted: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(wanted.values())
    if not 0 < total < math.inf:
        raise UsageError("the weights of the mixture sum to nothing; expected some text of at least one component")
    return {name: value / total for name, value in wanted.items()}


def _capped(shares: Mapping[str, float], budget: int, config: MixConfig, sizes: Mapping[str, Size]) -> dict[str, float]:
    """Shares of which none is beyond its cap: what a cap takes goes to the others, in proportion to their shares."""
    most = {n: config.caps[n] * sizes[n].measure / budget if n in config.caps else math.inf for n in sizes}
    if math.fsum(most.values()) < 1 - WHOLE:
        raise UsageError(
            f"caps leave {math.fsum(most.values()) * budget:,.0f} of a budget of {budget:,}; expected enough for it; "
            "raise caps or lower the budget"
        )
    full: set[str] = set()
    while True:
        left = 1.0 - math.fsum(most[name] for name in full)
        open_shares = math.fsum(share for name, share in shares.items() if name not in full)
        if left > WHOLE and not open_shares:
            raise UsageError(
                f"caps leave {left:.1%} of the budget to components of share 0; expected a share for one of them; "
                "raise caps or shares"
            )
        result = {
            name: most[name] if name in full else share * left / open_shares if open_shares else 0.0
            for name, share in shares.items()
        }
        beyond = {name for name in result if name not in full and result[name] > most[name]}
        if not beyond:
            return result
        full |= beyond


def apportioned(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in proportion to shares that sum to 1, which sum to `total`: the method of largest remainders."""
    exact = {name: Fraction(share) * total for name, share in shares.items()}
    result = {name: math.floor(value) for name, value in exact.items()}
    largest = sorted(exact, key=lambda name: (result[name] - exact[name], name))
    missing = total - sum(result.values())
    for k in range(abs(missing)):  # at most one for each, but for rounding in the shares
        result[largest[k % len(largest)]] += 1 if missing > 0 else -1
    return result


def nearest_count(sums: NDArray[np.int64], wanted: float) -> int:
    """How many documents come nearest to what is wanted, fewer of two; `sums` are the sums of the first 1, 2, …"""
    place = int(np.searchsorted(sums, wanted))
    before = float(sums[place - 1]) if place else 0.0
    return place + 1 if place < len(sums) and float(sums[place]) - wanted < wanted - before else place
