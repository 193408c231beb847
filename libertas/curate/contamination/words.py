"""Texts as rows of word hashes, in any script, each with its exact place in the text.

Two spellings that Unicode calls compatible and caseless alike (its definition D146) have the same words: characters are
case-folded and decomposed (NFKD) one by one, so that every normalized character still knows which one it came from.
Marks whose order Unicode leaves open (accents, Arabic and Hebrew vowel points, Thai tones: combining class above 0),
apostrophes and invisible characters are left out; all else that is no letter and no digit separates words, as do
HTML's tags. Where a script puts no spaces between words, each character counts as one.

Shape letters: C characters of a chunk, W words, D texts.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import libertas.kernel as kernel
from libertas.curate.contamination.markup import unmarked

HAN_SCALE, LETTERS_SCALE = 2, 5
"""Characters that stand for one English word, in scripts without spaces. Counted in the Universal Declaration of Human
Rights, paragraph by paragraph against the English text: Chinese 2.1, Japanese 2.8; Thai, Lao and Khmer 5.2 to 5.4
letters without tones, Burmese 6.3. The smaller numbers are taken, so that no more is asked of a match than of English.
"""
UNSPACED = {
    HAN_SCALE: ((0x3005, 0x3007), (0x3041, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
                (0x20000, 0x323AF)),
    LETTERS_SCALE: ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
}  # fmt: skip
"""Blocks of scripts without spaces between words: Han and kana; Thai, Lao, Burmese and Khmer."""
APOSTROPHES = frozenset("'`\u00b4\u02b9\u02bb\u02bc\u2018\u2019\u201b\u2032")
SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
"""Variation selectors: they choose a shape, not a letter."""
SEPARATOR, LETTER, ALONE, IGNORED, EXPANDS = range(5)
"""What a character is: between words, in a word, a word by itself, nothing, or several normalized characters."""
CODE_POINTS = 0x110000
IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x2F7FF), (0x30000, 0x323AF))
"""Characters that normalization leaves as they are, assigned or not yet; the table need not ask about each."""
ASKED = (range(0x3400), range(0x4DC0, 0x4E00), range(0xA000, 0xD800), range(0xF900, 0x20000), range(0x2F800, 0x2FA20),
         range(0xE0000, 0xE01F0))  # fmt: skip

CHUNK = 1 << 17
"""Characters that are hashed at a time; the arrays for so many stay in the processor's cache."""
LONGEST_WORD = 1 << 12
"""A chunk ends between words, if there is such a place in its last so many characters."""
BASE, MIXER = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
"""Odd, hence invertible modulo 2^64."""
MODULUS = 1 << 64
MIXING_SHIFT = np.uint64(32)

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Words:
    """The words of some texts, one text after the other."""

    hashes: Hashes
    """Shape (W,)."""
    starts: Places
    """Where each word begins in its text, in characters; shape (W,)."""
    ends: Places
    """Where it ends; characters that belong to no word at its end, such as accents, lie inside."""
    first: Places
    """The first word of each text, and at the end W; shape (D + 1,)."""


@dataclass(frozen=True)
class _Table:
    """What becomes of each code point."""

    kind: NDArray[np.uint8]
    value: NDArray[np.uint64]
    """The normalized character plus 1."""
    expansion: NDArray[np.uint32]
    """Where in `flat` the several characters begin that one becomes."""
    count: NDArray[np.uint8]
    flat: NDArray[np.uint32]


def folded(text: str) -> str:
    """A text case-folded and decomposed, as Unicode compares caselessly (D146)."""
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKD", once.casefold())


def _kind_of(character: str) -> int:
    code, category = ord(character), unicodedata.category(character)
    if character in APOSTROPHES or category == "Cf" or unicodedata.combining(character):
        return IGNORED
    if any(low <= code <= high for low, high in SELECTORS):
        return IGNORED
    if any(low <= code <= high for low, high in IDEOGRAPHS):
        return ALONE
    if category[0] not in "LNM":
        return SEPARATOR
    return ALONE if any(low <= code <= high for part in UNSPACED.values() for low, high in part) else LETTER


@cache
def _table() -> _Table:
    """Built when it is first needed, in a tenth of a second."""
    kind = np.zeros(CODE_POINTS, np.uint8)
    value = np.arange(1, CODE_POINTS + 1, dtype=np.uint64)
    expansion, count = np.zeros(CODE_POINTS, np.uint32), np.ones(CODE_POINTS, np.uint8)
    flat: list[int] = []
    for low, high in IDEOGRAPHS:
        kind[low : high + 1] = ALONE
    for code in (code for block in ASKED for code in block):
        character = chr(code)
        normal = character if character in APOSTROPHES else folded(character)  # U+00B4 would become a space
        if len(normal) == 1:
            kind[code], value[code] = _kind_of(normal), ord(normal) + 1
        elif normal:
            kind[code], expansion[code], count[code] = EXPANDS, len(flat), len(normal)
            flat += map(ord, normal)
        else:
            kind[code] = IGNORED
    return _Table(kind, value, expansion, count, np.array(flat, np.uint32))


_powers: tuple[Hashes, Hashes] = (np.ones(1, np.uint64), np.ones(1, np.uint64))


def _powers_of_base(count: int) -> tuple[Hashes, Hashes]:
    """Powers of the base and of its inverse, grown to the longest chunk seen."""
    global _powers
    if len(_powers[0]) < count:
        size = 1 << (count - 1).bit_length()
        grown = [np.full(size, factor, np.uint64) for factor in (BASE, pow(BASE, -1, MODULUS))]
        for factors in grown:
            factors[0] = 1
            np.multiply.accumulate(factors, out=factors)
        _powers = (grown[0], grown[1])
    return _powers


def mixed(values: Hashes) -> Hashes:
    """Every bit of a hash spread over all of it, in place."""
    values ^= values >> MIXING_SHIFT
    values *= np.uint64(MIXER)
    values ^= values >> MIXING_SHIFT
    return values


def _expanded(codes: NDArray[np.uint32], table: _Table) -> tuple[NDArray[np.uint32], Places]:
    """The normalized characters of codes of which some become several, and which code each came from."""
    counts = table.count[codes]
    owner = np.repeat(np.arange(len(codes)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts, dtype=np.int64) - counts, counts)
    several = counts[owner] > 1
    result = codes[owner]
    result[several] = table.flat[table.expansion[result[several]] + within[several].astype(np.uint32)]
    return result, owner


def _edges(kind: NDArray[np.uint8]) -> tuple[Places, Places]:
    """The first and the last character of each word."""
    word = np.zeros(len(kind) + 2, np.bool_)
    word[1:-1] = kind > SEPARATOR
    if not (kind == ALONE).any():
        turns = np.flatnonzero(word[1:] != word[:-1])
        return turns[0::2], turns[1::2] - 1
    alone = np.zeros(len(word), np.bool_)
    alone[1:-1] = kind == ALONE
    border = (word[1:] != word[:-1]) | alone[1:] | alone[:-1]  # between the characters i - 1 and i
    return np.flatnonzero(word[1:-1] & border[:-1]), np.flatnonzero(word[1:-1] & border[1:])


def _codes(text: str) -> NDArray[np.generic]:
    """Code points: a byte for each where that is enough."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _kept(text: str) -> tuple[NDArray[np.generic], NDArray[np.uint8], Places | None]:
    """Normalized characters without those that are left out, their kinds, and which character each came from.

    The last is None where each is its own.
    """
    table, codes, owner = _table(), _codes(text), None
    kind = table.kind[codes]
    if codes.dtype == np.uint32 and (kind == EXPANDS).any():
        codes, owner = _expanded(codes.astype(np.uint32), table)
        kind = table.kind[codes]
    if (ignored := kind == IGNORED).any():
        kept = np.flatnonzero(~ignored)
        codes, kind, owner = codes[kept], kind[kept], kept if owner is None else owner[kept]
    return codes, kind, owner


def folding_arguments(text: str) -> tuple[Any, ...]:
    """What the native kernel has to be told to fold a text."""
    table, codes = _table(), _codes(text)
    return codes, codes.itemsize, table.kind, table.value, table.expansion, table.count, table.flat


def _words_of_chunk(text: str) -> tuple[Hashes, Places, Places]:
    """Hash, start and end of each word.

    A word's hash is its polynomial in the base, taken from a running sum and shifted back to the word's start, so that
    it does not depend on where the word stands.
    """
    if kernel.native is not None:
        found = np.frombuffer(kernel.native.folded_hashes(*folding_arguments(text)), np.uint64).reshape(-1, 3)
        return found[:, 0], found[:, 1].view(np.int64), found[:, 2].view(np.int64)
    codes, kind, owner = _kept(text)
    starts, lasts = _edges(kind)
    powers, inverses = _powers_of_base(len(codes) + 1)
    running = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_table().value[codes] * powers[: len(codes)] * (kind > SEPARATOR), out=running[1:])
    hashes = mixed((running[lasts + 1] - running[starts]) * inverses[starts])
    if owner is None:
        return hashes, starts, lasts + 1
    following = np.append(owner, len(text))[lasts + 1]  # what is left out after a word's last character belongs to it
    return hashes, owner[starts], np.maximum(following, owner[lasts] + 1)


def windows_of(text: str, size: int) -> Hashes:
    """Hashes of every `size` characters of words in a row, whatever stands between words; shape (windows,)."""
    codes, kind, _ = _kept(unmarked(text))
    values = _table().value[codes[kind > SEPARATOR]]
    if len(values) < size:
        return np.empty(0, np.uint64)
    powers, inverses = _powers_of_base(len(values))
    running = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * inverses[: len(values)], out=running[1:])
    return mixed((running[size:] - running[:-size]) * powers[size - 1 : len(values)])


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int, list[int], str]]:
    """Runs of whole texts, joined by line ends, or parts of a long one.

    Yields the number of the first text, where in it the chunk begins, the lengths of all its texts, and the chunk.
    """
    first, size = 0, 0
    for number, text in enumerate(texts):
        long = len(text) >= CHUNK
        if first < number and (long or size + len(text) >= CHUNK):
            yield first, 0, [len(t) for t in texts[first:number]], "\n".join(texts[first:number])
            first, size = number, 0
        if long:
            for at, part in _parts(text):
                yield number, at, [len(part)], part
            first = number + 1
        else:
            size += len(text) + 1
    if first < len(texts):
        yield first, 0, [len(t) for t in texts[first:]], "\n".join(texts[first:])


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """A long text cut between words, and where each part begins."""
    at = 0
    while at < len(text):
        end = at + CHUNK
        if end < len(text):
            end = max(text.rfind(space, end - LONGEST_WORD, end) for space in " \n") + 1 or end
        yield at, text[at:end]
        at = end


@lru_cache(maxsize=1 << 14)
def _spelling(character: str) -> tuple[tuple[int, str], ...]:
    """The normalized characters of one, each with its kind."""
    return tuple((_kind_of(c), c) for c in (character if character in APOSTROPHES else folded(character)))


def folded_words(text: str) -> list[str]:
    """The words of a text as they are compared, made without any hash: what two equal spans have in common."""
    words, in_word = [], False
    for kind, character in (pair for c in unmarked(text) for pair in _spelling(c)):
        if kind in (LETTER, ALONE):
            if kind == ALONE or not in_word:
                words.append("")
            words[-1] += character
        if kind != IGNORED:
            in_word = kind == LETTER
    return words


def scale_of(text: str) -> int:
    """How many words of ours a text has for one English word: more than 1 where most words are single characters."""
    if text.isascii():
        return 1
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    alone = {s: sum(int(((codes >= low) & (codes <= high)).sum()) for low, high in UNSPACED[s]) for s in UNSPACED}
    most = max(alone, key=lambda s: alone[s])
    return most if 2 * alone[most] >= len(words_of([text]).hashes) > 0 else 1


def words_of(texts: Sequence[str]) -> Words:
    """The words of some texts; those of each depend on it alone. Memory: 24 bytes a word, and one chunk."""
    hashes, starts, ends = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    counts = np.zeros(len(texts) + 1, np.int64)
    for first, at, lengths, chunk in _chunks([unmarked(text) for text in texts]):
        some, begin, end = _words_of_chunk(chunk)
        base = np.cumsum([0, *lengths[:-1]]) + np.arange(len(lengths))
        inside = np.diff(np.searchsorted(begin, base), append=len(begin))
        owner = np.repeat(np.arange(len(lengths)), inside)
        hashes.append(some)
        starts.append(begin - base[owner] + at)
        ends.append(end - base[owner] + at)
        counts[first + 1 : first + 1 + len(lengths)] += inside
    return Words(np.concatenate(hashes), np.concatenate(starts), np.concatenate(ends), np.cumsum(counts))
