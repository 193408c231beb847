"""Batches of tokens in training order, read ahead by any number of workers without changing the order.

A row of a batch is T + 1 tokens as they lie in the store; several documents may meet in it. Which document each token
belongs to is computed from where documents begin, for all rows at once. An objective may rearrange the tokens of each
piece (of one document, in one row) inside the piece's place, so that a place always belongs to the same document.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step reads. B sequences, T tokens in each."""

    tokens: NDArray[np.int64]
    """Shape (B, T + 1): inputs are [:, :-1], targets [:, 1:]."""
    weights: NDArray[np.float32] | None = None
    """How much each target counts in the loss, shape (B, T); None: 1 each."""
    documents: NDArray[np.int64] | None = None
    """Number of each token's document in its store, shape (B, T + 1); None: not asked for."""
    components: NDArray[np.uint8] | None = None
    """Number of the component of each target's document, shape (B, T); None: not asked for."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The tokens of one document in one row."""

    tokens: NDArray[np.int64]
    document: int
    """Its number in the store."""
    position: int
    """Of the first token, in the store."""
    epoch: int
    """In which it is read, counted from 0."""


Rearrange = Callable[[Excerpt], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""An objective: as many tokens as the excerpt has, and how much each counts as a target; a pure function."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What batches hold beside tokens."""

    masks: bool = False
    """Documents; and the first token of a document counts nothing as a target, for it could only be predicted from
    another document."""
    components: bool = False
    rearrange: Rearrange | None = None


TOKENS_ONLY = Asked()


def read_batch(
    store: TokenStore, order: Order, step: int, rank: int = 0, ranks: int = 1, asked: Asked = TOKENS_ONLY
) -> Batch:
    """The sequences of one step that a rank reads: batch / ranks of them."""
    numbers = order.batch_of(step)[rank::ranks].astype(np.int64)
    starts = numbers * order.length
    tokens = np.asarray(store.tokens[starts[:, None] + np.arange(order.length + 1)], dtype=np.int64)
    if asked == TOKENS_ONLY:
        return Batch(tokens)
    documents = documents_of(store, starts, order.length + 1)
    weights = np.ones(tokens.shape, np.float32) if asked.masks or asked.rearrange else None
    if weights is not None and asked.rearrange:
        _rearrange(tokens, weights, documents, starts, order.epochs_of(step)[rank::ranks], asked.rearrange)
    if weights is not None and asked.masks:
        weights[:, 1:] *= documents[:, 1:] == documents[:, :-1]
    return Batch(
        tokens=tokens,
        weights=None if weights is None else np.ascontiguousarray(weights[:, 1:]),
        documents=documents if asked.masks else None,
        components=store.components[documents[:, 1:]] if asked.components else None,
    )


def documents_of(store: TokenStore, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Number of the document of each token of some rows of `length` tokens, shape (rows, length).

    Two binary searches for each row; everything between is counted out, however many documents meet in a row.
    """
    first = np.searchsorted(store.offsets, starts.astype(np.uint64), side="right") - 1
    last = np.searchsorted(store.offsets, (starts + length - 1).astype(np.uint64), side="right") - 1
    counts = last - first + 1
    rows = np.repeat(np.arange(len(starts)), counts)
    numbers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    begin = np.maximum(store.offsets[numbers].astype(np.int64), starts[rows])
    end = np.minimum(store.offsets[numbers + 1].astype(np.int64), starts[rows] + length)
    return np.repeat(numbers, end - begin).reshape(len(starts), length)


def _rearrange(
    tokens: NDArray[np.int64],
    weights: NDArray[np.float32],
    documents: NDArray[np.int64],
    starts: NDArray[np.int64],
    epochs: NDArray[np.uint64],
    rearrange: Rearrange,
) -> None:
    """Let an objective rearrange every excerpt, in place."""
    for row in range(len(tokens)):
        bounds = [0, *(np.flatnonzero(np.diff(documents[row])) + 1).tolist(), tokens.shape[1]]
        for begin, end in pairwise(bounds):
            excerpt = Excerpt(
                tokens[row, begin:end], int(documents[row, begin]), int(starts[row]) + begin, int(epochs[row])
            )
            tokens[row, begin:end], weights[row, begin:end] = rearrange(excerpt)


def batches(
    store: TokenStore,
    order: Order,
    first: int,
    last: int,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
    asked: Asked = TOKENS_ONLY,
) -> Iterator[tuple[int, Batch]]:
    """Steps `first` to `last`, both included, with their batches; `workers` threads read ahead, 0 reads on demand."""
    if workers == 0:
        for step in range(first, last + 1):
            yield step, read_batch(store, order, step, rank, ranks, asked)
        return
    waiting: deque[tuple[int, Future[Batch]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="reader") as pool:
        for step in range(first, last + 1):
            waiting.append((step, pool.submit(read_batch, store, order, step, rank, ranks, asked)))
            if len(waiting) > 2 * workers:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()
