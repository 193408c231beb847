"""What `libertas curate` and `libertas mix` can be told."""

from dataclasses import dataclass, field
from pathlib import Path

from libertas.curate.rules import DEFAULT_RULES, RULES
from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.spelling import nearest

NEAR_DUPLICATE_SIMILARITY = 0.8
"""Estimated Jaccard similarity from which two documents count as the same; the usual choice since Lee et al. 2022."""

MOST_PASSES = 1_000_000
"""Largest weight; a mixture that repeats a component more often is a slip of the pen."""


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """Decide about every document: quality rules, exact duplicates, near-duplicates."""

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`; of duplicates, the one in the earlier corpus stays."""
    out: Path
    """Directory of the decisions."""
    languages: tuple[str, ...] = ()
    """Languages to keep, as in `meta.language` (`en`, `de`, ...); empty keeps all. Code is never judged by it."""
    rules: tuple[str, ...] = DEFAULT_RULES
    """Rules to apply, by name. Each knows whether it is about prose or about code."""
    near_duplicate_similarity: float = NEAR_DUPLICATE_SIMILARITY
    """Estimated Jaccard similarity of word 5-grams from which a document is a near-duplicate."""
    workers: int = execution(2)
    """Processes that read text at the same time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require_corpora(self.corpora, "curate")
        for name in self.rules:
            if name not in RULES:
                raise UsageError(f"rules: there is no rule {name!r}; {nearest(name, RULES)}")
        if not 0.0 < self.near_duplicate_similarity <= 1.0:
            raise UsageError(
                f"near_duplicate_similarity is {self.near_duplicate_similarity}; expected more than 0 and at most 1, "
                f"for example {NEAR_DUPLICATE_SIMILARITY}"
            )
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more processes")


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """Mix components into one corpus with a training and a validation part."""

    corpora: tuple[Path, ...]
    """Corpora made by `libertas gather`."""
    decisions: Path | None = None
    """Decisions made by `libertas curate` for the same corpora; without them every document is taken."""
    out: Path
    """Directory of the mixed corpus."""
    weights: dict[str, float] = field(default_factory=dict)
    """How often a component is seen in one pass over the mixture (the Pile's epochs); 1 where not named."""
    validation: float = 0.02
    """Share of each component's documents that is held out, at least one document; 0 holds out nothing."""
    seed: int = 0
    """Chooses the held-out documents and those of a part of a pass."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require_corpora(self.corpora, "mix")
        for name, weight in self.weights.items():
            if not 0 <= weight <= MOST_PASSES:
                raise UsageError(f"weights: {name} has {weight}; expected a number of passes from 0 to {MOST_PASSES:,}")
        if not 0.0 <= self.validation < 1.0:
            raise UsageError(
                f"validation is {self.validation}; expected a share of 0 or more and below 1, such as 0.02"
            )
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}; expected a whole number from -2^63 to 2^63 - 1, such as 0")


def _require_corpora(corpora: tuple[Path, ...], command: str) -> None:
    if not corpora:
        raise UsageError(f"corpora is empty; expected at least one corpus to {command}: make it with `libertas gather`")
    for corpus in corpora:
        if corpora.count(corpus) > 1:
            raise UsageError(f"corpora names {corpus} twice; name each corpus once")
