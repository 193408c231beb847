"""Which documents a step reads, and where: computed from the order, so that nothing has to be written down."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore


@dataclass(frozen=True, slots=True)
class Content:
    """What one document is in one row of a batch."""

    row: int
    """In the batch of the whole step, counted from 0."""
    sequence: int
    epoch: int
    """Counted from 0."""
    first: int
    """Position of its first token here, in the training tokens."""
    last: int
    """Position of its last one; included."""
    document: int
    """Its number in the store."""


def contents_of(store: TokenStore, order: Order, step: int) -> Iterator[Content]:
    """Every document of every row that a step reads, in the rows' order; at row ends, the last target included."""
    numbers, epochs = order.batch_of(step).astype(int).tolist(), order.epochs_of(step).astype(int).tolist()
    for row, (number, epoch) in enumerate(zip(numbers, epochs, strict=True)):
        begin, end = number * order.length, (number + 1) * order.length
        documents = range(store.document_at(begin), store.document_at(end) + 1)
        bounds = store.offsets[documents.start : documents.stop + 1].astype(np.int64).tolist()
        for place, document in enumerate(documents):
            first, last = max(bounds[place], begin), min(bounds[place + 1] - 1, end)
            if first <= last:
                yield Content(row, number, epoch, first, last, document)
