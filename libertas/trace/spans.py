"""Tokens of a text -> its longest spans that occur word for word in the training tokens, with their characters.

After OLMoTrace (Liu et al. 2025): the longest match at every position, of which those inside others are left out. We
differ in choosing spans that do not overlap, longest first, so that a text can be painted with them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from libertas.trace.index import Match, TokenIndex


def _byte_of_character() -> dict[str, int]:
    """GPT-2's spelling of bytes, inverted: printable Latin-1 stands for itself, the rest for 256, 257, …"""
    itself = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in itself]
    return {chr(b): b for b in itself} | {chr(256 + n): b for n, b in enumerate(others)}


BYTE_OF = _byte_of_character()


@dataclass(frozen=True, slots=True)
class TokenText:
    """Tokens and the text they write."""

    ids: list[int]
    text: str
    """Bytes that are no UTF-8, which a model can write, stand as U+FFFD, one for each byte."""
    offsets: list[tuple[int, int]]
    """First character of each token and the one after its last; tokens that share a character both have it."""
    whole: list[tuple[int, int]]
    """First character that begins at or after the start of each token; end of the characters that it completes."""

    def characters(self, start: int, end: int) -> tuple[int, int]:
        """Characters that lie wholly in the tokens from `start` to before `end`; neighbouring spans share none."""
        return self.whole[start][0], max(self.whole[start][0], self.whole[end - 1][1])


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive tokens of a text that occur together in training; `end` is the token after the last."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Tokens."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Spans:
    """What of a text occurs in training."""

    found: list[Span]
    """Spans that do not overlap, in the order of the text."""
    longest: NDArray[np.int64]
    """For each token the length of the longest match that covers it, shape (tokens,)."""


def bytes_of(tokenizer: Tokenizer, ids: Sequence[int]) -> list[bytes]:
    """The bytes that each token writes; the end-of-text token writes its name."""
    added = {number: token.content for number, token in tokenizer.get_added_tokens_decoder().items()}
    return [added[i].encode() if i in added else bytes(BYTE_OF[c] for c in str(tokenizer.id_to_token(i))) for i in ids]


def text_of(tokenizer: Tokenizer, ids: Sequence[int]) -> TokenText:
    """The text of some tokens of a byte-level tokenizer, and which characters are whose."""
    parts = bytes_of(tokenizer, ids)
    text = b"".join(parts).decode("utf-8", errors="surrogateescape")  # a lone surrogate for each undecodable byte
    begins, position = [], 0  # byte at which each character begins
    for character in text:
        begins.append(position)
        position += 1 if "\ud800" <= character <= "\udfff" else len(character.encode())
    ends = np.cumsum([len(p) for p in parts], dtype=np.int64)
    starts = ends - [len(p) for p in parts]
    begins.append(position)
    first_at_or_after = np.searchsorted(begins, starts, side="left")
    first_touched = np.searchsorted(begins, starts, side="right") - 1
    completed = np.searchsorted(begins, ends, side="right") - 1
    last_touched = np.searchsorted(begins, ends, side="left")
    return TokenText(
        ids=[int(i) for i in ids],
        text="".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text),
        offsets=list(zip(first_touched.tolist(), last_touched.tolist(), strict=True)),
        whole=list(zip(first_at_or_after.tolist(), completed.tolist(), strict=True)),
    )


def find_spans(index: TokenIndex, ids: Sequence[int], minimum: int, end_of_text: int | None) -> Spans:
    """Longest spans of `ids` that occur in the training tokens, none shorter than `minimum` tokens.

    No span holds the end-of-text token: what goes on behind it is another document.
    """
    lengths = index.match_lengths(ids)
    stops = np.array([*(n for n, i in enumerate(ids) if i == end_of_text), len(ids)])
    starts = np.arange(len(ids))
    lengths = np.minimum(lengths, stops[np.searchsorted(stops, starts)] - starts)
    longest = np.zeros(len(ids), dtype=np.int64)
    for start, length in enumerate(lengths.tolist()):
        if start == 0 or start + length > start - 1 + lengths[start - 1]:  # otherwise inside the match before it
            longest[start : start + length] = np.maximum(longest[start : start + length], length)
    return Spans(sorted(_longest_first(lengths, minimum), key=lambda s: s.start), longest)


def _longest_first(lengths: NDArray[np.int64], minimum: int) -> Iterator[Span]:
    """Take the longest match in a gap (the first of equal ones), then go on in the gaps on both sides of it."""
    gaps = [(0, len(lengths))]
    while gaps:
        start, end = gaps.pop()
        if end - start < minimum:
            continue
        inside = np.minimum(lengths[start:end], np.arange(end - start, 0, -1))
        best = int(inside.argmax())
        length = int(inside[best])
        if length >= minimum:
            yield Span(start + best, start + best + length)
            gaps += [(start, start + best), (start + best + length, end)]


def match_of(index: TokenIndex, ids: Sequence[int], span: Span) -> Match:
    """All training occurrences of a span of `ids`."""
    match = index.longest_match(ids[span.start : span.end])
    assert match.length == span.length, f"a span of {span.length} tokens matches only {match.length}"
    return match
