"""What a datasheet consists of: sections of plain blocks, which page and Markdown draw each in their own way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Quoted(str):
    """Text that a document says, which may hold anything and run in any direction."""


Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Title:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A table; the first `names` columns are words, the others numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    names: int = 1
    dots: bool = False
    """Whether the rows are the components, in order: each has its colour."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure for plotly.js; Markdown leaves it out, so that a table must say the same."""

    name: str
    figure: dict[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar of a whole, a piece for each component; Markdown leaves it out."""

    what: str
    pieces: Sequence[tuple[str, int]]
    total: str


@dataclass(frozen=True, slots=True)
class Flow:
    """What came into a stage, and what of it stayed."""

    title: str
    told: str
    kept: float
    """Share of what came in at the very beginning."""
    lost: float


@dataclass(frozen=True, slots=True)
class Example:
    """A document that a rule spoke against."""

    id: str
    url: str | None
    value: str | None
    excerpt: str | None


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule, how often it spoke, and some documents."""

    name: str
    reason: str
    limit: str | None
    count: int
    share: float
    """Of the rule that spoke most often."""
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class RuleList:
    """The rules of a stage."""

    rules: Sequence[RuleRow]


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with what the author and the numbers say; where neither does, it is a prompt."""

    question: str
    author: str | None
    facts: str | None


@dataclass(frozen=True, slots=True)
class Fold:
    """Something longer, under a line that unfolds it."""

    summary: str
    blocks: Sequence["Block"]


Block = Prose | Title | Rows | Chart | Stack | Flow | RuleList | Answer | Fold


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section: its name in the address, in the contents, a heading that says what one sees, and its blocks."""

    name: str
    label: str
    heading: str
    blocks: Sequence[Block]


def clipped(text: object, most: int = 80) -> Quoted:
    """Text from data, short enough for a table."""
    said = " ".join(str(text)[: 4 * most].split())
    return Quoted(said if len(said) <= most else said[: most - 1] + "…")


def in_bytes(number: float) -> str:
    """Bytes for people, in powers of 1000 and three digits."""
    for size, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} B"


def digits(number: float | None, most: int = 3) -> str:
    """A measured number in a few significant digits; a dash where there is none."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if abs(number) >= 10**most else f"{number:.{most}g}"
