"""Hashed n-grams of characters: what the language model sees of a text.

Shapes: `characters` code points, `grams` n-grams of all orders together.
"""

import numpy as np
from numpy.typing import NDArray

import libertas.kernel as kernel
from libertas.gather.script import COMMON, LAST_LETTER, SCRIPT_OF, SCRIPTS, WORDS_FROM

ORDERS = (1, 2, 4)
"""Lengths of the n-grams, in characters."""
BITS = 16
"""An n-gram is a row of a table of two to this power."""
SHIFT = np.uint32(32 - BITS)
MULTIPLIER = np.uint32(0x9E3779B1)
"""2^32 over the golden ratio, made prime (Knuth, The Art of Computer Programming 3, 6.4): spreads hashes evenly."""
KINDS = SCRIPT_OF.tobytes()
HAN, KANA, HANGUL = (SCRIPTS.index(code) for code in ("Hani", "Jpan", "Kore"))


def letters(text: str) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Lower-case code points with one zero for whatever separates words, and the script index of each."""
    codes = np.frombuffer(text.lower().encode("utf-32-le", "replace"), np.uint32)
    kinds = SCRIPT_OF.take(codes, mode="clip")
    if codes.max(initial=0) > LAST_LETTER:
        kinds[codes > LAST_LETTER] = 0
    inside = kinds > 0
    kept = inside.copy()
    kept[1:] |= inside[:-1]
    return (codes * inside)[kept], kinds[kept]


def grams(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Rows of the n-grams of each order at each place."""
    n = len(codes)
    if n < max(ORDERS):
        return np.empty(0, np.uint32)
    out = np.empty(sum(n - order + 1 for order in ORDERS), np.uint32)
    at, rolling = 0, codes
    for order in range(1, max(ORDERS) + 1):
        if order > 1:
            rolling = rolling[:-1] * MULTIPLIER
            rolling += codes[order - 1 :]
        if order in ORDERS:
            out[at : at + len(rolling)] = rolling
            at += len(rolling)
    out *= MULTIPLIER
    out >>= SHIFT
    return out


def seen(text: str) -> tuple[NDArray[np.uint32], int, list[int]]:
    """Rows of the n-grams of a text, how many letters it has (with one for whatever separates words), and how many of
    them are in each of `SCRIPTS`."""
    if kernel.native is None:
        codes, kinds = letters(text)
        return grams(codes), len(codes), np.bincount(kinds, minlength=len(SCRIPTS)).tolist()
    rows, size, counts = kernel.native.seen_grams(text.lower(), KINDS, len(SCRIPTS))
    return np.frombuffer(rows, np.uint32), size, counts


def main_script(kinds: NDArray[np.uint8]) -> str:
    """ISO 15924 code of the script that most letters belong to; `Zyyy` where there are none."""
    return script_of_counts(np.bincount(kinds, minlength=len(SCRIPTS)).tolist())


def script_of_counts(counts: list[int]) -> str:
    """ISO 15924 code of the script that most letters belong to; `Zyyy` where there are none.

    A text of Han characters is Japanese writing if one letter in twenty is kana, Korean if one in five is Hangul.
    """
    counts = [0] * WORDS_FROM + counts[WORDS_FROM:]
    if counts[HAN]:
        if counts[KANA] * 20 > counts[HAN]:
            counts[KANA] += counts[HAN]
        elif counts[HANGUL] * 5 > counts[HAN]:
            counts[HANGUL] += counts[HAN]
    best = counts.index(max(counts))
    return SCRIPTS[best] if counts[best] else COMMON
