"""What is known of each block of a page, as a row of numbers: its text, its tags, its containers, its place.

Everything is computed for all blocks at once: the texts are joined into one row of bytes, and counted and looked up
there.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import libertas.kernel as kernel
from libertas.gather.blocks import CONTAINERS, LEAVES, Blocks

Floats = NDArray[np.float32]
SPACE, WORD, DIGIT, UPPER, END, COMMA, MARK, CONTINUED, DENSE = 0, 1, 2, 3, 4, 5, 6, 7, 8
CLASSES = 9
CLASS = np.full(256, WORD, np.intp)
CLASS[:48] = MARK
CLASS[[9, 10, 11, 12, 13, 32]] = SPACE
CLASS[list(b"0123456789")] = DIGIT
CLASS[65:91] = UPPER
CLASS[list(b".!?")] = END
CLASS[list(b",;")] = COMMA
CLASS[list(b":/<=>@[\\]^_`{|}~")] = MARK
CLASS[0x80:0xC0] = CONTINUED
CLASS[0xE3:0xEE] = DENSE
CLASS[0xEF] = DENSE
CLASS[0xEE] = MARK
"""Kind of each byte of UTF-8. DENSE begins a character of Chinese, Japanese and Korean, where words have no spaces."""
DENSE_WORDS = 0.5
"""Words for each such character, roughly."""
LETTER = np.isin(CLASS, [WORD, DIGIT, UPPER, CONTINUED, DENSE])
CLOSING = np.isin(np.arange(256), list(b".!?:\"')"))
"""How a sentence ends, in ASCII."""

PREFIX = 8
"""Words are known by so many first bytes, in lower case."""
SHORTER = np.array([(1 << 8 * n) - 1 for n in range(PREFIX)] + [2**64 - 1], np.uint64)
"""What to keep of a key when the word has so many bytes (little-endian)."""
BUCKET_BITS = 16
BUCKET_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: Knuth's multiplicative hash."""
BEGINNING = 240
"""Of a block, so many first characters are looked at for words."""
LONG = 40
"""Blocks with so many words are no title."""
UP = 8
"""Containers around a block that are looked at."""
STATISTICS = 4
"""Containers around a block whose text is counted."""
GOOD_CHARACTERS = 80
GOOD_LINKED = 0.3
"""Blocks at least so long, and at most to this share in links, are taken for prose."""
AROUND = (
    "nav", "header", "footer", "aside", "form", "article", "main", "section", "table", "ul", "ol", "blockquote",
    "figure", "dl", "address",
)  # fmt: skip
AROUND_BIT = np.zeros(len(CONTAINERS) + 1, np.int64)
for _bit, _tag in enumerate(AROUND):
    AROUND_BIT[CONTAINERS.index(_tag)] = 1 << _bit

TABLES = CLASS.astype(np.uint8), CLOSING, AROUND_BIT
"""What the kernel has to know of letters and containers."""
SIZES = 19
"""So many of the features are sizes, of which the logarithm counts."""
ROWS = SIZES + 49 + len(LEAVES) + len(AROUND)


def word_keys(text: str) -> tuple[NDArray[np.uint64], NDArray[np.intp], NDArray[np.intp]]:
    """Words of texts joined by NUL: the first bytes of each in lower case as one number, where it begins, and where the
    texts end."""
    letters = np.frombuffer(text.lower().encode("utf-8", "replace") + bytes(PREFIX), np.uint8)
    is_letter = LETTER[letters]
    edges = np.flatnonzero(is_letter[1:] != is_letter[:-1]) + 1
    if is_letter[0]:
        edges = np.concatenate([[0], edges])
    starts, ends = edges[0::2], edges[1::2]
    prefixes = np.lib.stride_tricks.as_strided(letters, (len(letters) - PREFIX + 1, PREFIX), (1, 1))[starts]
    keys = np.ascontiguousarray(prefixes).view(np.uint64)[:, 0]
    return keys & SHORTER[np.minimum(ends - starts, PREFIX)], starts, np.flatnonzero(letters == 0)


def _buckets(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    return ((keys * BUCKET_FACTOR) >> np.uint64(64 - BUCKET_BITS)).astype(np.intp)


class Lexicon:
    """What words say for main content, in log odds."""

    def __init__(self, words: NDArray[np.uint64], odds: Floats) -> None:
        """`words` are keys of words as `word_keys` gives them, and `odds` what each says."""
        self.keys = np.zeros(1 << BUCKET_BITS, np.uint64)
        self.odds = np.zeros(1 << BUCKET_BITS, np.float32)
        order = np.argsort(np.abs(odds), kind="stable")  # of two words in one bucket, the one that says more stays
        buckets = _buckets(words[order])
        self.keys[buckets], self.odds[buckets] = words[order], odds[order]

    def said(self, keys: NDArray[np.uint64]) -> Floats:
        """What each word says; nothing, where it is not known."""
        buckets = _buckets(keys)
        result: Floats = self.odds[buckets] * (self.keys[buckets] == keys)
        return result

    def sums(self, texts: list[str]) -> Floats:
        """What the words of each text say together."""
        keys, starts, ends = word_keys("\0".join([text[:BEGINNING] for text in texts]))
        return np.bincount(np.searchsorted(ends, starts), self.said(keys), len(texts)).astype(np.float32)


class Features:
    """Features of blocks, with what was learned about words and names."""

    def __init__(self, names: Lexicon, words: Lexicon) -> None:
        """`names` knows the attributes of tags (`entry`, `sidebar`), and `words` what stands in short blocks."""
        self.names, self.words = names, words

    def of(self, blocks: Blocks, title: str) -> Floats:
        """One row for each block."""
        if kernel.native is None:
            rows = self.rows(blocks, title)
        else:
            rows = np.empty((ROWS, len(blocks.text)), np.float32)
            b, names, words = blocks, self.names, self.words
            kernel.native.fill_features(
                b.text, b.linked, b.leaf, b.names, b.container, b.c_parent, b.c_tag, b.c_names, b.c_depth, b.c_first,
                b.c_last, title, (names.keys, names.odds), (words.keys, words.odds), *TABLES, rows,
            )  # fmt: skip
        np.log1p(rows[:SIZES], out=rows[:SIZES])
        return rows.T

    def rows(self, blocks: Blocks, title: str) -> Floats:
        """One column for each block, with sizes as they are; without the kernel."""
        n = len(blocks.text)
        joined = "\n".join(blocks.text) + "\n"
        raw = np.frombuffer(joined.encode("utf-8", "replace"), np.uint8)
        ends = np.flatnonzero(raw == 10)
        starts = np.empty_like(ends)
        starts[0], starts[1:] = 0, ends[:-1] + 1
        size = (ends - starts).astype(np.float32)
        counted = np.bincount(np.repeat(np.arange(0, n * CLASSES, CLASSES), ends - starts + 1) + CLASS[raw])
        counts = np.zeros((CLASSES, n), np.float32)
        counts.T.flat[: len(counted)] = counted
        characters = size - counts[CONTINUED]
        words = counts[SPACE] + DENSE_WORDS * counts[DENSE]
        linked = np.minimum(np.array(blocks.linked, np.float32), characters) / np.maximum(characters, 1)
        prose = characters * ((linked < GOOD_LINKED) & ((characters > GOOD_CHARACTERS) | (counts[DENSE] > 20)))
        first, last, before = raw[starts], raw[ends - 1], raw[np.maximum(ends - 3, 0)]
        leaf = np.array(blocks.leaf)
        heading = leaf == LEAVES.index("h1")
        said = self.names.sums(blocks.names)
        index = np.arange(n, dtype=np.float32)
        total, all_prose = max(float(characters.sum()), 1.0), max(float(prose.sum()), 1.0)
        shares = [
            linked,
            characters / words / 10,
            *(counts[[END, COMMA]] / words),
            *(counts[[UPPER, DIGIT, DENSE, MARK]] / size),
            index / n,
            (np.cumsum(characters) - characters) / total,
            (np.cumsum(prose) - prose) / all_prose,
            np.full(n, all_prose / total),
            said,
        ]
        marks = [
            linked == 0,
            CLOSING[last] | ((before == 0xE2) & (last >= 0x80)) | ((before == 0xE3) & (last == 0x82)),
            (first >= 97) & (first <= 122),
            (first >= 65) & (first <= 90),
            (first >= 48) & (first <= 57),
            first >= 128,
            np.cumsum(heading) > 0,
            _repeated(blocks.text),
            *(leaf == np.arange(len(LEAVES))[:, None]),
        ]
        sizes = [characters, words, index, n - index, np.full(n, n), np.full(n, total)]
        words_say = self._words(blocks.text, words, title)
        more_shares, more_marks, more_sizes = self._containers(blocks, characters, linked, prose, all_prose)
        return np.array([*sizes, *more_sizes, *shares, *words_say, *more_shares, *marks, *more_marks], np.float32)

    def _words(self, texts: list[str], words: Floats, title: str) -> list[NDArray[Any]]:
        """What the beginning of each block says, and how far it is the words of the title."""
        n = len(texts)
        keys, starts, ends = word_keys("\0".join([text[:BEGINNING] for text in texts]))
        block = np.searchsorted(ends, starts)
        odds = self.words.said(keys)
        known = np.maximum(np.bincount(block, minlength=n), 1)
        both = np.bincount(block, odds, n)
        good = np.bincount(block, np.maximum(odds, 0), n)
        titled: NDArray[Any] = np.zeros(n)
        of_title = 1
        if title:
            table = np.sort(word_keys(title)[0])
            of_title = max(len(table), 1)
            if len(table):
                place = np.minimum(np.searchsorted(table, keys), of_title - 1)
                titled = np.bincount(block, table[place] == keys, n) * (words < LONG)
        return [good / 5, (both - good) / 5, good / known, (both - good) / known, titled / known, titled / of_title]

    def _containers(
        self, blocks: Blocks, characters: Floats, linked: Floats, prose: Floats, all_prose: float
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Shares, marks and sizes of the containers around each block."""
        n, m = len(blocks.text), len(blocks.c_parent)
        parent = np.array([*blocks.c_parent, m])
        parent[0] = m
        first = np.array([*blocks.c_first, 0])
        last = np.array([*blocks.c_last, n])
        depth = np.array([*blocks.c_depth, 0])
        said = np.append(self.names.sums(blocks.c_names), np.float32(0))
        own = np.array(blocks.container)
        around = np.empty((UP, n), np.int64)
        around[0] = own
        for level in range(1, UP):
            around[level] = parent[around[level - 1]]
        bits = np.bitwise_or.reduce(AROUND_BIT[np.array([*blocks.c_tag, -1])[around]], axis=0)
        heard = said[around]
        sums = np.zeros((4, n + 1), np.float32)
        np.cumsum([characters, characters * linked, prose, np.ones(n, np.float32)], axis=1, out=sums[:, 1:])
        inside = np.maximum(sums[:, last] - sums[:, first], 0)
        all_text, all_linked, all_good, count = inside[:, around[:STATISTICS]]
        shares = [
            *heard[:4],
            heard.cumsum(0)[-1] / 5,
            heard.min(0),
            heard.max(0),
            depth[own] / 20,
            *(all_linked / np.maximum(all_text, 1)),
            *(all_good / all_prose),
        ]
        marks = [*((bits >> np.arange(len(AROUND))[:, None]) & 1)]
        sizes = [*all_text, *(all_text / np.maximum(count, 1)), *count[:3]]
        index = np.arange(n)
        for share in (0.5, 0.8):
            enough = np.flatnonzero(inside[2] >= share * all_prose)
            best = int(enough[np.argmax(depth[enough])]) if len(enough) else m
            a, b = int(first[best]), int(last[best])
            within = (index >= a) & (index < b)
            shares.append((index - a) / max(b - a, 1) * within)
            marks += [within, own == best]
            sizes.append(np.maximum(np.maximum(a - index, index - b + 1), 0))
        return shares, marks, sizes


def _repeated(texts: list[str]) -> NDArray[np.bool_]:
    """Which texts stand on the page more than once."""
    if len(set(texts)) == len(texts):
        return np.zeros(len(texts), np.bool_)
    seen = Counter(texts)
    return np.array([seen[text] > 1 for text in texts])
