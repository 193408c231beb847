"""The proof that held-out documents are unseen: by id, by text, by signature, and the n-grams that are shared.

Signatures are compared so that no pair slips: of two that agree in at least B - d of B bins, order the bins of each by
how rare their values are, the same order for all. Of what they share, the first stands among the first d + 1 of both,
since at most d that they do not share come before it (prefix filtering: Chaudhuri, Ganti, Kaushik 2006). So only pairs
that meet there are compared, and what a template gives to all its pages brings few together. Only the held-out
documents are in memory; training streams past them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from libertas.corpus import save_array
from libertas.curate import minhash
from libertas.curate.exact import text_key
from libertas.curate.mixture.reading import component_name
from libertas.document import Document
from libertas.permutation import mixed64

OVERLAP_WORDS = 13
"""Words of the n-grams by which overlap of held-out and training is reported (Brown et al. 2020, appendix C)."""
MOST_NGRAMS = 1 << 24
"""Held-out n-grams that are looked for, about: of more, a part is chosen by their hash."""
BYTES_PER_WORD = 6
"""About; it only decides how large that part is."""
PAIRS_AT_ONCE = 1 << 14
"""Pairs of signatures that are compared at a time: about 16 MB."""
HITS_AT_ONCE = 1 << 20
"""Values in common that are looked at together for pairs, about 60 MB."""
ROWS_AT_ONCE = 1 << 12
"""Signatures that are hashed at a time: about 16 MB."""
FILTER_BITS = 24
"""Bits of a hash by which most n-grams, or values of signatures, are seen not to be held out, at a fraction of the cost
of a search."""
FILTER_MASK = np.uint64((1 << FILTER_BITS) - 1)
SIGNED_AT_ONCE = 1 << 18
"""Characters of text that are signed at a time."""

Signs = NDArray[np.uint32]
Hashes = NDArray[np.uint64]


class NearIndex:
    """Documents, to find those that others are near-duplicates of."""

    def __init__(self, signs: Signs, at_least: float) -> None:
        """Index some signatures, shape (documents, bins), to find pairs whose similarity is `at_least` so much."""
        bins = signs.shape[1]
        self.signs, self.at_least = signs, at_least
        self._first = bins - math.ceil(at_least * bins - 1e-9) + 1
        self._mask = np.uint64((1 << min(FILTER_BITS, (8 * signs.size).bit_length())) - 1)
        different = _different(signs)
        self._counts = np.zeros(int(self._mask) + 1, dtype=np.uint32)
        """How many signatures have a value; values whose hashes end in the same bits are counted together."""
        for rows in _slices(len(different), ROWS_AT_ONCE):
            places = (_hashes(signs[different[rows]]) & self._mask).reshape(-1).astype(np.int64)
            self._counts += np.bincount(places, minlength=len(self._counts)).astype(np.uint32)
        parts = [self._rarest(_hashes(signs[different[r]])) for r in _slices(len(different), ROWS_AT_ONCE)]
        keys = np.concatenate([np.empty((0, self._first), dtype=np.uint64), *parts]).reshape(-1)
        order = np.argsort(keys, kind="stable")
        self._keys, self._members = keys[order], different[order // self._first]

    def _rarest(self, hashes: Hashes) -> Hashes:
        """The first values of each signature in the order of how many have them, then of bins."""
        ranks = self._counts[hashes & self._mask].astype(np.int64) * hashes.shape[1] + np.arange(hashes.shape[1])
        chosen = np.argpartition(ranks, self._first - 1, axis=1)[:, : self._first]
        return np.take_along_axis(hashes, chosen, axis=1)

    def nearest(self, signs: Signs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For other documents the most similar indexed one, the first of equals, and how similar; -1 where none is."""
        best, value = np.full(len(signs), -1, dtype=np.int64), np.zeros(len(signs))
        for rows in _slices(len(signs), ROWS_AT_ONCE):
            for left, right in self._candidates(signs[rows]):
                right += rows.start
                for some in _slices(len(left), PAIRS_AT_ONCE):
                    alike = minhash.similarity(self.signs[left[some]], signs[right[some]])
                    _improve(best, value, left[some], right[some], alike, self.at_least)
        return best, value

    def _candidates(self, signs: Signs) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Pairs of an indexed document and one of these that may be similar enough, some at a time."""
        hashes = _hashes(signs)
        strange = (self._counts[hashes & self._mask] == 0).sum(axis=1)
        asked = np.flatnonzero((strange < self._first) & (signs[:, 0] != minhash.EMPTY))
        keys = self._rarest(hashes[asked]).reshape(-1)
        low = np.searchsorted(self._keys, keys)
        counts = np.searchsorted(self._keys, keys, side="right") - low
        ends = np.cumsum(counts)
        for hits in _slices(int(ends[-1]) if len(ends) else 0, HITS_AT_ONCE):
            hit = np.arange(hits.start, hits.stop)
            key = np.searchsorted(ends, hit, side="right")
            left, right = self._members[low[key] + hit - (ends - counts)[key]], asked[key // self._first]
            pairs = np.unique(left * len(signs) + right)
            yield pairs // len(signs), pairs % len(signs)


def _different(signs: Signs) -> NDArray[np.int64]:
    """The first documents, with words, of each signature."""
    with_words = np.flatnonzero(signs[:, 0] != minhash.EMPTY)
    sums = [_hashes(signs[with_words[r]]).sum(axis=1) for r in _slices(len(with_words), ROWS_AT_ONCE)]
    together = np.concatenate([np.empty(0, dtype=np.uint64), *sums])
    order = np.argsort(together, kind="stable")
    rows = with_words[order]
    again = np.zeros(len(rows), dtype=bool)
    for place in np.flatnonzero(together[order][1:] == together[order][:-1]) + 1:
        again[place] = (signs[rows[place]] == signs[rows[place - 1]]).all()
    return np.sort(rows[~again])


def _hashes(signs: Signs) -> Hashes:
    """A number for each bin with what is in it, different for different ones; shape (documents, bins)."""
    return mixed64(signs | np.arange(signs.shape[1], dtype=np.uint64) << np.uint64(32))


def _slices(size: int, step: int) -> Iterator[slice]:
    return (slice(first, min(first + step, size)) for first in range(0, size, step))


def _improve(
    best: NDArray[np.int64],
    value: NDArray[np.float64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    alike: NDArray[np.float64],
    at_least: float,
) -> None:
    near = np.flatnonzero(alike >= at_least)
    near = near[np.lexsort((left[near], -alike[near], right[near]))]
    near = near[np.diff(right[near], prepend=-1) != 0]
    left, right, alike = left[near], right[near], alike[near]
    better = (alike > value[right]) | ((alike == value[right]) & (left < best[right]))
    best[right[better]], value[right[better]] = left[better], alike[better]


Ngrams = dict[tuple[str, str], NDArray[np.uint64]]
"""Hashes of the n-grams of each part and component, sorted, without repeats."""


def note_held_out(parts: Mapping[str, Iterable[Document]], folder: Path, text_bytes: int) -> tuple[Ngrams, float]:
    """Note everything by which a training document could be one that is held out, in files of `folder`.

    Args:
        parts: held-out documents by the name of their part.
        folder: where `UnseenWatch` finds the notes.
        text_bytes: about how much they are, together.

    Returns:
        The n-grams, and which share of all was chosen: 1 unless there are more than `MOST_NGRAMS`.
    """
    share = min(1.0, MOST_NGRAMS * BYTES_PER_WORD / max(text_bytes, 1))
    limit = np.uint64(min(int(share * 2.0**64), (1 << 64) - 1))
    ids: list[bytes] = []
    keys: list[bytes] = []
    signs = [np.empty((0, minhash.BINS), dtype=np.uint32)]
    found: dict[tuple[str, str], list[NDArray[np.uint64]]] = {}
    for part, documents in parts.items():
        for batch in batches_of(documents):
            ids += [d.id.encode() for d in batch]
            keys += [_key(d) for d in batch]
            signs.append(minhash.signatures([d.text for d in batch]))
            for document in batch:
                found.setdefault((part, component_name(document)), []).append(_ngrams([document], limit))
    ngrams = {name: np.unique(np.concatenate(hashes)) for name, hashes in sorted(found.items())}
    everything = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *ngrams.values()]))
    save_array(folder / "held_ids.npy", np.sort(np.array(ids, dtype="S32")))
    save_array(folder / "held_keys.npy", np.sort(np.array(keys, dtype="S32")))
    save_array(folder / "held_signs.npy", np.concatenate(signs))
    save_array(folder / "held_ngrams.npy", everything)
    save_array(folder / "held_limit.npy", np.array([limit]))
    return ngrams, share


class UnseenWatch:
    """Counts what training documents, as they are written, have in common with those that are held out."""

    def __init__(self, folder: Path, similarity: float) -> None:
        """UnseenWatch for what `note_held_out` noted."""
        self._ids, self._keys, signs, self._ngrams, limit = (
            np.load(folder / f"held_{name}.npy") for name in ("ids", "keys", "signs", "ngrams", "limit")
        )
        self._index, self._limit = NearIndex(signs, similarity), limit[0]
        self._some = np.zeros(1 << FILTER_BITS, dtype=bool)
        self._some[self._ngrams & FILTER_MASK] = True
        self.ids = self.texts = self.near = 0
        self.met = np.zeros(len(self._ngrams), dtype=bool)
        """Which of the held-out n-grams, in order of hash, were met."""

    def see(self, documents: Sequence[Document]) -> None:
        """Count some training documents."""
        if not len(self._ids):
            return
        self.ids += _found(self._ids, np.array([d.id.encode() for d in documents], dtype="S32"))
        self.texts += _found(self._keys, np.array([_key(d) for d in documents], dtype="S32"))
        best, _ = self._index.nearest(minhash.signatures([d.text for d in documents]))
        self.near += int((best >= 0).sum())
        if len(self._ngrams):
            values = _ngrams(documents, self._limit)
            values = values[self._some[values & FILTER_MASK]]
            places = np.minimum(np.searchsorted(self._ngrams, values), len(self._ngrams) - 1)
            self.met[places[self._ngrams[places] == values]] = True


def shared_ngrams(ngrams: Ngrams, folder: Path, met: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """For each part the share of each component's different n-grams that stand in training as well."""
    everything = np.load(folder / "held_ngrams.npy")
    shares: dict[str, dict[str, float]] = {}
    for (part, component), values in ngrams.items():
        seen = met[np.searchsorted(everything, values)]
        shares.setdefault(part, {})[component] = round(float(seen.mean()), 6) if len(seen) else 0.0
    return shares


def batches_of(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents by the handful, so that vectorized hashing pays."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= SIGNED_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _key(document: Document) -> bytes:
    return text_key(document.text).hex().encode()


def _found(known: NDArray[np.bytes_], asked: NDArray[np.bytes_]) -> int:
    places = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return int((known[places] == asked).sum())


def _ngrams(documents: Sequence[Document], limit: np.uint64) -> NDArray[np.uint64]:
    hashes = minhash.shingles([d.text for d in documents], OVERLAP_WORDS)[0]
    return hashes[hashes <= limit]
