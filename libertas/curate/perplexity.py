"""How surprising a text is to a model of other texts: an n-gram model of bytes and words with hashed counts.

Every byte is predicted from contexts of increasing length: none, the last 1 to 4 bytes, then the current word so far,
the same with the word before, and with two words before. Each prediction leans on the one before it (a hierarchy of
Dirichlet priors, MacKay and Peto 1995): with G occurrences of the byte among N of the context,

    p_k = (G + a_k p_{k-1}) / (N + a_k),      p_0 = 1/256,

where a_k depends on about how large N is, and is chosen on documents that were held out. As bytes are what is
predicted, no word is unknown, any script will do, and bits per byte compare with a compressor's. Where words are not
separated, the contexts of words say little.

Counts lie in one table of 2^bits slots of two bytes, an eighth of a hash to know the owner by and a count on a
logarithmic scale. Of two n-grams that want a slot, the one that is more frequent gets it, about. Collisions make the
sum of all probabilities only nearly 1.

Shapes: `n` bytes, `k` contexts, `t` tiers of how often a context was seen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float32]

BYTE_ORDERS = 4
"""Longest context of bytes."""
WORD_ORDERS = 3
"""Contexts of words: the current one, and one or two before it."""
CONTEXTS = 1 + BYTE_ORDERS + WORD_ORDERS
BATCH_BYTES, SCORED_AT_ONCE = 1 << 19, 1 << 14
"""Text that is counted, and scored, at a time: the more, the more of a frequent n-gram is seen at once; the less, the
more stays in the processor's cache."""
SCALE = 8
"""Levels of a stored count for each doubling."""
CONCENTRATIONS = tuple(0.03 * 2**n for n in range(17))
"""What a_k is chosen from: up to 2,000."""
TIERS, TIER_LEVELS = 10, 12
"""A context's tier is the level of its count over this, so one for each factor of 2.8."""
LONGEST_WORD_BYTES = 48
"""Later bytes of a word do not change its context."""
MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd (Knuth, The Art of Computer Programming 3, 6.4)."""
SPREAD = np.uint64(0xBF58476D1CE4E5B9)
"""A multiplier of the generator SplitMix64 (Steele, Lea and Flood 2014)."""
EMPTY_BITS = 8.0
"""Bits per byte of no text: those of a guess."""


@dataclass(frozen=True)
class PerplexityModel:
    """Counts and concentrations; made by `train_perplexity`."""

    table: NDArray[np.uint16]
    """Slots: check in the upper byte, level of the count in the lower; shape (2^bits,)."""
    concentrations: Floats
    """a_k; shape (k, t)."""

    def bits(self, data: bytes) -> Floats:
        """Surprise of each byte, in bits; shape (n,)."""
        p = np.full(len(data), 1 / 256, np.float32)
        for found_n, total_n, tier_n, by_tier in zip(*self.evidence(data), self.concentrations, strict=True):
            a = by_tier[tier_n]
            p = (found_n + a * p) / (total_n + a)
        bits: Floats = -np.log2(p)
        return bits

    def evidence(self, data: bytes) -> tuple[Floats, Floats, NDArray[np.uint8]]:
        """How often each byte followed its contexts, how often those were seen, and their tiers; each (k, n)."""
        return _evidence(*self.levels(data))

    def levels(self, data: bytes) -> NDArray[np.uint8]:
        """Stored counts of contexts with each byte, and of the contexts alone; shape (2, k, n)."""
        keys = context_keys(data)
        slots = self.table[slot_of(keys, len(self.table))]
        levels = (slots & np.uint16(255)) * (slots >> np.uint16(8) == check_of(keys))
        small: NDArray[np.uint8] = levels.astype(np.uint8)
        return small

    def bits_per_byte(self, text: str) -> float:
        """Mean surprise of a text's UTF-8 bytes."""
        data = text.encode("utf-8", "replace")
        return self.total_bits(data) / len(data) if data else EMPTY_BITS

    def perplexity(self, text: str) -> float:
        """Two to the bits per word, words being what white space separates."""
        return float(2 ** min(1000.0, self.total_bits(text.encode("utf-8", "replace")) / max(1, len(text.split()))))

    def total_bits(self, data: bytes) -> float:
        """Surprise of all bytes; those of a batch know nothing of the batch before."""
        batches = (data[at : at + SCORED_AT_ONCE] for at in range(0, len(data), SCORED_AT_ONCE))
        return sum(float(self.bits(batch).sum(dtype=np.float64)) for batch in batches)


_COUNTS = (np.exp2(np.arange(256) / SCALE) - 1).astype(np.float32)
_TIER_OF = np.minimum(np.arange(256) // TIER_LEVELS, TIERS - 1).astype(np.uint8)


def _evidence(grams: NDArray[np.uint8], contexts: NDArray[np.uint8]) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    return _COUNTS[grams], _COUNTS[np.maximum(grams, contexts)], _TIER_OF[contexts]


def context_keys(data: bytes) -> Keys:
    """For each of the k contexts, the keys of context and byte, and those of the context alone; shape (2, k, n)."""
    codes = np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)
    states = [np.zeros(len(codes), np.uint64)]
    for _ in range(BYTE_ORDERS):
        states.append(_shifted((states[-1] + codes) * MIX))
    states += [_shifted(state) for state in _word_states(codes)]
    contexts = np.stack(states) * SPREAD + np.arange(CONTEXTS, dtype=np.uint64)[:, None]
    return np.stack([(contexts + codes * MIX) * SPREAD, contexts * MIX])


def _shifted(states: Keys) -> Keys:
    """What is known before each byte, from what is known after it."""
    before = np.zeros_like(states)
    before[1:] = states[:-1]
    return before


def _word_states(codes: Keys) -> list[Keys]:
    """Hashes of the last word as far as it goes and the byte after it, alone and with one or two words before it."""
    inside = _IN_WORD[(codes - np.uint64(1)).astype(np.intp)]
    starts = inside.copy()
    starts[1:] &= ~inside[:-1]
    number = np.cumsum(starts)  # of the word that a byte is in or after; 0 before the first
    place = np.arange(len(codes))
    first = np.maximum.accumulate(np.where(starts, place, 0))
    weighed = codes * _PLACES[np.minimum(place - first, LONGEST_WORD_BYTES)] * inside
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(weighed, dtype=np.uint64)])
    last = (sums[1:] - sums[first]) * SPREAD + codes * ~inside
    ends = sums[np.append(np.flatnonzero(starts), len(codes))]
    words = np.concatenate([np.zeros(2, np.uint64), ends[1:] - ends[:-1]])  # number 1 is the third
    one, two = words[number], words[np.maximum(number - 1, 0)]
    return [last * MIX, (last + one * SPREAD) * MIX, (last + one * SPREAD + two * MIX) * MIX]


_IN_WORD = np.array([b >= 128 or chr(b).isalnum() for b in range(256)])
_PLACES = np.cumprod(np.full(LONGEST_WORD_BYTES + 1, MIX, np.uint64), dtype=np.uint64)
_PLACES[LONGEST_WORD_BYTES] = 0


def slot_of(keys: Keys, slots: int) -> NDArray[np.intp]:
    """Which slot each key wants: its upper bits."""
    return (keys >> np.uint64(65 - slots.bit_length())).astype(np.intp)


def check_of(keys: Keys) -> NDArray[np.uint16]:
    """Eight bits of each key that no slot depends on."""
    return ((keys >> np.uint64(30)) & np.uint64(255)).astype(np.uint16)


def train_perplexity(texts: Iterable[str], held_out: Iterable[str], table_bits: int) -> PerplexityModel:
    """Count the n-grams of some texts, and choose concentrations that surprise least by others.

    Args:
        texts: read once, in order.
        held_out: few megabytes.
        table_bits: the table has two to this power slots, at most 2^24.
    """
    owners, counts = np.zeros(1 << table_bits, np.uint16), np.zeros(1 << table_bits, np.uint32)
    for batch in _batches(texts):
        _count(batch, owners, counts)
    levels = np.minimum(255, np.rint(SCALE * np.log2(1 + counts.astype(np.float64)))).astype(np.uint16)
    table = (owners << np.uint16(8) | levels).astype(np.uint16)
    return PerplexityModel(table, _choose(table, _batches(held_out)))


def _batches(texts: Iterable[str]) -> Iterator[bytes]:
    """Texts with an empty line between them, in pieces of about `BATCH_BYTES`."""
    waiting, size = [], 0
    for text in texts:
        waiting.append(text.encode("utf-8", "replace") + b"\n\n")
        size += len(waiting[-1])
        if size >= BATCH_BYTES:
            joined = b"".join(waiting)
            yield from (joined[at : at + BATCH_BYTES] for at in range(0, len(joined), BATCH_BYTES))
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _count(data: bytes, owners: NDArray[np.uint16], counts: NDArray[np.uint32]) -> None:
    """Add a batch: a key that owns its slot is counted, another takes the slot if it is as frequent in this batch."""
    keys = context_keys(data).ravel()
    wanted = (slot_of(keys, len(counts)) << 8 | check_of(keys)).astype(np.uint32)
    wanted.sort()
    starts = np.flatnonzero(np.diff(wanted, prepend=wanted[0] ^ 1))
    unique, times = wanted[starts], np.diff(starts, append=len(wanted)).astype(np.uint32)
    slots, checks = unique >> np.uint32(8), (unique & np.uint32(255)).astype(np.uint16)
    own = (owners[slots] == checks) & (counts[slots] > 0)
    counts[slots[own]] += times[own]
    slots, checks, times = slots[~own], checks[~own], times[~own]
    order = np.lexsort((checks, -times.astype(np.int64), slots))
    strongest = order[np.flatnonzero(np.diff(slots[order].astype(np.int64), prepend=-1))]
    strongest = strongest[times[strongest] >= counts[slots[strongest]]]
    owners[slots[strongest]], counts[slots[strongest]] = checks[strongest], times[strongest]


def _choose(table: NDArray[np.uint16], held_out: Iterable[bytes]) -> Floats:
    """For one context after the other, the concentration with which the held-out bytes surprise least.

    Of each byte only the 2 k levels and one probability are kept; all else is of one batch at a time.
    """
    chosen = np.ones((CONTEXTS, TIERS), np.float32)
    counter = PerplexityModel(table, chosen)
    batches = [counter.levels(batch) for batch in held_out]
    p_before = [np.full(batch.shape[-1], 1 / 256, np.float32) for batch in batches]
    tries = np.array(CONCENTRATIONS, np.float32)
    for k in range(CONTEXTS):
        surprise = np.zeros((len(tries), TIERS))
        for batch, p in zip(batches, p_before, strict=True):
            found, total, tier = _evidence(*batch[:, k])
            for n, a in enumerate(tries):
                bits = -np.log2((found + a * p) / (total + a))
                surprise[n] += np.bincount(tier, bits.astype(np.float64), minlength=TIERS)
        chosen[k] = tries[np.argmin(surprise, axis=0)]
        for batch, p in zip(batches, p_before, strict=True):
            found, total, tier = _evidence(*batch[:, k])
            a_n = chosen[k][tier]
            p[:] = (found + a_n * p) / (total + a_n)
    return chosen
