"""Settings of generation and of the report. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """Let a model continue a text."""

    run: Path
    """Run or checkpoint to write with."""
    out: Path
    """Generation to write."""
    prompt: str = ""
    """Text to continue; empty starts a new document."""
    tokens: int = 120
    """Most tokens to add."""
    temperature: float = 0.8
    """Randomness: 0 always takes the likeliest token, 1 samples from the model's own distribution."""
    top_p: float = 0.95
    """Sample among the likeliest tokens that together have this probability (Holtzman et al. 2020)."""
    top_k: int = 0
    """Sample among so many of the likeliest tokens (Fan et al. 2018); 0 for all."""
    min_p: float = 0.0
    """Leave out tokens less likely than this share of the likeliest one's probability (Nguyen et al. 2024)."""
    repetition_penalty: float = 1.0
    """Make tokens that stand in the text already less likely by this factor (Keskar et al. 2019); 1 for none."""
    stop: tuple[str, ...] = ()
    """Texts at which writing stops; the first of them that comes, and what follows it, is left out of the text."""
    log_probabilities: bool = True
    """Whether to keep the probability of every token."""
    seed: int = 0
    """Equal seeds give equal texts."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if self.tokens < 1:
            raise UsageError(f"tokens is {self.tokens}; expected 1 or more")
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(f"temperature is {self.temperature}; expected 0 or more, such as 0.8")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}; expected above 0 and at most 1")
        if self.top_k < 0:
            raise UsageError(f"top_k is {self.top_k}; expected 1 or more tokens, or 0 for all")
        if not 0 <= self.min_p <= 1:
            raise UsageError(f"min_p is {self.min_p}; expected a share from 0 to 1")
        if not 0 < self.repetition_penalty < float("inf"):
            raise UsageError(f"repetition_penalty is {self.repetition_penalty}; expected above 0; 1 for none")
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}; expected a whole number from -2^63 to 2^63 - 1, such as 0")
        if not all(self.stop):
            raise UsageError("stop has an empty text; expected one or more characters; leave it out to write on")
        for name, text in (("prompt", self.prompt), *(("stop", text) for text in self.stop)):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise UsageError(f"{name} has bytes that are not UTF-8; expected UTF-8; save it as UTF-8 and try again")


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Draw a run on one page that works offline."""

    run: Path
    """Run to report on; its corpus, decisions and archives are found through its lineage."""
    out: Path
    """Folder of the report; the page is `report.html` in it."""
    result: Path | None = None
    """Scores made by `libertas evaluate`."""
    trace: Path | None = None
    """Traced text made by `libertas trace`."""
