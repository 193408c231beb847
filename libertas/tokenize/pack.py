"""Batches of tokens in training order, read ahead by any number of workers without changing the order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

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


def read_batch(store: TokenStore, order: Order, step: int, rank: int = 0, ranks: int = 1) -> Batch:
    """The sequences of one step that a rank reads: batch / ranks of them."""
    numbers = order.batch_of(step)[rank::ranks].astype(np.int64)
    positions = numbers[:, None] * order.length + np.arange(order.length + 1)
    return Batch(np.asarray(store.tokens[positions], dtype=np.int64))


def batches(
    store: TokenStore, order: Order, first: int, last: int, workers: int = 0, rank: int = 0, ranks: int = 1
) -> Iterator[tuple[int, Batch]]:
    """Steps `first` to `last`, both included, with their tokens; `workers` threads read ahead, 0 reads on demand."""
    if workers == 0:
        for step in range(first, last + 1):
            yield step, read_batch(store, order, step, rank, ranks)
        return
    waiting: deque[tuple[int, Future[Batch]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="reader") as pool:
        for step in range(first, last + 1):
            waiting.append((step, pool.submit(read_batch, store, order, step, rank, ranks)))
            if len(waiting) > 2 * workers:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()
