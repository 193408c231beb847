"""What `libertas score-model` can be told; importing this costs nothing."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError

SCORE_KINDS = ("perplexity", "classifier")
SLOT_BITS = (12, 24)
"""Smallest and largest table."""


@dataclass(frozen=True, kw_only=True)
class ScoreModelConfig:
    """Make a model that scores texts, from documents of your own."""

    positive: tuple[Path, ...]
    """Corpora of texts as they should be."""
    negative: tuple[Path, ...] = ()
    """Corpora of texts as they should not be; for a classifier only."""
    out: Path
    """Directory of the model."""
    kind: str = "classifier"
    """`classifier` gives the probability of being like the positive texts, `perplexity` the surprise in bits a byte."""
    table_bits: int = 22
    """The table of the model has two to this power entries: of 2 bytes for perplexity, of 4 for a classifier."""
    megabytes: float = 64
    """About how much text to learn from, of the positive and of the negative corpora each; the choice is by id."""
    seed: int = 0
    """Of the order in which a classifier sees the documents."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.kind not in SCORE_KINDS:
            raise UsageError(f"kind is {self.kind!r}; expected {' or '.join(SCORE_KINDS)}")
        if not self.positive:
            raise UsageError("positive is empty; expected at least one corpus made by `libertas gather`")
        if self.kind == "classifier" and not self.negative:
            raise UsageError("negative is empty; expected a corpus to tell the positive ones from; give --negative")
        if self.kind == "perplexity" and self.negative:
            raise UsageError("negative is given; expected none for a perplexity model, which learns from positive ones")
        if not SLOT_BITS[0] <= self.table_bits <= SLOT_BITS[1]:
            raise UsageError(f"table_bits is {self.table_bits}; expected 12 to 24, for example 22")
        if not 0 < self.megabytes < 1e6:
            raise UsageError(f"megabytes is {self.megabytes}; expected more than 0, for example 64")
