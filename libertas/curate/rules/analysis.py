"""What rules ask of a text, worked out once however many of them ask.

*Units* are what whitespace separates, except in scripts that are written without spaces, where each character is one;
no dictionary is needed. `words` is how many words that is: units, but of characters as many as say as much as one
English word. A limit on words, or on words in a row, so means as much text in Chinese or Thai as in English.
Published filters use a natural-language tokenizer instead, so shares differ by a few percent from theirs.
"""

import re
import unicodedata
from collections import Counter
from functools import cached_property

from libertas.curate.rules.languages import (
    CLOSERS,
    ENGLISH,
    HAN,
    KANA,
    STOPS,
    SYLLABLE_MARKS,
    UNSPACED_WORDS,
    base_language,
    stop_words,
)
from libertas.curate.rules.ngrams import MOST_UNITS, Repetition
from libertas.curate.rules.rule import Wanted
from libertas.document import Document

CODE_TYPES = frozenset({"application/javascript", "text/javascript", "text/css"})
MARKUP_TYPES = frozenset({"text/x-rst", "text/x-markdown", "text/x-web-markdown", "text/x-tex"})

AROUND_WORDS = STOPS + CLOSERS + ",;:([{<>}]-–—،؛、，；：„‚‘¿¡·"
"""Punctuation that may hang on a word."""

_RUNS = {scale: re.compile(f"[{characters}]") for scale, characters in UNSPACED_WORDS.items()}
_UNSPACED = "".join(UNSPACED_WORDS.values())
_ANY_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SEPARATORS = r"\s\u3000-\u3004\u3008-\u3020\u30fb\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_UNIT = re.compile(f"[{_UNSPACED}]|[^{_UNSPACED}{_SEPARATORS}]+")
_LATE_STOPS = re.escape(STOPS[:3])
_SENTENCE_END = re.compile(f"[{re.escape(STOPS[3:])}]+|[{_LATE_STOPS}]+(?=[{re.escape(CLOSERS)}]*(?:\\s|$))")
"""A full stop ends a sentence before a space only; stops of other scripts always do."""
_PARAGRAPH = re.compile(r"\n\s*\n")


class Analysis:
    """A document as rules see it."""

    def __init__(self, document: Document, wanted: Wanted | None = None) -> None:
        """Nothing is worked out yet."""
        self.document, self.wanted = document, wanted or Wanted()
        self.text, self.meta = document.text, document.meta

    @cached_property
    def content_type(self) -> str:
        """The media type in `meta.content_type` without parameters, in lower case; empty where unknown."""
        return str(self.meta.get("content_type", "")).partition(";")[0].strip().lower()

    @cached_property
    def is_code(self) -> bool:
        """Whether it is program text: `text/x-python` and the like (but no markup), or one of `CODE_TYPES`."""
        kind = self.content_type
        return kind in CODE_TYPES or (kind.startswith("text/x-") and kind not in MARKUP_TYPES)

    @cached_property
    def programming_language(self) -> str:
        """Of code, in lower case: `meta.programming_language`, or what the media type names."""
        named = str(self.meta.get("programming_language", "")).lower()
        return named or self.content_type.rpartition("/")[2].removeprefix("x-").removeprefix("source-")

    @cached_property
    def language(self) -> str:
        """The base code of `meta.language`; a document that names none is taken for English, as the papers do."""
        return base_language(str(self.meta.get("language", ENGLISH)))

    @cached_property
    def lower(self) -> str:
        """The text in lower case."""
        return self.text.lower()

    @cached_property
    def all_lines(self) -> list[str]:
        """Every line, as it is."""
        return self.text.splitlines()

    @cached_property
    def lines(self) -> list[str]:
        """Lines with something in them, without the white space around it."""
        return [stripped for line in self.all_lines if (stripped := line.strip())]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What empty lines separate."""
        return [part for part in _PARAGRAPH.split(self.text.strip()) if part]

    @cached_property
    def unspaced(self) -> dict[float, int]:
        """Characters of scripts without spaces, by how many of them make a word; empty for most texts."""
        if self.text.isascii() or not _ANY_UNSPACED.search(self.text):
            return {}
        found = {scale: len(run.findall(self.text)) for scale, run in _RUNS.items()}
        if found[KANA] * 10 > found[HAN]:  # Japanese
            found[KANA] += found.pop(HAN)
        return {scale: count for scale, count in found.items() if count}

    @cached_property
    def units(self) -> list[str]:
        """Words and, of scripts without spaces, characters."""
        return _UNIT.findall(self.text) if self.unspaced else spaced_words(self.text)

    @cached_property
    def words(self) -> float:
        """How many words the units are."""
        if not self.unspaced:
            return len(self.units)
        characters = sum(self.unspaced.values())
        return len(self.units) - characters + sum(count / scale for scale, count in self.unspaced.items())

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether most units are characters."""
        return 2 * sum(self.unspaced.values()) > len(self.units)

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each unit occurs."""
        return Counter(self.units)

    @cached_property
    def characters(self) -> int:
        """In all units."""
        return sum(map(len, self.units))

    @cached_property
    def stop_words(self) -> dict[str, int] | None:
        """The language's stop words that occur, and how often; None where there is no list."""
        wanted = stop_words(self.language)
        if not wanted:
            return None
        if self.is_unspaced:
            return {word: count for word in wanted if (count := self.text.count(word))}
        found: Counter[str] = Counter()
        composed = unicodedata.is_normalized("NFC", self.text)
        longest = max(map(len, wanted)) if composed else len(self.text)
        for unit, count in self.counts.items():
            word = unit if unit.isalnum() else unit.strip(AROUND_WORDS)
            if len(word) > longest:  # no word gets shorter in lower case
                continue
            word = word.lower() if composed else unicodedata.normalize("NFC", word.lower())
            if word in wanted:
                found[word] += count
        return found

    @cached_property
    def repetition(self) -> Repetition:
        """Repeated n-grams."""
        units, counts = self.units, self.counts
        if len(units) > MOST_UNITS:
            units, counts = units[:MOST_UNITS], Counter(units[:MOST_UNITS])
        return Repetition(units, counts, len(self.units) / self.words if self.unspaced else 1.0)

    def words_in(self, part: str) -> float:
        """How many words a part of the text has; of scripts without spaces, estimated by its length."""
        if self.is_unspaced:
            return len(part) * self.words / self.characters
        return len(spaced_words(part))


def spaced_words(text: str) -> list[str]:
    """What white space and the marks that stand for it separate."""
    for mark in SYLLABLE_MARKS:
        text = text.replace(mark, " ")
    return text.split()


def sentence_ends(text: str) -> int:
    """How many sentences end in a text."""
    return sum(1 for _ in _SENTENCE_END.finditer(text))


def share(part: float, whole: float) -> float:
    """A part of a whole; 0 of nothing."""
    return part / whole if whole else 0.0
