"""What a reader of pages and files gives back, and in which way it was asked to read."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a page or file says."""

    text: str
    title: str = ""
    """Of the page, or empty."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the page says of itself (author, published, license, ...) and what was measured on it; absent where it says
    nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadMode:
    """How pages are read; one mode and the same bytes always give the same text."""

    markdown: bool = False
    """Headings, lists, tables, code, quotes and emphasis as Markdown; otherwise plain text."""
    links: bool = False
    """Keep the addresses of links; Markdown only."""
    comments: bool = False
    """Keep what readers wrote below the page."""
    agreement: bool = False
    """Extract a second time with resiliparse, and store in `meta.agreement` how far the two texts are the same."""
    metadata: bool = False
    """Collect what the page says of itself: author, dates, site, license, opt-outs."""
    everything: bool = False
    """Keep the whole page: no main content detection. For books and documents, which have no boilerplate."""


PLAIN_TEXT = ReadMode()
