"""What a reader should know of single items: those refused, cut, or with a token across the join; a few of each."""

from collections.abc import Iterable, Sequence

from libertas.evaluate.answer import Choice

SHOWN = 3
"""Lines of each kind; the rest are counted, and stand in the result."""


def notices(task: str, choices: Sequence[Choice], refused: Sequence[str]) -> list[str]:
    """Lines about the items of a task."""
    cut = _by_item((choice for choice in choices if choice.truncated), "is longer than the context, cut at the left")
    spanned = _by_item((choice for choice in choices if choice.spanned), "has a token across prompt and choice")
    return [
        *_few(task, refused, "items are refused; all stand in the result"),
        *_few(task, cut, "items are longer than the context; their records are marked `truncated`"),
        *_few(task, spanned, "items have such a token; their records are marked `token_spans_join`"),
    ]


def _by_item(choices: Iterable[Choice], said: str) -> list[str]:
    readings: dict[str, list[str]] = {}
    for choice in choices:
        readings.setdefault(choice.item.id, []).append(choice.reading)
    return [f"item {name} {said} ({', '.join(own)})" for name, own in readings.items()]


def _few(task: str, lines: Sequence[str], rest: str) -> list[str]:
    more = [f"{task}: {len(lines):,} {rest}"] if len(lines) > SHOWN else []
    return [*(f"{task}: {line}" for line in lines[:SHOWN]), *more]
