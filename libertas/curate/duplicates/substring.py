"""Spans of 50 and more words that occurred before, in whatever document: every occurrence but the first is cut.

Half-windows of 25 words are hashed, and of every 26 in a row the one with the smallest hash is written down (winnowing:
Schleimer, Wilkerson, Aiken 2003), so that two equal spans of 50 words always share one that was; that is about one word
in fourteen. Those that occur more than once are found by a join. The texts are read again, and each meeting is followed
word by word to both sides. Words are those of `minhash.word_hashes`: case and punctuation do not count, and in scripts
without spaces each character is one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.curate.duplicates.layout import Chunk, TableLayout
from libertas.curate.duplicates.lines import CUT_TYPE, staying
from libertas.curate.duplicates.sign import FACTS
from libertas.curate.duplicates.tasks import (
    KEYS,
    Records,
    TableTask,
    as_records,
    between,
    complete,
    count,
    first_of_group,
    group_starts,
    in_order,
    ranges,
    repeated,
)
from libertas.curate.minhash import WORD_BASE, WordHashes, splitmix, text_batches, word_hashes

MARKS, MEETINGS, CUT_SPANS = "marks", "meetings", "cut-spans"
MARKS_TYPE = (("key", "<u8"), ("document", "<i8"), ("word", "<i8"))
MEETINGS_TYPE = (
    ("document", "<i8"),
    ("word", "<i8"),
    ("first", "<i8"),
    ("first_word", "<i8"),
    ("last", "<i8"),
    ("last_word", "<i8"),
)
"""A half-window of a document, and where it occurs first, and last before that."""
MEETINGS_AT_ONCE = 1 << 18
"""Meetings that one task follows."""
READ_AT_ONCE = 1 << 25
"""Characters of texts whose words are in memory together."""
MOST_COMPARED = 64
"""Times its length that a text is compared with others."""
FIRST_STEP = 64
"""Words that are compared first; then twice as many, and so on."""


def cut_spans(layout: TableLayout, chunks: Sequence[Chunk], window: int, workers: int, engine: str) -> None:
    """Write the run `cut-spans`: spans of at least `window` words that occur before."""
    tasks = [TableTask(layout.folder, c.name, (MARKS,), partial(_marked, layout, c, window)) for c in chunks]
    complete(tasks, "Spans: reading", workers, engine)
    tasks = [
        TableTask(layout.folder, f"{place:06}", (MEETINGS,), partial(_meetings, layout, *keys))
        for place, keys in enumerate(ranges(count(layout.folder / MARKS), KEYS))
    ]
    complete(tasks, "Spans: joining", workers, engine)
    parts = max(1, -(-count(layout.folder / MEETINGS) // MEETINGS_AT_ONCE))
    cuts = [part * len(layout) // parts for part in range(parts + 1)]
    tasks = [
        TableTask(layout.folder, f"{part:06}", (CUT_SPANS,), partial(_cut, layout, window, cuts[part], cuts[part + 1]))
        for part in range(parts)
    ]
    complete(tasks, "Spans: following", workers, engine)


def half_of(window: int) -> int:
    """Words of a half-window."""
    return window // 2


def _marked(layout: TableLayout, chunk: Chunk, window: int) -> dict[str, Records]:
    found = [as_records(MARKS_TYPE, np.empty(0), np.empty(0), np.empty(0))]
    for documents in staying(layout, chunk):
        texts = [document.text for _, document in documents]
        for first, last in text_batches(texts):
            words = word_hashes(texts[first:last])
            places, keys = marks(words, window)
            owners = np.searchsorted(words.first, places, side="right") - 1
            numbers = np.array([number for number, _ in documents[first:last]])
            found.append(as_records(MARKS_TYPE, keys, numbers[owners], places - words.first[owners]))
    rows = np.concatenate(found)
    return {MARKS: rows[np.argsort(rows["key"], kind="stable")]}


def marks(words: WordHashes, window: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Where half-windows begin that are written down, as places among all words, and their hashes."""
    half = half_of(window)
    row = window - half + 1
    owner = np.repeat(np.arange(len(words.first) - 1), np.diff(words.first))
    count_of = len(owner) - half + 1
    if count_of < row:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64)
    keys = splitmix(np.maximum(_rolled(words.hashes, half), np.uint64(1)))
    lowest = _sliding(np.minimum, keys, row)
    lowest[owner[: len(lowest)] != owner[window - 1 :]] = 0  # those that begin in one text and end in the next
    edge = np.zeros(row - 1, dtype=np.uint64)
    chosen = _sliding(np.maximum, np.concatenate([edge, lowest, edge]), row) == keys
    chosen[2:] &= (keys[2:] != keys[1:-1]) | (keys[1:-1] != keys[:-2])  # of one word over and over, two
    places = np.flatnonzero(chosen)
    return places, keys[places]


def _rolled(hashes: NDArray[np.uint64], words: int) -> NDArray[np.uint64]:
    """Polynomial hash of every run of so many words, by doubling."""
    result, done = np.zeros(len(hashes) + 1, dtype=np.uint64), 0
    part, size = hashes, 1
    while done < words:
        if words & size:  # what is done, followed by a part
            factor = np.uint64(pow(WORD_BASE, size, KEYS))
            length = len(hashes) - done - size + 1
            result = result[:length] * factor + part[done : done + length]
            done += size
        part = part[:-size] * np.uint64(pow(WORD_BASE, size, KEYS)) + part[size:]
        size *= 2
    return result


def _sliding(pick: Callable[..., Any], values: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """Minimum or maximum of every run of `width` values, by doubling."""
    size = 1
    while 2 * size <= width:
        values, size = pick(values[:-size], values[size:]), 2 * size
    rest = width - size
    result: NDArray[np.uint64] = pick(values[: len(values) - rest], values[rest:])
    return result


def _meetings(layout: TableLayout, low: int, high: int) -> dict[str, Records]:
    rows = between(layout.folder / MARKS, low, high)
    rows = in_order(rows[repeated(rows["key"])], "key", "document", "word")
    starts = group_starts(rows["key"])
    first = rows[first_of_group(starts)][~starts]
    later = np.flatnonzero(~starts)
    here, last = rows[later], rows[later - 1]
    columns = [part[field] for part in (here, first, last) for field in ("document", "word")]
    return {MEETINGS: in_order(as_records(MEETINGS_TYPE, *columns), "document", "word")}


def _cut(layout: TableLayout, window: int, low: int, high: int) -> dict[str, Records]:
    rows = in_order(between(layout.folder / MEETINGS, low, high), "document", "word")
    new = group_starts(rows["document"])
    sizes = layout.take(FACTS, rows["document"], "size") * new
    sizes += layout.take(FACTS, rows["first"], "size") * group_starts(rows["document"], rows["first"])
    batch = (np.cumsum(sizes) // READ_AT_ONCE)[first_of_group(new)]
    found = [
        cut for part in np.split(rows, np.flatnonzero(np.diff(batch)) + 1) for cut in _follow(layout, part, window)
    ]
    return {CUT_SPANS: np.array(found, dtype=list(CUT_TYPE))}


def _follow(layout: TableLayout, rows: Records, window: int) -> list[tuple[int, int, int, int]]:
    """Cuts in a few documents: half-windows are met where they occur first, then, if that may add to a cut, last."""
    targets = np.unique(rows["document"])
    texts = _read(layout, np.concatenate([targets, rows["first"]]))
    covers = {number: _Cover(texts[number], window) for number in targets.tolist()}
    for meeting in ("first", "last"):
        texts |= _read(layout, rows[meeting][~np.isin(rows[meeting], list(texts))])
        columns = (rows[name].tolist() for name in ("document", "word", meeting, f"{meeting}_word"))
        for document, word, other, other_word in zip(*columns, strict=True):
            covers[document].meet(word, other, other_word, texts[other])
        places = zip(rows["document"].tolist(), rows["word"].tolist(), strict=True)
        at_edge = np.array([not covers[d].holds(word - window, word + 2 * window) for d, word in places], dtype=bool)
        rows = rows[at_edge & ((rows["first"] != rows["last"]) | (rows["first_word"] != rows["last_word"]))]
    return [cut for document in targets.tolist() for cut in _runs(layout, document, covers[document].sources)]


class _Cover:
    """Which words of a text occurred before, and where."""

    def __init__(self, text: WordHashes, window: int) -> None:
        self.sources = np.zeros(len(text.hashes), dtype=np.int64)
        """For each word 1 + the document that has it before, or 0."""
        self._hashes, self._window = text.hashes, window
        self._followed: dict[tuple[int, int], int] = {}
        self._left = MOST_COMPARED * len(text.hashes)

    def holds(self, first: int, last: int) -> bool:
        return bool(self.sources[max(first, 0) : last].all())

    def meet(self, word: int, other: int, other_word: int, there: WordHashes) -> None:
        """Follow a meeting to both sides; a text that repeats itself in very many ways is not followed in all."""
        diagonal = other, word - other_word
        known = self.holds(word, word + half_of(self._window))
        if word < self._followed.get(diagonal, 0) or (known and self._left <= 0):
            return
        back = _common(self._hashes[:word][::-1], there.hashes[:other_word][::-1])
        ahead = _common(self._hashes[word:], there.hashes[other_word:])
        self._followed[diagonal] = word + ahead
        self._left -= back + ahead
        if back + ahead >= self._window:
            span = self.sources[word - back : word + ahead]
            span[span == 0] = other + 1


def _read(layout: TableLayout, documents: NDArray[np.int64]) -> dict[int, WordHashes]:
    return {
        number: word_hashes([document.text])
        for numbers, found in layout.documents(np.unique(documents))
        for number, document in zip(numbers.tolist(), found, strict=True)
    }


def _common(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> int:
    """Length of the common beginning; it costs no more than about twice that."""
    done, step, most = 0, FIRST_STEP, min(len(left), len(right))
    while done < most:
        end = min(done + step, most)
        same = left[done:end] == right[done:end]
        if not same.all():
            return done + int(same.argmin())
        done, step = end, 2 * step
    return done


def _runs(layout: TableLayout, document: int, sources: NDArray[np.int64]) -> Iterator[tuple[int, int, int, int]]:
    """Every run of words that has a source, as characters of the text."""
    edges = np.flatnonzero(np.diff(sources > 0, prepend=False, append=False)).reshape(-1, 2)
    if not len(edges):
        return
    _, (found,) = next(layout.documents(np.array([document])))
    words = word_hashes([found.text])
    ends = np.stack([words.starts[edges[:, 0]], words.ends[edges[:, 1] - 1]], axis=1)
    if not found.text.isascii():
        data = np.frombuffer(found.text.encode(errors="replace") + b" ", dtype=np.uint8)
        ends = (np.cumsum((data & 0xC0) != 0x80) - 1)[ends]
    for (start, end), source in zip(ends.tolist(), sources[edges[:, 0]].tolist(), strict=True):
        yield document, start, end, source - 1
