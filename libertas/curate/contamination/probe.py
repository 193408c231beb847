"""The evaluation sets as sorted arrays on disk, which every worker maps: which n-grams stand for which items.

An n-gram is evidence only if it says something. How much a word says is -log2 of the share of texts that hold it, the
largest of these shares over the evaluation sets and a sample of the corpora. N-grams of frequent words, and those of
more than `MANY_ITEMS` items ("which of the following is the best"), lead to no item.

Shape letters: I items, S segments (question, choices, answers, passage of all items), W their words, K n-grams.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from libertas.corpus import save_array
from libertas.curate.contamination.grams import Known, sorted_once, word_grams
from libertas.curate.contamination.items import EvaluationItem
from libertas.curate.contamination.words import BASE, MIXER, Hashes, Places, mixed, scale_of, words_of
from libertas.lineage.artifact import WRITING

GRAM_WORDS = 8
"""Words of the n-grams that lead to an item and make up its coverage (PaLM, Chowdhery et al. 2022, section 8)."""
SHORTEST = 4
"""Words of the shortest n-gram that leads to an item, where a question has fewer than `GRAM_WORDS`."""
MANY_ITEMS = 10
"""N-grams of more items than this lead to none; GPT-3 left out those of more than 10 documents (appendix C)."""
GRAM_BITS = 12.0
"""What an n-gram must say at least, in bits, to lead to an item."""
ITEM_BITS = 20.0
"""What all that a document and an item share must say at least: by chance, it would stand in one text of a million."""
MOST_BITS = 12.0
"""What a word can say at most: misspellings and numbers, however rare, prove little alone."""
PRIOR = 400
"""Texts added to each source of word frequencies: a set of three items proves no word frequent, nor rare."""

QUESTION, CHOICE, ANSWER, PASSAGE = range(4)
"""Roles of segments."""
SHORT_LENGTHS = (*range(SHORTEST, 8), 8, 10, 12, 14, 16, 20, 24, 28, 32, 36)
"""Lengths in words of the n-gram that leads to a short segment: the largest that fits. The number of different lengths
is what a search costs, so scripts without spaces do not have every one."""
BATCH_WORDS = 1 << 20

TEXTS = "items.arrow"


@dataclass(frozen=True)
class Probe:
    """Everything a worker needs to find items; memory-mapped."""

    keys: Hashes
    """The n-grams that lead to items, sorted; shape (K,)."""
    begin: Places
    """Where the items of each n-gram begin in `owners`; shape (K + 1,)."""
    owners: NDArray[np.uint32]
    filter: NDArray[np.uint8]
    """A bit for each value of an n-gram's highest bits."""
    lengths: Places
    """Lengths of the n-grams, in words."""
    words: Hashes
    """Of all segments; shape (W,)."""
    bits: NDArray[np.float32]
    """What each of these words says; shape (W,)."""
    segments: Places
    """The first word of each segment; shape (S + 1,)."""
    roles: NDArray[np.uint8]
    """Shape (S,)."""
    items: Places
    """The first segment of each item; shape (I + 1,)."""
    scales: NDArray[np.uint8]
    """Words of ours for one English word; shape (I,)."""
    texts: pa.Table
    """Columns `task`, `id`, `segments` (the texts); a row for each item."""

    @property
    def known(self) -> Known:
        """The n-grams that lead to items."""
        return Known(self.keys, self.filter)

    def said(self, item: int, shared: NDArray[np.bool_]) -> float:
        """What some words of an item say, in bits; a word counts once for every different word before it."""
        first, last = self.segments[self.items[[item, item + 1]]].tolist()
        _, once = np.unique(_pairs(self.words[first:last])[shared], return_index=True)
        return float(self.bits[first:last][shared][np.sort(once)].sum(dtype=np.float64))

    def told(self) -> NDArray[np.bool_]:
        """Which items can be told from chance: an n-gram leads to them, and they say enough; shape (I,)."""
        result = np.zeros(len(self.scales), np.bool_)
        result[self.owners] = True
        shown = np.repeat(self.roles, np.diff(self.segments)) != ANSWER
        borders = self.segments[self.items].tolist()
        for item in np.flatnonzero(result).tolist():
            result[item] = self.said(item, shown[borders[item] : borders[item + 1]]) >= ITEM_BITS
        return result


def _pairs(words: Hashes) -> Hashes:
    """Hashes of each word with the one before it; of the first, alone."""
    result = words.copy()
    result[1:] += words[:-1] * np.uint64(MIXER)
    return result


ARRAYS = tuple(f.name for f in fields(Probe) if f.name != "texts")


@lru_cache(maxsize=1)
def open_probe(folder: Path, mark: str) -> Probe:
    """The probe in a folder; `mark` tells it from another one that stood there before."""
    del mark
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray) for name in ARRAYS}
    with pa.memory_map(str(folder / TEXTS)) as source:
        return Probe(**arrays, texts=pa.ipc.open_file(source).read_all())


@dataclass(frozen=True)
class _Segments:
    """All segments of all items, before anything is known of their words."""

    words: Hashes
    segments: Places
    roles: NDArray[np.uint8]
    items: Places
    scales: NDArray[np.uint8]
    tasks: Places
    """The first item of each task, and the number of items."""

    @property
    def item_of_word(self) -> Places:
        """Shape (W,)."""
        return np.repeat(np.arange(len(self.scales)), np.diff(self.segments[self.items]))


def make_probe(folder: Path, sets: Iterable[Iterable[EvaluationItem]], sample: Iterable[Sequence[str]]) -> Probe:
    """Read evaluation sets, and write what is needed to find their items.

    Args:
        folder: for the arrays; it may hold those of an earlier attempt.
        sets: the items of each task.
        sample: texts, batch by batch, in which frequent words are counted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _segments(folder, sets)
    bits = _bits(found, sample)
    keys, owners, lengths = _grams(found, bits)
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] + np.uint64(1))) if len(keys) else np.empty(0, np.int64)
    arrays = {
        "keys": keys[first],
        "begin": np.append(first, len(keys)),
        "owners": owners.astype(np.uint32),
        "filter": Known.of(keys[first]).filter,
        "lengths": np.array(sorted(lengths), np.int64),
        "bits": bits,
        **{name: getattr(found, name) for name in ("words", "segments", "roles", "items", "scales")},
    }
    for name, array in arrays.items():
        save_array(folder / f"{name}.npy", array)
    open_probe.cache_clear()
    return open_probe(folder, "")


def _segments(folder: Path, sets: Iterable[Iterable[EvaluationItem]]) -> _Segments:
    """Hash the words of all segments, batch by batch, and write their texts."""
    hashes: list[Hashes] = [np.empty(0, np.uint64)]
    counts, roles, items, scales, tasks = [0], [], [0], [], [0]
    schema = pa.schema([("task", pa.string()), ("id", pa.string()), ("segments", pa.list_(pa.string()))])
    with pa.OSFile(str(folder / (TEXTS + WRITING)), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for one in sets:
            for batch in _batches(one):
                parts = [_parts(item) for item in batch]
                words = words_of([text for part in parts for _, text in part])
                hashes.append(words.hashes)
                counts += np.diff(words.first).tolist()
                roles += [role for part in parts for role, _ in part]
                items += (items[-1] + np.cumsum([len(part) for part in parts])).tolist()
                scales += [scale_of("\n".join(text for _, text in part)) for part in parts]
                rows = [
                    {"task": i.task, "id": i.id, "segments": [t for _, t in p]}
                    for i, p in zip(batch, parts, strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
            tasks.append(len(scales))
    (folder / (TEXTS + WRITING)).rename(folder / TEXTS)
    return _Segments(
        np.concatenate(hashes),
        np.cumsum(counts, dtype=np.int64),
        np.array(roles, np.uint8),
        np.array(items, np.int64),
        np.array(scales, np.uint8),
        np.array(tasks, np.int64),
    )


def _batches(items: Iterable[EvaluationItem]) -> Iterator[list[EvaluationItem]]:
    """Items of about a million words together."""
    batch: list[EvaluationItem] = []
    size = 0
    for item in items:
        batch.append(item)
        size += sum(len(text) for _, text in _parts(item))
        if size > 4 * BATCH_WORDS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _parts(item: EvaluationItem) -> list[tuple[int, str]]:
    """The segments of an item. Lone surrogates, which no file can hold, become question marks."""
    parts = [(QUESTION, item.question), *((CHOICE, c) for c in item.choices), *((ANSWER, a) for a in item.answers)]
    parts += [(PASSAGE, item.passage)] if item.passage else []
    return [(role, text.encode("utf-8", "replace").decode()) for role, text in parts]


def _bits(found: _Segments, sample: Iterable[Sequence[str]]) -> NDArray[np.float32]:
    """What each word of the segments says, in bits, shape (W,)."""
    vocabulary, word = np.unique(found.words, return_inverse=True)
    owner = found.item_of_word
    share = _document_share(vocabulary, sample)
    for first, last in pairwise(found.tasks.tolist()):
        low, high = found.segments[found.items[[first, last]]]
        counted = np.bincount(_distinct(owner[low:high], word[low:high], len(vocabulary)), minlength=len(vocabulary))
        share = np.maximum(share, counted / (last - first + PRIOR))  # an item's own use of a word proves nothing
    bits: NDArray[np.float32] = np.minimum(-np.log2(share), MOST_BITS).astype(np.float32)[word]
    return bits


def _distinct(owner: Places, word: Places, vocabulary: int) -> Places:
    """The word of every distinct pair of a text and a word in it."""
    return sorted_once(owner * max(vocabulary, 1) + word) % max(vocabulary, 1)


def _document_share(vocabulary: Hashes, sample: Iterable[Sequence[str]]) -> NDArray[np.float64]:
    """The share of documents, in a sample, that hold each word."""
    counted, documents = np.zeros(len(vocabulary)), 0
    for texts in sample:
        words = words_of(texts)
        known = np.isin(words.hashes, vocabulary)
        owner = np.repeat(np.arange(len(texts)), np.diff(words.first))[known]
        word = np.searchsorted(vocabulary, words.hashes[known])
        counted += np.bincount(_distinct(owner, word, len(vocabulary)), minlength=len(vocabulary))
        documents += len(texts)
    share: NDArray[np.float64] = (counted + 1) / (documents + PRIOR)
    return share


def _grams(found: _Segments, bits: NDArray[np.float32]) -> tuple[Hashes, Places, set[int]]:
    """The n-grams that lead to items, sorted, the item of each, and their lengths."""
    scale_S = np.repeat(found.scales, np.diff(found.items)).astype(np.int64)
    item_S = np.repeat(np.arange(len(found.scales)), np.diff(found.items))
    size_S = np.diff(found.segments)
    sought = _sought(found, bits, size_S, item_S)
    length_S = np.minimum(size_S, GRAM_WORDS * scale_S)
    ladder = np.array(SHORT_LENGTHS)
    short = (length_S < GRAM_WORDS * scale_S) & (length_S >= SHORTEST)
    length_S[short] = ladder[np.searchsorted(ladder, length_S[short], side="right") - 1]
    length_S[(length_S < SHORTEST * scale_S) | ~sought] = 0
    total = np.concatenate([[0.0], np.cumsum(bits, dtype=np.float64)])
    segment_W = np.repeat(np.arange(len(size_S)), size_S)
    lengths = sorted(set(length_S.tolist()) - {0})
    keys, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for length, grams in word_grams(found.words, lengths).items():
        at = np.flatnonzero(length_S[segment_W[: len(grams)]] == length)
        at = at[segment_W[at + length - 1] == segment_W[at]]
        said = total[at + length] - total[at]
        telling = said >= GRAM_BITS
        some = np.flatnonzero(short[segment_W[at]])
        telling[some] &= _largest(said[some], segment_W[at[some]])
        keys.append(mixed(grams[at[telling]]))
        owners.append(item_S[segment_W[at[telling]]])
    key, owner = np.concatenate(keys), np.concatenate(owners)
    order = np.lexsort((owner, key))
    key, owner = key[order], owner[order]
    new = np.ones(len(key), np.bool_)
    new[1:] = (key[1:] != key[:-1]) | (owner[1:] != owner[:-1])
    key, owner = key[new], owner[new]
    few = _different(key, _signatures(found)[owner]) <= MANY_ITEMS
    return key[few], owner[few], set(lengths)


def _signatures(found: _Segments) -> Hashes:
    """A hash of all words of each item: an item that comes twice is one, whatever its id; shape (I,)."""
    owner = found.item_of_word
    place = np.arange(len(owner)) - found.segments[found.items[:-1]][owner]
    result = np.zeros(len(found.scales), np.uint64)
    np.add.at(result, owner, mixed(found.words + place.astype(np.uint64) * np.uint64(BASE)))
    return result


def _different(key: Hashes, signature: Hashes) -> Places:
    """For every pair of an n-gram and an item, how many different items the n-gram has; n-grams lie together."""
    order = np.lexsort((signature, key))
    new = np.ones(len(key), np.bool_)
    new[1:] = (key[order][1:] != key[order][:-1]) | (signature[order][1:] != signature[order][:-1])
    _, which = np.unique(key, return_inverse=True)
    count: Places = np.bincount(which[order], weights=new).astype(np.int64)[which] if len(key) else which
    return count


def _sought(found: _Segments, bits: NDArray[np.float32], size_S: Places, item_S: Places) -> NDArray[np.bool_]:
    """Which segments lead to their items: questions and passages; of questions that say little, also the choices."""
    total = np.concatenate([[0.0], np.cumsum(bits, dtype=np.float64)])
    said_S = total[found.segments[1:]] - total[found.segments[:-1]]
    question_I = np.zeros(len(found.scales))
    np.add.at(question_I, item_S[found.roles == QUESTION], said_S[found.roles == QUESTION])
    length_I = np.zeros(len(found.scales), np.int64)
    np.add.at(length_I, item_S[found.roles == QUESTION], size_S[found.roles == QUESTION])
    clear = ((question_I >= ITEM_BITS) & (length_I >= SHORTEST * found.scales.astype(np.int64)))[item_S]
    sought: NDArray[np.bool_] = (found.roles != ANSWER) & ((found.roles != CHOICE) | ~clear)
    return sought


def _largest(values: NDArray[np.float64], group: Places) -> NDArray[np.bool_]:
    """Which value is the first largest of its group; groups lie together."""
    order = np.lexsort((np.arange(len(values)), -values, group))
    first = np.ones(len(values), np.bool_)
    first[1:] = group[order][1:] != group[order][:-1]
    result = np.zeros(len(values), np.bool_)
    result[order[first]] = True
    return result
