"""The order of training as a function: which tokens step s reads, and which steps read token t, both in O(1).

Tokens are cut into sequences of T; epoch e reads all of them in the order of a keyed permutation of their numbers. The
permutation needs no table and is invertible, so that "when was this token read?" is computed instead of logged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from libertas.permutation import Numbers, permuted, unpermuted

BLOCK = 1024
"""Most samples whose sequences are computed together, where a batch is not larger; the order does not depend on it."""


def permute(numbers: Numbers, size: int, seed: int, epoch: int) -> Numbers:
    """Image of each number below `size` under the keyed permutation of 0…size-1."""
    return permuted(numbers, size, f"libertas order {seed} {epoch}")


def unpermute(numbers: Numbers, size: int, seed: int, epoch: int) -> Numbers:
    """The inverse of `permute`."""
    return unpermuted(numbers, size, f"libertas order {seed} {epoch}")


@dataclass(frozen=True, slots=True)
class Visit:
    """One time that a sequence is read."""

    step: int
    """Counted from 1."""
    row: int
    """Place in the step's batch, over all ranks, counted from 0."""
    epoch: int
    """Counted from 0."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which tokens each training step reads; a pure function of these numbers."""

    tokens: int
    """Tokens in the store."""
    length: int
    """Tokens per sequence, T; a sequence also reads the token after it, as the target of its last one."""
    batch: int
    """Sequences per step, over all ranks together."""
    seed: int

    @property
    def sequences(self) -> int:
        """Sequences in one epoch; up to T tokens at the end of the store belong to none."""
        return (self.tokens - 1) // self.length

    def sequence(self, sample: int) -> int:
        """Number of the sequence that is read as the `sample`-th of the whole training, over all epochs."""
        return int(self.sequences_of(np.array([sample], dtype=np.uint64))[0])

    def batch_of(self, step: int) -> Numbers:
        """Numbers of the sequences that step `step` (counted from 1) reads, shape (batch,)."""
        size = max(self.batch, min(BLOCK, self.sequences))
        block, start = divmod((step - 1) * self.batch, size)
        both = [_block(self, number, size) for number in range(block, block + 1 + (start + self.batch > size))]
        return np.concatenate(both)[start : start + self.batch]

    def epochs_of(self, step: int) -> Numbers:
        """Epoch, counted from 0, in which each sequence of a step is read, shape (batch,); it rarely holds two."""
        return self._samples(step) // np.uint64(self.sequences)

    def _samples(self, step: int) -> Numbers:
        first = (step - 1) * self.batch
        return np.arange(first, first + self.batch, dtype=np.uint64)

    def sequences_of(self, samples: Numbers) -> Numbers:
        """Numbers of the sequences that are read as some samples of the whole training, over all epochs."""
        out = np.empty_like(samples)
        epochs = samples // np.uint64(self.sequences)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            numbers = samples[chosen] % np.uint64(self.sequences)
            out[chosen] = permute(numbers, self.sequences, self.seed, int(epoch))
        return out

    def sequence_with(self, position: int) -> int | None:
        """Number of the sequence in which the token at `position` is a target.

        The first token of the store is never one, and neither are the up to T tokens after the last sequence.
        """
        number = (position - 1) // self.length
        return number if position and number < self.sequences else None

    def readings(self, number: int, steps: int) -> Iterator[Visit]:
        """Every time that the first `steps` steps read a sequence, in increasing order; one for each epoch."""
        wanted, epoch = np.array([number], dtype=np.uint64), 0
        while epoch * self.sequences < steps * self.batch:
            sample = epoch * self.sequences + int(unpermute(wanted, self.sequences, self.seed, epoch)[0])
            if sample < steps * self.batch:
                yield Visit(sample // self.batch + 1, sample % self.batch, epoch)
            epoch += 1

    def times_read(self, numbers: Numbers, steps: int) -> NDArray[np.int64]:
        """How often the first `steps` steps read each of some sequences."""
        epochs, begun = divmod(steps * self.batch, self.sequences)
        again = unpermute(numbers, self.sequences, self.seed, epochs) < np.uint64(begun)
        return epochs + again.astype(np.int64)

    def steps_reading(self, position: int, steps: int) -> list[int]:
        """Steps, of the first `steps`, at which the model was trained to predict the token at `position`."""
        number = self.sequence_with(position)
        return [] if number is None else [reading.step for reading in self.readings(number, steps)]


@lru_cache(maxsize=8)
def _block(order: Order, number: int, size: int) -> Numbers:
    """Sequences of `size` samples in a row: numpy takes hardly longer for a thousand than for eight."""
    return order.sequences_of(np.arange(number * size, (number + 1) * size, dtype=np.uint64))
