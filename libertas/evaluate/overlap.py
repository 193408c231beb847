"""Contamination: how much of what is scored stands word for word in the training tokens, and where.

Spans of 13 are the convention of GPT-3 (Brown et al. 2020, appendix C) and of the Pile's decontamination, counted there
in words. We count tokens of the model's own vocabulary, the unit of the index: a word is one token or more, so 13
tokens are fewer words (about 8 with a small vocabulary), and more is flagged than with words.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.trace.index import TokenIndex

SPAN_TOKENS = 13
"""Shortest match with the training tokens that counts as contamination."""

CONTAMINATED_COVERAGE = 0.5
"""Share of the scored tokens inside such matches from which a record counts as contaminated."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a record shares with the training tokens."""

    coverage: float
    """Share of the scored tokens that lie in matches of `SPAN_TOKENS` or more."""
    longest: int
    """Tokens of the longest match."""
    at: int
    """Where that match begins in the record's tokens."""
    position: int
    """The first place in the training tokens where it stands; -1 when not even one token does."""
    document: str
    """Id of the training document that holds that place; empty when there is none."""

    @property
    def contaminated(self) -> bool:
        """Whether the score of this record may be memory."""
        return self.coverage >= CONTAMINATED_COVERAGE

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "contaminated": self.contaminated}


def overlap(index: TokenIndex, tokens: Sequence[int] | NDArray[np.integer], scored: int | None = None) -> Overlap:
    """Overlap of the last `scored` tokens (all, if left out) with training; matches may begin before them."""
    lengths = np.asarray(index.match_lengths(tokens), dtype=np.int64)
    covered = covered_tokens(lengths)[len(lengths) - (len(lengths) if scored is None else scored) :]
    if not len(lengths) or not lengths.max():
        return Overlap(0.0, 0, 0, -1, "")
    at = int(lengths.argmax())
    longest = int(lengths[at])
    position = index.positions(index.longest_match(tokens[at : at + longest]), 1)[0]
    document = index.tokens.document_id(index.tokens.document_at(position))
    return Overlap(float(covered.mean()), longest, at, position, document)


def covered_tokens(lengths: NDArray[np.int64], minimum: int = SPAN_TOKENS) -> NDArray[np.bool_]:
    """Which tokens lie inside a match of at least `minimum`, given the longest match that begins at each token."""
    starts = np.flatnonzero(lengths >= minimum)
    edges = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.add.at(edges, starts, 1)
    np.add.at(edges, starts + lengths[starts], -1)
    return edges.cumsum()[:-1] > 0
