"""Settings of looking back at a training. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """Regenerate the weights after any step of a run, bit for bit, from the nearest state before it."""

    run: Path
    """Run made by `libertas train`, finished or interrupted."""
    step: int
    """Step after which the weights are wanted."""
    out: Path | None = None
    """Directory of the checkpoint; by default beside the run, with the step in its name."""
    other_code: bool = False
    """Go on although libertas' training code is not the one that trained the run: the bits may differ, and if they can
    be compared and do, that is still an error."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.step < 0:
            raise UsageError(f"step is {self.step}; expected 0 (the fresh model) or more")


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Check a run against its chain: links, batches and kept weights, and one interval by training it again."""

    run: Path
    """Run made by `libertas train`, finished or interrupted."""
    since: int = 0
    """Step from which training is repeated, from the nearest kept state at or before it."""
    until: int = 0
    """Step up to which it is repeated, at least; 0 for the next link after `since`."""
    other_code: bool = False
    """Go on although libertas' training code is not the one that trained the run."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.since < 0 or (self.until and self.until <= self.since):
            raise UsageError(
                f"since is {self.since} and until {self.until}; expected steps of the run, the second one later, or 0"
            )
