"""What the batch viewer can be asked; importing this costs nothing."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Show the documents that a training step read, or the steps that read a document."""

    run: Path
    """Run or checkpoint."""
    step: int | None = None
    """Step, counted from 1."""
    document: str | None = None
    """Instead of a step, the id of a document, or the beginning of one that only it has."""
    rows: int = 40
    """Lines of the table; all are counted, and all go into the file."""
    out: Path | None = None
    """File of JSON lines to write as well, with the tokens and the whole text of each line."""

    def __post_init__(self) -> None:
        """Refuse to show nothing, or two things."""
        if (self.step is None) == (self.document is None):
            given = "neither" if self.step is None else "both"
            raise UsageError(f"{given} of step and document given; expected one, such as --step 1")
        if self.rows < 1:
            raise UsageError(f"rows is {self.rows}; expected 1 or more; leave it out for the default")
