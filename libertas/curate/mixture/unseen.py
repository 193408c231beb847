"""The proof that held-out documents are unseen: by id, by text, by signature, and the n-grams that are shared.

Signatures are compared by bands that let no pair slip: two documents whose signatures of B bins agree in at least
B - d of them agree in the whole of one of any d + 1 disjoint bands, so that with as many bands every pair above the
threshold meets. Only the held-out documents are in memory; training streams past them.
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
PAIRS_AT_ONCE = 1 << 16
"""Pairs of signatures that are compared at a time: about 60 MB."""
FILTER_BITS = 24
"""Bits of a hash by which most n-grams are seen not to be held out, at a fraction of the cost of a search."""
FILTER_MASK = np.uint64((1 << FILTER_BITS) - 1)
SIGNED_AT_ONCE = 1 << 18
"""Characters of text that are signed at a time."""

Signs = NDArray[np.uint32]


class NearIndex:
    """Documents, to find those that others are near-duplicates of."""

    def __init__(self, signs: Signs, at_least: float) -> None:
        """Index some signatures, shape (documents, bins), to find pairs whose similarity is `at_least` so much."""
        self.signs, self.at_least = signs, at_least
        bins = signs.shape[1]
        rows = bins // (bins - math.ceil(at_least * bins - 1e-9) + 1)
        self._starts, self._rows = range(0, bins - rows + 1, rows), rows
        with_words = np.flatnonzero(signs[:, 0] != minhash.EMPTY)
        self._bands = []
        for start in self._starts:
            keys = self._keys(signs[with_words], start)
            order = np.argsort(keys, kind="stable")
            self._bands.append((keys[order], with_words[order]))

    def _keys(self, signs: Signs, start: int) -> NDArray[np.uint64]:
        keys = np.zeros(len(signs), dtype=np.uint64)
        for column in signs[:, start : start + self._rows].T:
            keys = mixed64(keys ^ column)
        return keys

    def nearest(self, signs: Signs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For other documents the most similar indexed one, the first of equals, and how similar; -1 where none is."""
        best, value = np.full(len(signs), -1, dtype=np.int64), np.zeros(len(signs))
        for start, (keys, members) in zip(self._starts, self._bands, strict=True):
            here = self._keys(signs, start)
            low = np.searchsorted(keys, here)
            counts = np.searchsorted(keys, here, side="right") - low
            ends = np.cumsum(counts)
            for first in range(0, int(ends[-1]) if len(ends) else 0, PAIRS_AT_ONCE):
                pairs = np.arange(first, min(first + PAIRS_AT_ONCE, int(ends[-1])))
                right = np.searchsorted(ends, pairs, side="right")
                left = members[low[right] + pairs - (ends - counts)[right]]
                alike = minhash.similarity(self.signs[left], signs[right])
                _improve(best, value, left, right, alike, self.at_least)
        return best, value


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
        folder: where `Watch` finds the notes.
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


class Watch:
    """Counts what training documents, as they are written, have in common with those that are held out."""

    def __init__(self, folder: Path, similarity: float) -> None:
        """Watch for what `note_held_out` noted."""
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
