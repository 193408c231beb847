"""Cuts: characters of a text that stages wanted replaced, united over all of them, and applied.

A united cut is `[start, end, rule]`, or `[start, end, rule, replacement]` where something stands in its place, counted
in characters of the text as it was gathered. In that form a document carries its cuts in `meta.cuts`, so that any place
of the text that was written can be led back.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """Characters [start, end) of a text, and what should stand there instead."""

    start: int
    end: int
    rule: str
    replacement: str = ""

    def to_json(self) -> list[int | str]:
        """As it stands in `meta.cuts`."""
        return [self.start, self.end, self.rule, *([self.replacement] if self.replacement else [])]


def united(cuts: Iterable[Cut]) -> list[Cut]:
    """Cuts that do not overlap, in order, which cut every character that one of these does.

    Where some overlap they become one; its rule names all of theirs, and their replacement survives if it is the only
    one there. Cuts that touch stay two.
    """
    return [_one(group) for group in _overlapping(sorted(cuts, key=lambda c: (c.start, c.end)))]


def _overlapping(cuts: Sequence[Cut]) -> Iterator[list[Cut]]:
    group: list[Cut] = []
    end = 0
    for cut in cuts:
        if group and cut.start >= end:
            yield group
            group = []
        end = max(end, cut.end) if group else cut.end
        group.append(cut)
    if group:
        yield group


def _one(group: Sequence[Cut]) -> Cut:
    rules, replacements = {c.rule for c in group}, {c.replacement for c in group}
    return Cut(
        start=group[0].start,
        end=max(c.end for c in group),
        rule="+".join(sorted(rules)),
        replacement=replacements.pop() if len(replacements) == 1 else "",
    )


def without(text: str, cuts: Sequence[Cut]) -> str:
    """A text after united cuts are applied."""
    parts, position = [], 0
    for cut in cuts:
        parts += [text[position : cut.start], cut.replacement]
        position = cut.end
    return "".join([*parts, text[position:]])
