"""What the trace room can be asked to do; importing this costs nothing."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """Sort all suffixes of the training tokens, so that any text is looked up in them in a fraction of a second."""

    tokens: Path
    """Token store written by `libertas tokenize`; its training part is indexed."""
    out: Path
    """Index to write."""


@dataclass(frozen=True, kw_only=True)
class TraceConfig:
    """Find where a text stands in the training data, down to the bytes of the archive it was gathered from."""

    source: Path
    """What to ask why: a generation made by `libertas generate`, or a result made by `libertas evaluate`; or a run or
    checkpoint, in whose training data `text` is looked up."""
    out: Path
    """Trace to write."""
    index: Path | None = None
    """Index made by `libertas index`; if left out, the one that lies beside the tokens."""
    text: str | None = None
    """Text to trace; if left out, the generated one."""
    item: str | None = None
    """For a result: the item or held-out document to look up, by the beginning of its id in `items.jsonl` or
    `records.jsonl`; if left out, the item with the longest piece in the training data."""
    spans: int = 5
    """Longest spans to follow to their documents."""
    minimum: int = 6
    """Tokens of the shortest span that is reported."""
    occurrences: int = 3
    """Places in the training data to show for each span; all are counted."""

    def __post_init__(self) -> None:
        """Refuse values that trace nothing."""
        for name in ("spans", "minimum", "occurrences"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 1 or more; leave it out for the default")
        if self.text is not None and not self.text:
            raise UsageError("text is empty; expected at least one character; leave it out to trace the generated text")
        if self.text is not None and any("\ud800" <= c <= "\udfff" for c in self.text):
            raise UsageError("text has bytes that are not UTF-8; expected UTF-8; save it as UTF-8 and try again")
