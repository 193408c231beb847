"""Spans of personal data, runs of digits they may lie in, and what stands around them."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from unicodedata import decimal

PRIVATE_KINDS = ("key", "email", "iban", "card", "national_id", "crypto", "ip", "mac", "phone")
"""Kinds of personal data; where two claim the same characters, the longer wins, then the earlier in this list."""


class PrivateSpan(NamedTuple):
    """Characters [start, end) of a text that hold personal data."""

    start: int
    end: int
    kind: str
    detail: str
    """Which sort of its kind, such as a country; never what was found."""


class NumberRun(NamedTuple):
    """Digits with what may separate them, and two characters on either side, digits and separators as ASCII."""

    text: str
    """Of the whole document."""
    first: int
    """Where the window begins in it."""
    window: str

    def before(self, start: int, characters: int = 40) -> str:
        """What stands before a place of the window, on its line, in lower case."""
        at = self.first + start
        return line_before(self.text, at, characters)


SEPARATORS = " ().\\-/\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013"
RUN = re.compile(rf"\d[\d{SEPARATORS}]{{5,}}+")
"""Seven characters or more; begins with the digit so that the search is a fast one."""
MARGIN = 2
FEWEST_DIGITS = 4
"""Of an address such as 8.8.8.8; whatever else is looked for has more."""
ASCII_SEPARATORS = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ") | dict.fromkeys(
    map(ord, "\u2010\u2011\u2012\u2013"), "-"
)


def number_runs(text: str) -> Iterator[NumberRun]:
    """Where a text has several digits close together."""
    for match in RUN.finditer(text):
        first = max(0, match.start() - MARGIN)
        window = text[first : match.end() + MARGIN]
        if not window.isascii():
            window = _as_ascii(window)
        if sum(map(window.count, "0123456789")) >= FEWEST_DIGITS:
            yield NumberRun(text, first, window)


def _as_ascii(window: str) -> str:
    """Digits of any script and typographic separators in ASCII, each in its place."""
    return "".join(str(decimal(c)) if c.isdecimal() else c for c in window.translate(ASCII_SEPARATORS))


def line_before(text: str, at: int, characters: int) -> str:
    """At most so many characters before a place, of the same line, in lower case."""
    return text[max(0, at - characters) : at].rpartition("\n")[2].lower()


def joins(character: str) -> bool:
    """Whether a letter or digit would make one word with what stands beside it; scripts without spaces do not.

    Args:
        character: one, or none.
    """
    return character.isalnum() and (character < "\u0e00" or "\u0eff" < character < "\u2e80")


def stands_alone(window: str, start: int, end: int, separators: str) -> bool:
    """Whether a number is not the middle of a longer one, of a word, or of a decimal fraction.

    Args:
        window: what it is in.
        start: its first character.
        end: after its last.
        separators: what the number is written with; digits beyond one of these would be part of it.
    """
    left, right = window[max(0, start - 2) : start], window[end : end + 2]
    if left and (joins(left[-1]) or left[-1] in "_.+" or (left[-1] in separators and left[:-1].isdecimal())):
        return False
    if right and (joins(right[0]) or right[0] == "_"):
        return False
    return not (len(right) == 2 and right[0] in separators + "." and right[1].isdecimal())


def merged_spans(spans: Iterable[PrivateSpan]) -> list[PrivateSpan]:
    """Spans in order, those that share characters joined under the name of the longest."""
    found: list[PrivateSpan] = []
    strength = 0, 0
    for span in sorted(spans, key=lambda s: (s.start, -s.end, PRIVATE_KINDS.index(s.kind), s.detail)):
        own = span.end - span.start, -PRIVATE_KINDS.index(span.kind)
        if found and span.start < found[-1].end:
            last = found[-1]
            name = span if own > strength else last
            found[-1] = PrivateSpan(last.start, max(last.end, span.end), name.kind, name.detail)
            strength = max(own, strength)
        else:
            found.append(span)
            strength = own
    return found
