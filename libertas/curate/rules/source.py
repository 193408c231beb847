"""Rules about program text: SantaCoder (Ben Allal et al. 2023, arXiv:2301.03988), StarCoder (Li et al. 2023,
arXiv:2305.06161, section 3) and StarCoder 2 (Lozhkov et al. 2024, arXiv:2402.19173, section 2.1), the first of which
takes its line lengths and shares from Codex (Chen et al. 2021, arXiv:2107.03374, section 3.1)."""

import re
from functools import lru_cache

from libertas.curate.rules.analysis import Analysis, share

LONG_LINES = frozenset({"html", "json", "markdown", "roff", "smt", "tex", "text", "xml"})
"""Languages in which long lines are usual (StarCoder 2)."""
DATA = frozenset({"json", "yaml", "graphviz (dot)", "dot", "web ontology language"})
MAY_BE_XML = frozenset({"xslt", "xml", "html", "svg"})
HASH_COMMENTS = re.compile(r'("""|\'\'\')(?s:.*?)(?:\1|\Z)|#[^\n]*')
SLASH_COMMENTS = re.compile(r"/\*(?s:.*?)(?:\*/|\Z)|//[^\n]*")
DASH_COMMENTS = re.compile(r"/\*(?s:.*?)(?:\*/|\Z)|--[^\n]*")
PERCENT_COMMENTS = re.compile(r"%[^\n]*")
SEMICOLON_COMMENTS = re.compile(r";[^\n]*")
MARKUP_COMMENTS = re.compile(r"<!--(?s:.*?)(?:-->|\Z)")
COMMENTS = {
    HASH_COMMENTS: "python sh shell shellscript bash ruby perl r yaml toml make makefile cmake dockerfile julia nim "
    "elixir tcl powershell starlark awk",
    DASH_COMMENTS: "sql haskell lua ada elm vhdl applescript",
    PERCENT_COMMENTS: "tex latex matlab erlang prolog postscript",
    SEMICOLON_COMMENTS: "lisp clojure scheme emacs-lisp assembly ini",
    MARKUP_COMMENTS: "html xml svg xslt",
}
"""How comments look -> programming languages; in all others as in C."""
COMMENT_OF = {language: pattern for pattern, languages in COMMENTS.items() for language in languages.split()}
GENERATED = re.compile("auto-?generated|automatically generated|generated automatically|this file is generated")
GENERATED_LINES = 5
ENCODED = re.compile(
    r"[a-zA-Z0-9+/\n=]{64,}|(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,\s{0,9}|\b\s{0,9})){8,}|(?:\\u[0-9a-fA-F]{4}){8,}"
)
"""Base64, hexadecimal numbers and escaped characters in a row (StarCoder 2; white space is bounded here)."""
TAGS = re.compile(
    r"<(script|style)\b[^<>]*>.*?(?:</\1[^<>]*>?|\Z)|<!--.*?(?:-->|\Z)|<[a-z/!][^<>]*>", re.IGNORECASE | re.DOTALL
)
VISIBLE_CHARACTERS = 100
"""Visible text that a page has at least (StarCoder)."""


def code_longest_line(analysis: Analysis) -> float | None:
    """Characters in the longest line; not asked of formats in which long lines are usual."""
    if analysis.programming_language in LONG_LINES:
        return None
    return max(map(len, analysis.all_lines), default=0)


def code_mean_line(analysis: Analysis) -> float | None:
    """Mean characters of all lines, empty ones included; not asked of formats in which long lines are usual."""
    if analysis.programming_language in LONG_LINES:
        return None
    return share(sum(map(len, analysis.all_lines)), len(analysis.all_lines))


def code_lines(analysis: Analysis) -> float:
    """Number of lines; very long files are data or generated."""
    return len(analysis.all_lines)


def code_data_lines(analysis: Analysis) -> float | None:
    """Number of lines, of formats that hold data."""
    return len(analysis.all_lines) if analysis.programming_language in DATA else None


def code_data_characters(analysis: Analysis) -> float | None:
    """Number of characters, of JSON and YAML."""
    return len(analysis.text) if analysis.programming_language in ("json", "yaml") else None


def code_alphanumeric(analysis: Analysis) -> float:
    """Share of characters that are letters or digits."""
    return share(sum(map(str.isalnum, analysis.text)), len(analysis.text))


def code_alphabetic(analysis: Analysis) -> float | None:
    """Share of characters that are letters; not asked of assembly."""
    if "assembly" in analysis.programming_language:
        return None
    return share(sum(map(str.isalpha, analysis.text)), len(analysis.text))


def code_comments(analysis: Analysis) -> float | None:
    """Share of characters in comments and docstrings; not asked of formats without comments.

    Found by pattern, not by parsing: a `#` inside a string counts as the start of a comment.
    """
    language = analysis.programming_language
    if language in ("json", "text", "csv", "markdown"):
        return None
    comments = COMMENT_OF.get(language, SLASH_COMMENTS).finditer(analysis.text)
    return share(sum(match.end() - match.start() for match in comments), len(analysis.text))


def code_xml(analysis: Analysis) -> float | None:
    """1 where an XML declaration stands in the first 100 characters of what should be something else."""
    if analysis.programming_language in MAY_BE_XML:
        return None
    return float("<?xml version=" in analysis.text[:100])


def code_html_text(analysis: Analysis) -> float | None:
    """Share of an HTML file that is visible text; 0 where that has fewer than 100 characters."""
    if analysis.programming_language != "html":
        return None
    visible = len(" ".join(TAGS.sub(" ", analysis.text).split()))
    return share(visible, len(analysis.text)) if visible >= VISIBLE_CHARACTERS else 0.0


def code_generated(analysis: Analysis) -> float:
    """1 where one of the first five lines says that the file is generated."""
    head = "\n".join(analysis.all_lines[:GENERATED_LINES]).lower()
    return float(GENERATED.search(head) is not None)


def code_encoded(analysis: Analysis) -> float:
    """Share of characters in runs of encoded data."""
    return share(sum(_encoded(analysis.text)), len(analysis.text))


def code_longest_encoded(analysis: Analysis) -> float:
    """Characters of the longest run of encoded data."""
    return max(_encoded(analysis.text), default=0)


@lru_cache(maxsize=1)  # two rules ask, one after the other
def _encoded(text: str) -> list[int]:
    return [match.end() - match.start() for match in ENCODED.finditer(text)]
