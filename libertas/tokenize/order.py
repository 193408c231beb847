"""The order of training as a function: which tokens step s reads, and which steps read token t, both in O(1).

Tokens are cut into sequences of T; epoch e reads all of them in the order of a keyed permutation of their numbers. The
permutation needs no table and is invertible, so that "when was this token read?" is computed instead of logged.
"""

from dataclasses import dataclass

import numpy as np

from libertas.permutation import Numbers, permuted, unpermuted


def permute(numbers: Numbers, size: int, seed: int, epoch: int) -> Numbers:
    """Image of each number below `size` under the keyed permutation of 0…size-1."""
    return permuted(numbers, size, f"libertas order {seed} {epoch}")


def unpermute(numbers: Numbers, size: int, seed: int, epoch: int) -> Numbers:
    """The inverse of `permute`."""
    return unpermuted(numbers, size, f"libertas order {seed} {epoch}")


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
        return int(self._sequences(np.array([sample], dtype=np.uint64))[0])

    def batch_of(self, step: int) -> Numbers:
        """Numbers of the sequences that step `step` (counted from 1) reads, shape (batch,)."""
        first = (step - 1) * self.batch
        return self._sequences(np.arange(first, first + self.batch, dtype=np.uint64))

    def _sequences(self, samples: Numbers) -> Numbers:
        out = np.empty_like(samples)
        epochs = samples // np.uint64(self.sequences)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            numbers = samples[chosen] % np.uint64(self.sequences)
            out[chosen] = permute(numbers, self.sequences, self.seed, int(epoch))
        return out

    def steps_reading(self, position: int, steps: int) -> list[int]:
        """Steps, of the first `steps`, at which the model was trained to predict the token at `position`.

        The first token of the store is never predicted, and neither are the up to T tokens after the last sequence.
        """
        number = (position - 1) // self.length
        if position == 0 or number >= self.sequences:
            return []
        found, epoch = [], 0
        wanted = np.array([number], dtype=np.uint64)
        while epoch * self.sequences < steps * self.batch:
            sample = epoch * self.sequences + int(unpermute(wanted, self.sequences, self.seed, epoch)[0])
            step = sample // self.batch + 1
            if step <= steps:
                found.append(step)
            epoch += 1
        return found
