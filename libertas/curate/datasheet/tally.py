"""Counting what may have any number of names or sizes, in bounded memory, and the same in any grouping of workers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

NAMES = 1 << 16
"""Names of a tally that are counted exactly."""
NAME_CHARACTERS = 200
"""Characters of a name that are kept."""
EXACT_BITS = 8
"""Lengths keep this many leading bits: exact below 256, within 0.4 % above."""


@dataclass
class Tally:
    """How many documents and bytes have each name.

    Exact while there are at most `NAMES` of them. When there are twice as many, those with the fewest documents are
    forgotten (lossy counting, Manku and Motwani 2002): a count is then too small by at most `missed`.
    """

    documents: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    total: int = 0
    """Documents that were counted, forgotten names included."""
    missed: int = 0

    def add(self, name: str, documents: int = 1, size: int = 0) -> None:
        """Count documents of `size` bytes under a name."""
        name = name[:NAME_CHARACTERS]
        self.documents[name] += documents
        self.bytes[name] += size
        self.total += documents

    def merge(self, other: "Tally") -> None:
        """Count what another tally has counted; the order of merging is part of the result once names are forgotten."""
        self.documents.update(other.documents)
        self.bytes.update(other.bytes)
        self.total += other.total
        self.missed += other.missed
        if len(self.documents) > 2 * NAMES:
            self.documents, floor = forget(self.documents)
            self.bytes = Counter({name: self.bytes[name] for name in self.documents})
            self.missed += floor

    def top(self, most: int | None = None) -> list[dict[str, Any]]:
        """The names with most documents first, equals in order of name."""
        ordered = sorted(self.documents.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        return [{"name": name, "documents": count, "bytes": self.bytes[name]} for name, count in ordered]

    def facts(self, most: int | None = None) -> dict[str, Any]:
        """What a datasheet tells of the tally."""
        return {
            "documents": self.total,
            "names": len(self.documents),
            "missed": self.missed,
            "top": self.top(most),
        }


def forget(counts: Counter[str]) -> tuple[Counter[str], int]:
    """The `NAMES` largest counts, equals in order of name, and the largest that is gone."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return Counter(dict(ordered[:NAMES])), ordered[NAMES][1]


@dataclass
class Lengths:
    """How long documents are: exact count, sum, least and most, and a histogram with a fixed relative precision."""

    count: int = 0
    sum: int = 0
    least: int = 0
    most: int = 0
    bins: Counter[int] = field(default_factory=Counter)
    """Documents by the smallest length that shares their leading `EXACT_BITS` bits."""

    def extend(self, lengths: Iterable[int]) -> None:
        """Count some documents."""
        found = list(lengths)
        other = Lengths(len(found), sum(found), min(found, default=0), max(found, default=0))
        other.bins.update(map(bin_of, found))
        self.merge(other)

    def merge(self, other: "Lengths") -> None:
        """Count what another one has counted."""
        if other.count:
            self.least = min(self.least, other.least) if self.count else other.least
            self.most = max(self.most, other.most)
        self.count += other.count
        self.sum += other.sum
        self.bins.update(other.bins)

    def quantile(self, share: float) -> int:
        """The length that this share of documents does not exceed (nearest rank), in the middle of its bin."""
        wanted, seen = max(1, -int(-share * self.count // 1)), 0
        for start in sorted(self.bins):
            seen += self.bins[start]
            if seen >= wanted:
                return min(max(start + (width_of(start) - 1) // 2, self.least), self.most)
        return 0

    def histogram(self) -> list[list[int]]:
        """Documents by powers of two: rows of (first length, count), from the first to the last that has any."""
        powers: Counter[int] = Counter()
        for start, count in self.bins.items():
            powers[start.bit_length()] += count
        if not powers:
            return []
        return [[1 << bits >> 1, powers[bits]] for bits in range(min(powers), max(powers) + 1)]

    def facts(self) -> dict[str, Any]:
        """What a datasheet tells of lengths."""
        shares = {"p1": 0.01, "p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
        return {
            "sum": self.sum,
            "mean": rounded(self.sum / self.count) if self.count else 0.0,
            "min": self.least,
            "max": self.most,
            **{name: self.quantile(share) for name, share in shares.items()},
            "histogram": self.histogram(),
        }


def bin_of(length: int) -> int:
    """The smallest length with the same leading `EXACT_BITS` bits."""
    shift = max(0, length.bit_length() - EXACT_BITS)
    return length >> shift << shift


def width_of(start: int) -> int:
    """Number of lengths that share a bin."""
    return 1 << max(0, start.bit_length() - EXACT_BITS)


def rounded(number: float) -> float:
    """Six significant digits: what a datasheet holds of a measured number, so that it is the same on every machine."""
    return float(f"{number:.6g}")
