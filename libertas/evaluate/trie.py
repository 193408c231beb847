"""How to read many texts that begin alike with as few tokens as possible: each distinct beginning once.

Sorted, texts that share a beginning are neighbours, and all texts form a tree (a trie). A beginning that is too long to
be repeated is read once, as a trunk; below it, whole subtrees are packed into rows of about `ROW_TOKENS`, in which
every token is read once and sees its own text only. It is the same arithmetic in another order: no score changes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

Text = tuple[int, ...]

ROW_TOKENS = 256
"""About how many tokens share a row: longer rows waste attention on branches that do not see each other."""
TRUNK_TOKENS = 16
"""Shortest beginning that is worth a pass of its own."""


@dataclass(frozen=True, slots=True)
class Row:
    """Subtrees below one trunk, written one after another: texts `first` to `last` - 1."""

    first: int
    last: int
    tokens: int
    """How many it has, each distinct one once."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Tokens that several texts begin with, and how what follows them is divided."""

    start: int
    """Tokens of the beginning it lengthens."""
    stop: int
    """Tokens it has, those included."""
    example: int
    """Number of a text that begins with it."""
    rows: list[Row] = field(default_factory=list)
    longer: "list[Beginning]" = field(default_factory=list)


def shared_tokens(texts: Sequence[Text]) -> NDArray[np.int64]:
    """How many tokens each text begins with as the one before it does; 0 for the first."""
    shared = np.zeros(len(texts), dtype=np.int64)
    for number in range(1, len(texts)):
        one, two = texts[number - 1], texts[number]
        low, high = 0, min(len(one), len(two)) + 1  # they agree on `low` tokens, and not on `high`
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if one[low:middle] == two[low:middle] else (low, middle)
        shared[number] = low
    return shared


def divided(texts: Sequence[Text], limits: Sequence[int], row_tokens: int = ROW_TOKENS) -> Beginning:
    """Divide sorted, distinct texts among beginnings and rows; every text is in one row, whole from its beginning on.

    Args:
        texts: in sorted order.
        limits: how many tokens of each text may lie in a beginning; the rest stands in a row.
        row_tokens: about how many tokens a row has; it has more where a single text has.
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    shared, most = shared_tokens(texts), np.asarray(limits, dtype=np.int64)
    new = np.concatenate([[0], np.cumsum(lengths - shared)])

    def distinct(first: int, last: int, depth: int) -> int:
        return int(lengths[first] - depth + new[last] - new[first + 1])

    root = Beginning(0, 0, 0)
    waiting = [(root, 0, len(texts), 0)] if texts else []  # a list, not recursion: texts may be long and branch often
    while waiting:
        beginning, first, last, fork = waiting.pop()
        depth = beginning.stop
        for low, high in _packed(shared, first, last, fork, row_tokens, partial(distinct, depth=depth)):
            tokens = distinct(low, high, depth)
            if tokens <= row_tokens or high - low == 1:
                beginning.rows.append(Row(low, high, tokens))
                continue
            common = int(min(shared[low + 1 : high].min(), most[low:high].min()))
            if common - depth >= TRUNK_TOKENS:
                longer = Beginning(depth, common, low)
                beginning.longer.append(longer)
                waiting.append((longer, low, high, common))
            else:  # they part soon: the few tokens before that are read in several rows
                waiting.append((beginning, low, high, int(shared[low + 1 : high].min())))
    return root


def _packed(
    shared: NDArray[np.int64], first: int, last: int, fork: int, row_tokens: int, tokens: Callable[..., int]
) -> Iterator[tuple[int, int]]:
    """Texts that go on alike after `fork` tokens, as ranges; small neighbours are put together."""
    edges = [*(first + 1 + np.flatnonzero(shared[first + 1 : last] <= fork)).tolist(), last]
    low = first
    for edge, following in zip(edges, [*edges[1:], None], strict=True):
        if following is None or tokens(low, following) > row_tokens:
            yield low, edge
            low = edge


@dataclass(frozen=True, slots=True)
class Laid:
    """A row of branches as arrays; T tokens."""

    tokens: NDArray[np.int64]
    depths: NDArray[np.int64]
    """Position of each token in its text."""
    seen: NDArray[np.bool_]
    """Which tokens each one sees, itself included; shape (T, T)."""
    paths: list[NDArray[np.int64]]
    """Of each text, the places of its tokens in the row, from the beginning's end on."""


def laid_out(texts: Sequence[Text], row: Row, depth: int) -> Laid:
    """Write the texts of a row, from `depth` on, so that each distinct token stands once."""
    tokens = np.empty(row.tokens, dtype=np.int64)
    depths = np.empty(row.tokens, dtype=np.int64)
    seen = np.zeros((row.tokens, row.tokens), dtype=bool)
    paths: list[NDArray[np.int64]] = []
    shared = shared_tokens(texts[row.first : row.last])
    stop = 0
    for number, text in enumerate(texts[row.first : row.last]):
        known = paths[-1][: max(int(shared[number]) - depth, 0)] if paths else np.empty(0, dtype=np.int64)
        at = depth + len(known)
        start, stop = stop, stop + len(text) - at
        tokens[start:stop], depths[start:stop] = text[at:], range(at, len(text))
        seen[start:stop, known] = True
        seen[start:stop, start:stop] = np.tri(stop - start, dtype=bool)
        paths.append(np.concatenate([known, np.arange(start, stop)]))
    assert stop == row.tokens, f"a row of {row.tokens} tokens was laid out with {stop}"
    return Laid(tokens, depths, seen, paths)
