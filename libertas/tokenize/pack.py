"""Batches of tokens in training order, read ahead by any number of workers without changing the order."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore

Batch = NDArray[np.int64]


def read_batch(store: TokenStore, order: Order, step: int, rank: int = 0, ranks: int = 1) -> Batch:
    """The tokens of one step for one rank, shape (batch / ranks, T + 1): inputs are [:, :-1], targets [:, 1:]."""
    numbers = order.batch_of(step)[rank::ranks].astype(np.int64)
    positions = numbers[:, None] * order.length + np.arange(order.length + 1)
    return np.asarray(store.tokens[positions], dtype=np.int64)


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
