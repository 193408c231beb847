"""Quality rules: each reads one document and returns a value, with a reason where it speaks against the document.

Prose and code are judged by different rules: `PROSE` and `CODE` hold them by name, and `applicable` picks by
`meta.content_type`. Words are what whitespace separates, lines what `splitlines` gives, empty lines not counted.
Published filters tokenize with a natural-language tokenizer instead, so shares differ by a few percent from theirs.
A value exactly on a limit passes, also where FineWeb would drop it.
`DEFAULT_RULES` leaves out six published rules, because they take documentation for spam. A reference page is a list of
short entries, full of signatures and literals, and a class repeats what it inherits word for word:
`gopher_duplicate_lines`, `gopher_duplicate_paragraphs`, `fineweb_line_punctuation`, `fineweb_short_lines`,
`fineweb_duplicate_characters` and `c4_curly_bracket`. Name them in `rules` for web pages.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from libertas.document import Document


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule saw, and why the document should go; `reason` is None when it may stay."""

    value: float
    reason: str | None = None


GOPHER_WORDS = (50, 100_000)
GOPHER_WORD_LENGTH = (3.0, 10.0)
GOPHER_SYMBOLS_PER_WORD = 0.1
GOPHER_BULLET_LINES = 0.9
GOPHER_ELLIPSIS_LINES = 0.3
GOPHER_ALPHABETIC_WORDS = 0.8
GOPHER_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
GOPHER_STOP_WORDS_AT_LEAST = 2
GOPHER_DUPLICATE_LINES = 0.3
GOPHER_DUPLICATE_PARAGRAPHS = 0.3
GOPHER_TOP_NGRAM_CHARACTERS = {2: 0.20, 3: 0.18, 4: 0.16}

FINEWEB_LINE_PUNCTUATION = 0.12
FINEWEB_SHORT_LINES = 0.67
FINEWEB_SHORT_LINE_CHARACTERS = 30
FINEWEB_DUPLICATE_CHARACTERS = 0.1

CODE_LONGEST_LINE = 1000
CODE_MEAN_LINE = 100
CODE_ALPHANUMERIC = 0.25
CODE_COMMENTS = (0.01, 0.8)

BULLETS = ("•", "-", "*", "‣", "·")
SENTENCE_ENDS = (".", "!", "?", '"', "'", "”", "’")


@lru_cache(maxsize=2)
def _words(text: str) -> list[str]:
    return text.split()  # cached, because ten rules in a row ask about the same text


@lru_cache(maxsize=2)
def _lines(text: str) -> list[str]:
    return [stripped for line in text.splitlines() if (stripped := line.strip())]


def _share(matching: float, total: float) -> float:
    return matching / total if total else 0.0


def _at_most(value: float, limit: float, what: str) -> Verdict:
    return Verdict(value, f"{what} above {limit:g}" if value > limit else None)


def _at_least(value: float, limit: float, what: str) -> Verdict:
    return Verdict(value, f"{what} below {limit:g}" if value < limit else None)


def _within(value: float, limits: tuple[float, float], what: str) -> Verdict:
    low, high = limits
    return _at_least(value, low, what) if value < low else _at_most(value, high, what)


def gopher_words(document: Document) -> Verdict:
    """Number of words, 50 to 100,000 (Rae et al. 2021, appendix A)."""
    return _within(len(_words(document.text)), GOPHER_WORDS, "word count")


def gopher_word_length(document: Document) -> Verdict:
    """Mean word length in characters, 3 to 10 (Rae et al. 2021, appendix A)."""
    words = _words(document.text)
    return _within(_share(sum(map(len, words)), len(words)), GOPHER_WORD_LENGTH, "mean word length")


def gopher_symbols(document: Document) -> Verdict:
    """Hash signs or ellipses per word, whichever is more, at most 0.1 (Rae et al. 2021, appendix A)."""
    text = document.text
    symbols = max(text.count("#"), text.count("...") + text.count("…"))
    return _at_most(_share(symbols, len(_words(text))), GOPHER_SYMBOLS_PER_WORD, "symbols per word")


def gopher_bullet_lines(document: Document) -> Verdict:
    """Share of lines that start with a bullet, at most 0.9 (Rae et al. 2021, appendix A).

    The paper does not list its bullets; `-` and `*` count here, as pages turned into plain text use them.
    """
    lines = _lines(document.text)
    share = _share(sum(line.startswith(BULLETS) for line in lines), len(lines))
    return _at_most(share, GOPHER_BULLET_LINES, "share of bullet lines")


def gopher_ellipsis_lines(document: Document) -> Verdict:
    """Share of lines that end in an ellipsis, at most 0.3 (Rae et al. 2021, appendix A)."""
    lines = _lines(document.text)
    share = _share(sum(line.endswith(("...", "…")) for line in lines), len(lines))
    return _at_most(share, GOPHER_ELLIPSIS_LINES, "share of lines ending in an ellipsis")


def gopher_alphabetic_words(document: Document) -> Verdict:
    """Share of words with at least one letter, 0.8 or more (Rae et al. 2021, appendix A)."""
    words = _words(document.text)
    share = _share(sum(any(map(str.isalpha, word)) for word in words), len(words))
    return _at_least(share, GOPHER_ALPHABETIC_WORDS, "share of words with a letter")


def gopher_stop_words(document: Document) -> Verdict:
    """How many different of eight English stop words occur, 2 or more (Rae et al. 2021, appendix A).

    The paper speaks of English text, so a document that is known to be in another language passes.
    """
    present = len(GOPHER_STOP_WORDS.intersection(document.text.lower().split()))
    if document.meta.get("language", "en") != "en":
        return Verdict(present)
    return _at_least(present, GOPHER_STOP_WORDS_AT_LEAST, "different stop words")


def _duplicate_share(parts: list[str]) -> float:
    return _share(len(parts) - len(set(parts)), len(parts))


def gopher_duplicate_lines(document: Document) -> Verdict:
    """Share of lines that stand earlier in the document already, at most 0.3 (Rae et al. 2021, table A1)."""
    return _at_most(_duplicate_share(_lines(document.text)), GOPHER_DUPLICATE_LINES, "share of duplicate lines")


def gopher_duplicate_paragraphs(document: Document) -> Verdict:
    """Share of paragraphs that stand earlier in the document already, at most 0.3 (Rae et al. 2021, table A1)."""
    paragraphs = [p for p in re.split(r"\n\s*\n", document.text.strip()) if p]
    return _at_most(_duplicate_share(paragraphs), GOPHER_DUPLICATE_PARAGRAPHS, "share of duplicate paragraphs")


def _top_ngram(document: Document, n: int) -> Verdict:
    words = _words(document.text)
    counts = Counter(zip(*(words[i:] for i in range(n)), strict=False))
    # Of equally frequent n-grams the longest counts, so the value does not depend on the order they came in.
    most = max(counts.values(), default=0)
    covered = max((most * sum(map(len, ngram)) for ngram, count in counts.items() if count == most), default=0)
    value = _share(covered, sum(map(len, words))) if most > 1 else 0.0
    return _at_most(value, GOPHER_TOP_NGRAM_CHARACTERS[n], f"characters in the most frequent {n}-gram")


def gopher_top_2gram(document: Document) -> Verdict:
    """Share of word characters in the most frequent 2-gram, at most 0.20 (Rae et al. 2021, table A1)."""
    return _top_ngram(document, 2)


def gopher_top_3gram(document: Document) -> Verdict:
    """Share of word characters in the most frequent 3-gram, at most 0.18 (Rae et al. 2021, table A1)."""
    return _top_ngram(document, 3)


def gopher_top_4gram(document: Document) -> Verdict:
    """Share of word characters in the most frequent 4-gram, at most 0.16 (Rae et al. 2021, table A1)."""
    return _top_ngram(document, 4)


def c4_lorem_ipsum(document: Document) -> Verdict:
    """Occurrences of the placeholder text "lorem ipsum", none allowed (Raffel et al. 2020, section 2.2)."""
    return _at_most(document.text.lower().count("lorem ipsum"), 0, "occurrences of lorem ipsum")


def c4_curly_bracket(document: Document) -> Verdict:
    """Opening curly brackets, none allowed in prose (Raffel et al. 2020, section 2.2)."""
    return _at_most(document.text.count("{"), 0, "curly brackets")


def fineweb_line_punctuation(document: Document) -> Verdict:
    """Share of lines that end a sentence, more than 0.12 (Penedo et al. 2024; FineWeb)."""
    lines = _lines(document.text)
    share = _share(sum(line.endswith(SENTENCE_ENDS) for line in lines), len(lines))
    return _at_least(share, FINEWEB_LINE_PUNCTUATION, "share of lines ending in punctuation")


def fineweb_short_lines(document: Document) -> Verdict:
    """Share of lines of at most 30 characters, at most 0.67 (Penedo et al. 2024; FineWeb)."""
    lines = _lines(document.text)
    short = sum(len(line) <= FINEWEB_SHORT_LINE_CHARACTERS for line in lines)
    return _at_most(_share(short, len(lines)), FINEWEB_SHORT_LINES, "share of short lines")


def fineweb_duplicate_characters(document: Document) -> Verdict:
    """Share of characters in lines that stand earlier already, at most 0.1 (Penedo et al. 2024; FineWeb).

    The paper says 0.1; its released filter defaults to 0.01.
    """
    lines = _lines(document.text)
    total = sum(map(len, lines))
    repeated = total - sum(map(len, set(lines)))
    return _at_most(_share(repeated, total), FINEWEB_DUPLICATE_CHARACTERS, "share of characters in duplicate lines")


def code_longest_line(document: Document) -> Verdict:
    """Characters in the longest line, at most 1,000 (Ben Allal et al. 2023, SantaCoder, after Codex)."""
    longest = max(map(len, document.text.splitlines()), default=0)
    return _at_most(longest, CODE_LONGEST_LINE, "longest line")


def code_mean_line(document: Document) -> Verdict:
    """Mean characters of all lines, empty ones included, at most 100 (Ben Allal et al. 2023, after Codex)."""
    lines = document.text.splitlines()
    return _at_most(_share(sum(map(len, lines)), len(lines)), CODE_MEAN_LINE, "mean line length")


def code_alphanumeric(document: Document) -> Verdict:
    """Share of characters that are letters or digits, 0.25 or more (Ben Allal et al. 2023, after Codex)."""
    share = _share(sum(map(str.isalnum, document.text)), len(document.text))
    return _at_least(share, CODE_ALPHANUMERIC, "share of letters and digits")


HASH_COMMENTS = re.compile(r'("""|\'\'\')(?s:.*?)\1|#[^\n]*')
SLASH_COMMENTS = re.compile(r"/\*(?s:.*?)\*/|//[^\n]*")
HASH_LANGUAGES = ("python", "sh", "shellscript", "ruby", "perl", "r", "yaml", "toml")


def code_comments(document: Document) -> Verdict:
    """Share of characters in comments and docstrings, 0.01 to 0.8 (Ben Allal et al. 2023, SantaCoder).

    Found by pattern, not by parsing: a `#` inside a string counts as the start of a comment.
    """
    language = content_type(document).removeprefix("text/").removeprefix("application/").removeprefix("x-")
    pattern = HASH_COMMENTS if language in HASH_LANGUAGES else SLASH_COMMENTS
    comments = sum(match.end() - match.start() for match in pattern.finditer(document.text))
    return _within(_share(comments, len(document.text)), CODE_COMMENTS, "share of comments")


Rule = Callable[[Document], Verdict]

PROSE: dict[str, Rule] = {
    "gopher_words": gopher_words,
    "gopher_word_length": gopher_word_length,
    "gopher_symbols": gopher_symbols,
    "gopher_bullet_lines": gopher_bullet_lines,
    "gopher_ellipsis_lines": gopher_ellipsis_lines,
    "gopher_alphabetic_words": gopher_alphabetic_words,
    "gopher_stop_words": gopher_stop_words,
    "gopher_duplicate_lines": gopher_duplicate_lines,
    "gopher_duplicate_paragraphs": gopher_duplicate_paragraphs,
    "gopher_top_2gram": gopher_top_2gram,
    "gopher_top_3gram": gopher_top_3gram,
    "gopher_top_4gram": gopher_top_4gram,
    "c4_lorem_ipsum": c4_lorem_ipsum,
    "c4_curly_bracket": c4_curly_bracket,
    "fineweb_line_punctuation": fineweb_line_punctuation,
    "fineweb_short_lines": fineweb_short_lines,
    "fineweb_duplicate_characters": fineweb_duplicate_characters,
}
CODE: dict[str, Rule] = {
    "code_longest_line": code_longest_line,
    "code_mean_line": code_mean_line,
    "code_alphanumeric": code_alphanumeric,
    "code_comments": code_comments,
}
RULES: dict[str, Rule] = {**PROSE, **CODE}

UNFIT_FOR_REFERENCE_PAGES = frozenset(
    {
        "gopher_duplicate_lines",
        "gopher_duplicate_paragraphs",
        "fineweb_line_punctuation",
        "fineweb_short_lines",
        "fineweb_duplicate_characters",
        "c4_curly_bracket",
    }
)
DEFAULT_RULES = tuple(name for name in RULES if name not in UNFIT_FOR_REFERENCE_PAGES)

CODE_TYPES = frozenset({"application/javascript", "text/javascript", "text/css"})
MARKUP_TYPES = frozenset({"text/x-rst", "text/x-markdown", "text/x-web-markdown", "text/x-tex"})


def content_type(document: Document) -> str:
    """The media type in `meta.content_type` without parameters, in lower case; empty where unknown."""
    return str(document.meta.get("content_type", "")).partition(";")[0].strip().lower()


def is_code(document: Document) -> bool:
    """Whether the document is program text: `text/x-python` and the like (but no markup), or one of `CODE_TYPES`."""
    kind = content_type(document)
    return kind in CODE_TYPES or (kind.startswith("text/x-") and kind not in MARKUP_TYPES)


def applicable(document: Document, names: Iterable[str]) -> dict[str, Rule]:
    """Those of the named rules that are meant for this kind of document, in the given order."""
    fitting = CODE if is_code(document) else PROSE
    return {name: fitting[name] for name in names if name in fitting}


def language_verdict(document: Document, languages: tuple[str, ...]) -> Verdict:
    """1.0 if the language is wanted, else 0.0; `zh` takes `zh-Hans` too, and a document that names none is in `und`."""
    language = document.meta.get("language") or "und"
    if any(language == wanted or language.startswith(wanted + "-") for wanted in languages):
        return Verdict(1.0)
    return Verdict(0.0, f"language is {language}, not {' or '.join(languages)}")
