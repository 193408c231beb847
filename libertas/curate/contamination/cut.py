"""Which characters of a document go when what it shares with evaluation sets is cut out."""

from collections.abc import Sequence

import numpy as np

from libertas.curate.contamination.words import Words

MOST_PIECES = 10
"""A document that would fall into more pieces goes as a whole (Brown et al. 2020, appendix C)."""
MOST_LOST = 0.75
"""A document of which a larger share would be cut goes as a whole: what is left lacks its middle."""
BREAK = "\n\n"
"""Stands where something was cut between two pieces: they are two paragraphs."""


def cuts_of(length: int, words: Words, spans: Sequence[tuple[int, int]], margin: int) -> list[tuple[int, int]]:
    """What to cut from one text, in order, without overlaps.

    Each span takes `margin` characters on either side with it, out to the next border between words; so does a piece
    that would be shorter than the margin (GPT-3 threw such pieces away).

    Args:
        length: of the text, in characters.
        words: of this text alone.
        spans: first and last character, plus one.
        margin: in characters.
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(_widened(length, words, span, margin) for span in spans):
        if merged and start - merged[-1][1] <= margin:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    if merged and merged[0][0] < margin:
        merged[0] = (0, merged[0][1])
    if merged and length - merged[-1][1] < margin:
        merged[-1] = (merged[-1][0], length)
    return merged


def _widened(length: int, words: Words, span: tuple[int, int], margin: int) -> tuple[int, int]:
    start, end = max(span[0] - margin, 0), min(span[1] + margin, length)
    before = int(np.searchsorted(words.starts, start, side="right")) - 1
    if before >= 0 and words.ends[before] > start:
        start = int(words.starts[before])
    behind = int(np.searchsorted(words.ends, end))
    if behind < len(words.ends) and words.starts[behind] < end:
        end = int(words.ends[behind])
    return start, end


def too_much(length: int, cuts: Sequence[tuple[int, int]]) -> str | None:
    """Why a document goes as a whole rather than lose all this, or None."""
    pieces = len(cuts) + 1 - (cuts[0][0] == 0) - (cuts[-1][1] == length)
    if pieces > MOST_PIECES:
        return f"would fall into more than {MOST_PIECES} pieces"
    if sum(end - start for start, end in cuts) > MOST_LOST * length:
        return f"would lose more than {MOST_LOST:.0%} of its text"
    return None
