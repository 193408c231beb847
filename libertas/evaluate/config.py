"""What `libertas evaluate` can be told. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Score a model on held-out documents: bits per byte, and multiple choice under three protocols."""

    run: Path
    """Run, or one checkpoint of it, written by `libertas train`."""
    corpus: Path
    """Mixed corpus whose validation part is scored, written by `libertas mix`."""
    index: Path | None = None
    """Suffix index of the training tokens; without it contamination is not measured, and the tables say so."""
    out: Path
    """Directory of the result."""
    items: int = 200
    """Multiple-choice questions to make from the held-out documents; 0 leaves the task out."""
    seed: int = 0
    """Chooses the passages and the wrong answers."""
    threads: int = 2
    """Threads for arithmetic; part of the result's identity, since sums depend on how they are split."""

    def __post_init__(self) -> None:
        """Refuse counts that cannot be meant."""
        if self.items < 0:
            raise UsageError(f"items is {self.items}; expected a number of questions, 0 or more, such as 200")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}; expected 1 or more, such as the number of cores")
