"""What `libertas datasheet` can be told."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution

TOPICS = 16
"""Topics of the whole corpus, as many as the Pile's paper shows (Gao et al. 2020)."""
SAMPLE = 1000
"""Documents of each component in the sample: at most 16 MB of text each."""


@dataclass(frozen=True, kw_only=True)
class DatasheetConfig:
    """Describe a corpus: a page, Markdown, Croissant metadata, and all the numbers behind them."""

    corpus: Path
    """Corpus to describe, as gathered or as mixed."""
    out: Path
    """Directory of the datasheet."""
    name: str = ""
    """Name of the dataset; by default that of the corpus' directory."""
    decisions: tuple[Path, ...] = ()
    """What `curate`, `dedup`, `decontaminate` or `redact` say of the corpus; a mixture knows its own."""
    tokens: Path | None = None
    """Tokens made by `libertas tokenize`, or a `tokenizer.json`: counts every text in its tokens as well."""
    about: Path | None = None
    """TOML file with what no file can tell: a table `dataset` (license, url, creators, ...) and a table `answers`."""
    topics: int = TOPICS
    """Topics to find (needs `libertas[datasheet]`); 0 leaves them out."""
    sample: int = SAMPLE
    """Documents of each component that topics, compressibility and repeated phrases are measured on."""
    seed: int = 0
    """Chooses the sample."""
    workers: int = execution(2)
    """Processes that read text at the same time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0 <= self.topics <= 200:
            raise UsageError(f"topics is {self.topics}; expected 0 to 200, such as {TOPICS}")
        if not 2 <= self.sample <= 100_000:
            raise UsageError(f"sample is {self.sample}; expected 2 to 100,000 documents, such as {SAMPLE}")
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more processes")
        for path in self.decisions:
            if self.decisions.count(path) > 1:
                raise UsageError(f"decisions names {path} twice; name each artifact once")
