"""MinHash in numpy: texts -> words -> sets of word 5-grams -> signatures that estimate how alike the sets are.

One-permutation hashing (Li, Owen, Zhang 2012) puts every 5-gram's hash in one of 112 bins and keeps the smallest of
each bin; empty bins borrow from another by optimal densification (Shrivastava 2017). The share of equal bins of two
signatures estimates the Jaccard similarity of the two sets without bias, with a standard error of
sqrt(J (1 - J) / 112), 0.04 at J = 0.8. Texts with few 5-grams have fewer independent bins, and a larger error.

Words are found and hashed on the bytes of many texts at once, without a Python loop over words; what the native kernel
does in its stead is the same bit for bit.

Shape letters: D documents, B bins (112), W words of a batch, S shingles of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

import libertas.kernel as kernel

SHINGLE_WORDS = 5
BINS = 112
BANDS, ROWS = 18, 6
"""Two documents meet in a band with probability 1 - (1 - J^6)^18: 0.996 at J = 0.8, 0.89 at 0.7, 0.25 at 0.5."""
EMPTY = np.uint32(0xFFFFFFFF)

Signatures = NDArray[np.uint32]
"""Shape (documents, 112). A document without a word has only `EMPTY` and is similar to nothing."""

BYTE_BASE, WORD_BASE = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd, hence invertible modulo 2^64; the first is 2^64 / golden ratio, the second a well-tested mixing constant."""
MODULUS = 1 << 64
BLOCK = 1 << 18
"""Bytes that are worked on at a time: few enough to stay in a core's cache, enough to hide the cost of a call."""
LONG_WORD = 64
"""Bytes from which a word is hashed on its own."""

GAPS = ((0x80, 0xBF), (0x2000, 0x2BFF), (0x3000, 0x303F), (0x1F000, 0x1FFFF))
"""Characters beyond ASCII that stand between words: punctuation, symbols, emoji."""
ALONE = (
    (0x0E00, 0x107F),  # Thai, Lao, Tibetan, Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FFF),  # radicals
    (0x3040, 0x312F),  # kana, bopomofo
    (0x31C0, 0x31FF),
    (0x3400, 0x4DBF),  # Chinese characters, and their extensions below
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFBF),  # wide and narrow forms
    (0x20000, 0x33FFF),
)
"""Scripts without spaces between words (Unicode blocks): there each character is a word."""
IN_WORD, GAP, CHARACTER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class WordHashes:
    """The words of some texts, in order."""

    hashes: NDArray[np.uint64]
    """Of each word in lower case (ASCII letters only), shape (W,)."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """Bytes [start, end) of each in its own text's UTF-8 form, shape (W,)."""
    first: NDArray[np.int64]
    """Number of each text's first word, and the number of words; shape (texts + 1,)."""


def _fold_table() -> bytes:
    """Every byte in lower case, and 0 where it is between words; bytes of non-ASCII characters belong to words."""
    inside = (byte >= 0x80 or chr(byte).isalnum() or chr(byte) == "_" for byte in range(256))
    return bytes(bytes([byte]).lower()[0] if word else 0 for byte, word in enumerate(inside))


def _kind_table() -> NDArray[np.uint8]:
    """Kind of a character by the lead byte and the next: index (lead - 0xC0) * 64 + (second & 63)."""
    kinds = np.full(64 * 64, IN_WORD, dtype=np.uint8)
    for ranges, kind in ((GAPS, GAP), (ALONE, CHARACTER)):
        for first, last in ranges:
            for point in range(first, last + 1, 64):  # no range begins or ends within what two bytes tell apart
                lead, second = chr(point).encode()[:2]
                width = 64 if point < 0x800 else 1
                kinds[(lead - 0xC0) * 64 + (second & 63) :][:width] = kind
    return kinds


FOLD = _fold_table()
KINDS = _kind_table()
LEADS = np.zeros(256, dtype=np.bool_)
LEADS[0xC0:] = KINDS.reshape(64, 64).any(axis=1)
WIDTHS = np.array([2] * 32 + [3] * 16 + [4] * 16)
MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
"""The lowest n bytes of eight."""


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    """base^0 ... base^(count-1) modulo 2^64."""
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


def splitmix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64, in place: every input bit reaches every output bit."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _kinds(data: NDArray[np.uint8], leads: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Kind of the character that begins at each of some lead bytes."""
    kinds: NDArray[np.uint8] = KINDS[(data[leads].astype(np.int64) - 0xC0) * 64 + (data[leads + 1] & 63)]
    return kinds


def _edges(block: bytes, folded: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where words begin and end in bytes that begin and end between words, each of shape (W,)."""
    inside = np.frombuffer(folded, dtype=np.uint8) != 0
    if block.isascii():
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        edges += 1
        return edges[0::2], edges[1::2]
    data = np.frombuffer(block, dtype=np.uint8)
    leads = np.flatnonzero(LEADS[data])
    kinds = _kinds(data, leads)
    widths = WIDTHS[data[leads] - 0xC0]
    for offset in range(4):
        inside[leads[(kinds == GAP) & (widths > offset)] + offset] = False
    cuts = inside[1:] != inside[:-1]
    alone = leads[kinds == CHARACTER]
    cuts[alone - 1] = True
    cuts[alone + widths[kinds == CHARACTER] - 1] = True
    return np.flatnonzero(cuts & inside[1:]) + 1, np.flatnonzero(cuts & inside[:-1]) + 1


def _hashes(folded: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash of each word, shape (W,): eight bytes at a time, long ones apart. Eight bytes must follow the last word."""
    eights: NDArray[np.uint64] = np.ndarray((len(folded) - 7,), dtype="<u8", buffer=folded, strides=(1,))
    result = eights[starts]
    result &= MASKS[np.minimum(lengths, 8)]
    result *= np.uint64(BYTE_BASE)
    more = np.flatnonzero((lengths > 8) & (lengths <= LONG_WORD))
    for done in range(8, LONG_WORD, 8):
        if not len(more):
            break
        part = eights[starts[more] + done] & MASKS[np.minimum(lengths[more] - done, 8)]
        before = result[more]
        result[more] = ((before ^ (before >> np.uint64(32))) + part) * np.uint64(WORD_BASE)
        more = more[lengths[more] > done + 8]
    for word in np.flatnonzero(lengths > LONG_WORD).tolist():
        result[word] = _long_hash(folded[starts[word] : starts[word] + lengths[word]])
    return splitmix(result)


def _long_hash(word: bytes) -> int:
    """Of a word of more than `LONG_WORD` bytes, in lower case."""
    return int.from_bytes(blake3(word).digest(length=8), "little")


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Cut bytes where no word is cut: before a space, a line end, or a character that is a word or a gap."""
    start = 0
    while start < len(data):
        end = start + 2 * BLOCK
        if end < len(data):
            end = max(data.rfind(b" ", start + BLOCK, end), data.rfind(b"\n", start + BLOCK, end))
        if end < 0:
            end = _last_character(data, start + BLOCK, start + 2 * BLOCK)
        if end < 0:
            end = data.find(b" ", start + 2 * BLOCK)
        end = min(end, len(data)) if end > 0 else len(data)
        yield start, end
        start = end


def _last_character(data: bytes, first: int, last: int) -> int:
    """Where the last character begins, among bytes [first, last), that belongs to no longer word; -1 for none."""
    part = np.frombuffer(data, dtype=np.uint8)[first:last]
    leads = np.flatnonzero(LEADS[part[:-1]])
    alone = leads[_kinds(part, leads) != IN_WORD]
    return first + int(alone[-1]) if len(alone) else -1


def word_hashes(texts: Sequence[str]) -> WordHashes:
    """The words of some texts.

    Words are runs of letters, digits, underscores and, beyond ASCII, of everything but `GAPS`; in scripts `ALONE`
    each character is one.
    """
    if kernel.native is not None:
        counts, *columns = kernel.native.word_hashes(list(texts), KINDS, _long_hash)
        numbers, starts, ends = (np.frombuffer(c, dtype=t) for c, t in zip(columns, ("u8", "i8", "i8"), strict=True))
        return WordHashes(numbers, starts, ends, np.array([0, *counts]))
    hashes, starts, ends, first, bounds = _words(texts)
    own = np.repeat(bounds[:-1] + 1, np.diff(first))
    return WordHashes(hashes, starts - own, ends - own, first)


def _words(
    texts: Sequence[str],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Hashes of words, their starts and ends in all texts together, first words, and the bounds of the texts."""
    together = "\n".join(["", *texts]) or "\n"
    data = together.encode(errors="replace")
    each = texts if len(data) == len(together) else [text.encode(errors="replace") for text in texts]
    bounds = np.cumsum([0, *map(len, each)]) + np.arange(len(texts) + 1)
    parts = []
    for first, last in _blocks(data):
        block = b" " + data[first:last] + b" " * 8
        folded = block.translate(FOLD)
        begin, end = _edges(block, folded)
        parts.append((_hashes(folded, begin, end - begin), begin + (first - 1), end + (first - 1)))
    hashes, starts, ends = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    return hashes, starts, ends, np.searchsorted(starts, bounds), bounds


def text_batches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Consecutive texts [first, last) of about `BLOCK` characters together."""
    first, size = 0, 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= BLOCK or place == len(texts) - 1:
            yield first, place + 1
            first, size = place + 1, 0


def shingles(texts: Sequence[str], words: int = SHINGLE_WORDS) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all word n-grams of some texts and the text each belongs to, two arrays of shape (S,).

    A text with fewer than `words` words has one shingle of all it has; one without a word has none. Equal n-grams come
    as often as they occur. Those of a text are together, and the texts in order.
    """
    values, owners = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    for first, last in text_batches(texts):
        part, owner = _shingles(texts[first:last], words)
        values.append(part)
        owners.append(owner + first)
    return np.concatenate(values), np.concatenate(owners)


def _shingles(texts: Sequence[str], words: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """As `shingles`, for a batch of texts."""
    if kernel.native is not None:
        counts, found = kernel.native.shingles(list(texts), words, KINDS, _long_hash)
        return np.frombuffer(found, dtype=np.uint64), np.repeat(np.arange(len(texts)), np.diff(counts, prepend=0))
    hashes, _, _, first, _ = _words(texts)
    windows = max(len(hashes) - words + 1, 0)
    whole = hashes[words - 1 :][:windows].copy()
    for k in range(words - 2, -1, -1):  # Horner's rule
        whole *= np.uint64(WORD_BASE)
        whole += hashes[k : k + windows]
    counts_D = np.diff(first)
    inside = np.ones(windows, dtype=bool)
    for k in range(1, words):  # windows that go beyond the end of a text
        beyond = first[1:] - k
        inside[beyond[(beyond >= 0) & (beyond < windows)]] = False
    values = whole[inside]
    owners = np.repeat(np.arange(len(texts)), np.maximum(counts_D - words + 1, 0))
    short = np.flatnonzero((counts_D > 0) & (counts_D < words))
    if len(short):
        factors = _powers(WORD_BASE, words)
        rest = [(hashes[first[d] : first[d + 1]] * factors[: counts_D[d]]).sum(dtype=np.uint64) for d in short]
        places = np.searchsorted(owners, short)
        values = np.insert(values, places, np.array(rest, dtype=np.uint64))
        owners = np.insert(owners, places, short)
    return splitmix(values), owners


def _probe_order() -> NDArray[np.int64]:
    """For every bin (row) all bins in the order in which it borrows from them; the same for every document."""
    keys = splitmix(np.arange(1, BINS * BINS + 1, dtype=np.uint64) * np.uint64(BYTE_BASE))
    return np.argsort(keys.reshape(BINS, BINS), axis=1)


PROBES = _probe_order()


def signatures(texts: Sequence[str]) -> Signatures:
    """Signatures of some texts, shape (texts, 112); each depends on its own text alone."""
    result = np.full((len(texts), BINS), EMPTY, dtype=np.uint32)
    if kernel.native is not None:
        kernel.native.fill_signatures(list(texts), SHINGLE_WORDS, KINDS, _long_hash, result)
        return _densified(result)
    for first, last in text_batches(texts):
        values, owners = _shingles(texts[first:last], SHINGLE_WORDS)
        bins = ((values >> np.uint64(32)) * np.uint64(BINS)) >> np.uint64(32)
        lowest = np.minimum(values.astype(np.uint32), EMPTY - np.uint32(1))
        np.minimum.at(result[first:last].reshape(-1), owners * BINS + bins.astype(np.int64), lowest)
    return _densified(result)


def _densified(sparse: Signatures) -> Signatures:
    """Fill every empty bin from the first non-empty one in its probe order."""
    dense = sparse.copy()
    documents, bins = np.nonzero((sparse == EMPTY) & (sparse != EMPTY).any(axis=1, keepdims=True))
    for attempt in range(BINS):
        if not len(documents):
            break
        borrowed = sparse[documents, PROBES[bins, attempt]]
        dense[documents, bins] = borrowed
        still = borrowed == EMPTY
        documents, bins = documents[still], bins[still]
    return dense


def similarity(left: Signatures, right: Signatures) -> NDArray[np.float64]:
    """Estimated Jaccard similarity along the last axis; 0 where a document has no words."""
    equal: NDArray[np.float64] = ((left == right) & (left != EMPTY)).mean(axis=-1)
    return equal


def band_keys(signs: Signatures, band: int) -> NDArray[np.uint64]:
    """A key for each document, equal for two that agree in the bins of a band and in practice only then; shape (D,)."""
    sums: NDArray[np.uint64] = signs[:, band * ROWS : (band + 1) * ROWS].astype(np.uint64) @ _powers(WORD_BASE, ROWS)
    return splitmix(sums + np.uint64(band * BYTE_BASE % MODULUS))
