"""Settings of the tokenize stage."""

import math
from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError

SMALLEST_VOCABULARY = 257
"""Every byte and the end-of-text token: byte-level BPE can write any text with these."""


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig:
    """Learn a byte-level BPE vocabulary on a mixed corpus and turn its documents into tokens."""

    corpus: Path
    """Mixed corpus written by `libertas mix`."""
    out: Path
    """Token store to write."""
    vocabulary: int = 4096
    """Entries of the vocabulary, the end-of-text token included."""
    sample_megabytes: float = 64.0
    """Megabytes of training text to learn the vocabulary from; documents are taken evenly from the corpus."""
    tokenizer: Path | None = None
    """Existing `tokenizer.json` to use instead of learning one; `vocabulary` is then ignored."""

    def __post_init__(self) -> None:
        """Refuse a vocabulary that cannot spell every byte, and a sample without text."""
        if self.vocabulary < SMALLEST_VOCABULARY:
            raise UsageError(
                f"vocabulary is {self.vocabulary}; expected at least {SMALLEST_VOCABULARY} (256 bytes and end of text)"
            )
        if not 0 < self.sample_megabytes < math.inf:
            raise UsageError(
                f"sample_megabytes is {self.sample_megabytes}; expected a finite number above 0, such as 64"
            )
