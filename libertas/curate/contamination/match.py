"""Where documents hold items: n-grams lead to candidates, which are then compared word by word.

An n-gram found by its hash says where to look. There, each part of the item (question, choices, answers, passage) is
sought on its own: a long part by its n-grams of 8 words, a short one as a whole. What lies close together is one
overlap. It counts as

- `question`, when at least 70 % of the question's words, and of what these say, lie in common n-grams (for questions
  below 13 words: all);
- `with_answer`, when the text of the right answer is found there as well;
- `passage`, when only 13 words or more in a row are common;

if its distinct words together say enough. Words and lengths are counted as in English; `words.py` tells how in scripts
without spaces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from libertas.curate.contamination.grams import known_grams, word_grams
from libertas.curate.contamination.probe import ANSWER, GRAM_WORDS, ITEM_BITS, PASSAGE, QUESTION, Probe
from libertas.curate.contamination.words import Hashes, Places, Words, folded_words, words_of

SPAN_WORDS = 13
"""Words in a row that prove an overlap (Brown et al. 2020, appendix C; the Pile)."""
QUESTION_COVERAGE = 0.7
"""Share of a question's words in common n-grams from which it is found (PaLM, Chowdhery et al. 2022, section 8)."""
ANSWER_COVERAGE = 0.5
"""The same for long answers: a solution may be copied with small changes."""
NEARBY = 20
"""Words that may lie between two parts of an item: labels, a heading, a hint."""
ANSWER_NEARBY, SHORT_ANSWER_NEARBY = 100, 50
"""How far from the question, in words, its answer may be; answers of `SHORT_ANSWER` words stand anywhere by chance."""
SHORT_ANSWER = 3
PART_WORDS = 4
"""Shorter parts belong to an overlap only behind what is already in it: `3` or `True` are no beginnings."""
MOST_SPANS = 1 << 12
"""Places of one part that are looked at around one overlap."""


@dataclass(frozen=True, slots=True)
class Found:
    """An item in a document."""

    document: int
    """Which of the given texts."""
    item: int
    """Which of the probe's items."""
    kind: str
    start: int
    """First character of the overlap in the document, as Python counts them."""
    end: int
    words: int
    """Words in the longest common row, in English measure."""
    coverage: float
    """Share of the question's words that are common; of a `passage`, of its words and the question's."""
    bits: float
    """What the distinct common words say."""
    segment: int
    """The part of the item that the longest common row lies in, counted within the item."""
    segment_start: int
    """First character of that row in the part."""


@dataclass(frozen=True, slots=True)
class _Match:
    """One part of an item against a row of words."""

    covered: NDArray[np.bool_]
    """Which of the part's words are common; shape (words of the part,)."""
    spans: Places
    """First and last word, plus one, of every common stretch in the row; shape (spans, 2)."""
    longest: tuple[int, int, int]
    """The longest common row: how many words, where in the row of words, where in the part."""

    @property
    def share(self) -> float:
        return float(self.covered.mean()) if len(self.covered) else 0.0


NO_SPANS = np.empty((0, 2), np.int64)


def find_items(
    texts: Sequence[str], probe: Probe, words: Words | None = None, done: NDArray[np.bool_] | None = None
) -> Iterator[Found]:
    """All overlaps of some texts with the items of a probe, by text, item and place.

    Time is linear in the text; each overlap costs as much again as its surroundings are long.

    Args:
        texts: any; what is found in one depends on it alone.
        probe: of the items.
        words: of the texts, where they are known already.
        done: items that are passed over, shape (items,); it may change between two overlaps.
    """
    words = words_of(texts) if words is None else words
    for document, item, anchors in _anchors(words, probe):
        if done is not None and done[item]:
            continue
        low, high = words.first[document : document + 2].tolist()
        for place in _places(anchors - low, item, probe):
            judged = _judged(words, (low, high), place, item, probe)
            if judged and (found := _described(texts[document], words, document, item, judged, probe)):
                yield found


def _anchors(words: Words, probe: Probe) -> Iterator[tuple[int, int, Places]]:
    """Text, item, and first and last word of every n-gram that leads from one to the other: shape (n-grams, 2)."""
    at, length, key = known_grams(words.hashes, probe.lengths.tolist(), probe.known)
    document = np.searchsorted(words.first, at, side="right") - 1
    inside = at + length <= words.first[document + 1]
    at, length, key, document = at[inside], length[inside], key[inside], document[inside]
    counts = probe.begin[key + 1] - probe.begin[key]
    which = np.repeat(np.arange(len(at)), counts)
    item = probe.owners[np.repeat(probe.begin[key] - (np.cumsum(counts) - counts), counts) + np.arange(len(which))]
    order = np.lexsort((at[which], item, document[which]))
    which, item = which[order], item[order].astype(np.int64)
    new = np.flatnonzero(np.diff(document[which], prepend=-1) | np.diff(item, prepend=-1))
    for first, last in pairwise([*new.tolist(), len(which)]):
        some = which[first:last]
        yield int(document[some[0]]), int(item[first]), np.stack([at[some], at[some] + length[some]], axis=1)


def _reach(item: int, probe: Probe) -> int:
    """How far from an n-gram, in words, the rest of its item may lie."""
    first, last = probe.segments[probe.items[[item, item + 1]]].tolist()
    return int(last - first + ANSWER_NEARBY * int(probe.scales[item]))


def _places(anchors: Places, item: int, probe: Probe) -> Iterator[tuple[int, int]]:
    """Stretches of a document, in words, whose n-grams belong together: gaps are shorter than the item reaches."""
    new = np.flatnonzero(np.diff(anchors[:, 0], prepend=-(1 << 40)) > _reach(item, probe))
    for first, last in pairwise([*new.tolist(), len(anchors)]):
        yield int(anchors[first, 0]), int(anchors[first:last, 1].max())


@dataclass(frozen=True, slots=True)
class _Judged:
    """An overlap in words of the whole batch."""

    kind: str
    hull: tuple[int, int]
    coverage: float
    bits: float
    segment: int
    longest: tuple[int, int, int]


def _judged(words: Words, bounds: tuple[int, int], place: tuple[int, int], item: int, probe: Probe) -> _Judged | None:
    """What the surroundings of some n-grams share with an item, if it is enough."""
    scale, reach = int(probe.scales[item]), _reach(item, probe)
    low, high = bounds[0] + max(place[0] - reach, 0), min(bounds[0] + place[1] + reach, bounds[1])
    row = words.hashes[low:high]
    first, last = probe.items[[item, item + 1]].tolist()
    borders = probe.segments[first : last + 1]
    parts = [probe.words[begin:end] for begin, end in pairwise(borders.tolist())]
    roles = probe.roles[first:last].tolist()
    hull = (bounds[0] + place[0] - low, bounds[0] + place[1] - low)
    hull = _grown(hull, [_matched(part, row, scale) for part in parts], roles, scale)
    inner = [_matched(part, row[hull[0] : hull[1]], scale) for part in parts]
    shared = np.concatenate([m.covered & (role != ANSWER) for m, role in zip(inner, roles, strict=True)])
    question = inner[roles.index(QUESTION)]
    best = max((k for k, role in enumerate(roles) if role in (QUESTION, PASSAGE)), key=lambda k: inner[k].longest[0])
    length, at, inside = inner[best].longest
    needed = QUESTION_COVERAGE if len(question.covered) >= SPAN_WORDS * scale else 1.0
    bits, coverage, kind = probe.said(item, shared), question.share, ""
    said = probe.bits[borders[roles.index(QUESTION)] : borders[roles.index(QUESTION) + 1]]
    weighted = float(said[question.covered].sum()) / max(float(said.sum()), 1.0)
    if length and min(coverage, weighted) >= needed and bits >= ITEM_BITS:
        asked = [m.spans for m, role in zip(inner, roles, strict=True) if role in (QUESTION, PASSAGE)]
        other = _without(row, hull[0], np.concatenate(asked))
        near = _answered(other, hull, [part for part, role in zip(parts, roles, strict=True) if role == ANSWER], scale)
        kind = "with_answer" if near else "question"
    elif length >= SPAN_WORDS * scale:
        shared[:] = False
        shared[borders[best] - borders[0] + inside :][:length] = True
        bits, kind = probe.said(item, shared), "passage"
        coverage = float(
            np.concatenate([inner[k].covered for k, r in enumerate(roles) if r in (QUESTION, PASSAGE)]).mean()
        )
    if not kind or bits < ITEM_BITS:
        return None
    return _Judged(kind, (low + hull[0], low + hull[1]), coverage, bits, best, (length, low + hull[0] + at, inside))


def _grown(hull: tuple[int, int], matches: Sequence[_Match], roles: Sequence[int], scale: int) -> tuple[int, int]:
    """A stretch with all that follows each other closely around it.

    Long parts lengthen it wherever they are near. A short one (`3`, `True`) does so once, behind it and in its turn,
    a short question in front of it: such words stand anywhere.
    """
    (start, end), gap = hull, NEARBY * scale
    long = [len(m.covered) >= PART_WORDS * scale for m in matches]
    for again in (False, True):
        some = [m.spans for m, is_long in zip(matches, long, strict=True) if is_long]
        start, end = _chained(start, end, np.concatenate([NO_SPANS, *some]), gap)
        for match, role, is_long in zip(matches, roles, long, strict=True):
            if is_long or again:
                continue
            if role == QUESTION:
                before = match.spans[match.spans[:, 1] <= start][-1:]
                start = int(before[0, 0]) if len(before) and before[0, 1] >= start - gap else start
            behind = match.spans[np.searchsorted(match.spans[:, 0], end) :][:1]
            end = int(behind[0, 1]) if len(behind) and behind[0, 0] <= end + gap else end
    return start, end


def _chained(start: int, end: int, spans: Places, gap: int) -> tuple[int, int]:
    """A stretch with all spans that follow it, or each other, at less than a gap; to the right, and to the left."""
    after = spans[(spans[:, 0] >= start)]
    for first, last in after[np.argsort(after[:, 0], kind="stable")][:MOST_SPANS].tolist():
        if first > end + gap:
            break
        end = max(end, last)
    before = spans[spans[:, 0] < start]
    for first, last in before[np.argsort(-before[:, 1], kind="stable")][:MOST_SPANS].tolist():
        if last < start - gap:
            break
        start = min(start, first)
    return start, end


def _matched(part: Hashes, row: Hashes, scale: int) -> _Match:
    """What a part of an item and a row of words have in common: n-grams of 8 words, or all of a shorter part."""
    size = min(len(part), GRAM_WORDS * scale)
    if not size or len(row) < size:
        return _Match(np.zeros(len(part), np.bool_), NO_SPANS, (0, 0, 0))
    ours, theirs = word_grams(part, [size])[size], word_grams(row, [size])[size]
    order = np.argsort(ours, kind="stable")
    rank = np.minimum(np.searchsorted(ours[order], theirs), len(order) - 1)
    place = np.where(ours[order][rank] == theirs, order[rank], -1)  # in the part, of each n-gram of the row
    common = np.flatnonzero(place >= 0)
    if not len(common):
        return _Match(np.zeros(len(part), np.bool_), NO_SPANS, (0, 0, 0))
    covered = _spread(np.isin(ours, theirs[common]), size)
    breaks = np.flatnonzero((np.diff(common, prepend=-2) != 1) | (np.diff(place[common], prepend=-2) != 1))
    lengths = np.diff(breaks, append=len(common)) + size - 1
    most = int(lengths.argmax())
    at = int(common[breaks[most]])
    spans = np.stack([common[breaks], common[breaks] + lengths], axis=1)
    return _Match(covered, spans, _extended(part, row, int(lengths[most]), at, int(place[at])))


def _spread(begins: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Which words lie in an n-gram, given where n-grams of `size` words begin."""
    edges = np.zeros(len(begins) + size, np.int64)
    edges[: len(begins)] += begins
    edges[size:] -= begins
    inside: NDArray[np.bool_] = np.cumsum(edges)[: len(begins) + size - 1] > 0
    return inside


def _extended(part: Hashes, row: Hashes, length: int, at: int, inside: int) -> tuple[int, int, int]:
    """A common row of words made as long as it can be: length, place in the row, place in the part."""
    while at and inside and row[at - 1] == part[inside - 1]:
        at, inside, length = at - 1, inside - 1, length + 1
    while at + length < len(row) and inside + length < len(part) and row[at + length] == part[inside + length]:
        length += 1
    return length, at, inside


def _without(row: Hashes, start: int, spans: Places) -> Hashes:
    """A row of words in which some spans, counted from `start`, are no words: no answer is found in the question."""
    result = row.copy()
    for first, last in spans.tolist():
        result[start + first : start + last] = 0
    return result


def _answered(row: Hashes, hull: tuple[int, int], answers: Sequence[Hashes], scale: int) -> bool:
    """Whether one of the answers stands in or near a stretch."""
    for answer in answers:
        near = (SHORT_ANSWER_NEARBY if len(answer) <= SHORT_ANSWER * scale else ANSWER_NEARBY) * scale
        if len(answer):
            match = _matched(answer, row[max(hull[0] - near, 0) : hull[1] + near + len(answer)], scale)
            if match.share >= ANSWER_COVERAGE:
                return True
    return False


def _described(text: str, words: Words, document: int, item: int, judged: _Judged, probe: Probe) -> Found | None:
    """An overlap in characters, or None where words of equal hash turn out to be different words."""
    length, at, inside = judged.longest
    segment = probe.texts["segments"][item][judged.segment].as_py()
    part = words_of([segment])
    begin, end = int(part.starts[inside]), int(part.ends[inside + length - 1])
    ours, theirs = segment[begin:end], text[words.starts[at] : words.ends[at + length - 1]]
    if ours != theirs and folded_words(ours) != folded_words(theirs):
        return None
    return Found(
        document=document,
        item=item,
        kind=judged.kind,
        start=int(words.starts[judged.hull[0]]),
        end=int(words.ends[judged.hull[1] - 1]),
        words=length // int(probe.scales[item]),
        coverage=judged.coverage,
        bits=judged.bits,
        segment=judged.segment,
        segment_start=begin,
    )
