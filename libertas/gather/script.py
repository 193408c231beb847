"""Which script a character belongs to, for the scripts that text on the web is written in.

Ranges are those of Unicode 16's Scripts.txt rounded to blocks; names are ISO 15924 codes.
"""

import numpy as np
from numpy.typing import NDArray

COMMON = "Zyyy"
"""The script of digits, punctuation and symbols, which belong to none."""
JOINING = "Zinh"
"""Marks and apostrophes inside words: part of a word, evidence for no script."""
BLOCKS = """
    41-5a 61-7a aa ba c0-d6 d8-f6 f8-24f 250-2af 1d00-1dbf 1e00-1eff 2c60-2c7f a722-a7ff ab30-ab6f fb00-fb06
    ff21-ff5a Latn
    27 2b9-2bf 300-36f 1ab0-1aff 1dc0-1dff 2019 200c-200d 20d0-20ff fe20-fe2f Zinh
    370-3ff 1f00-1fff Grek | 400-52f 1c80-1c8f 2de0-2dff a640-a69f Cyrl | 530-58f fb13-fb17 Armn
    590-5ff fb1d-fb4f Hebr | 600-6ff 750-77f 870-8ff fb50-fdff fe70-fefe Arab | 700-74f 860-86f Syrc
    780-7bf Thaa | 7c0-7ff Nkoo | 800-83f Samr | 840-85f Mand | 900-963 966-97f a8e0-a8ff Deva | 980-9ff Beng
    a00-a7f Guru | a80-aff Gujr | b00-b7f Orya | b80-bff Taml | c00-c7f Telu | c80-cff Knda | d00-d7f Mlym
    d80-dff Sinh | e00-e3e e40-e7f Thai | e80-eff Laoo | f00-fff Tibt | 1000-109f a9e0-a9ff aa60-aa7f Mymr
    10a0-10ff 1c90-1cbf 2d00-2d2f Geor | 1100-11ff 3130-318f a960-a97f ac00-d7ff Kore | 1200-139f 2d80-2ddf
    ab00-ab2f Ethi
    13a0-13ff ab70-abbf Cher | 1400-167f 18b0-18ff Cans | 1680-169f Ogam | 16a0-16ff Runr | 1700-171f Tglg
    1780-17ff 19e0-19ff Khmr | 1800-18af Mong | 1950-197f Tale | 1980-19df Talu | 1a00-1a1f Bugi | 1a20-1aaf Lana
    1b00-1b7f Bali | 1b80-1bbf Sund | 1bc0-1bff Batk | 1c00-1c4f Lepc | 1c50-1c7f Olck | 2c80-2cff Copt | 2d30-2d7f Tfng
    3041-309f 30a0-30ff 31f0-31ff ff66-ff9f Jpan | 3105-312f Bopo | 2e80-2fdf 3005 3007 3400-4dbf 4e00-9fff
    f900-faff Hani
    a000-a4cf Yiii | a4d0-a4ff Lisu | a500-a63f Vaii | a6a0-a6ff Bamu | a840-a87f Phag | a880-a8df Saur
    a900-a92f Kali | a930-a95f Rjng | a980-a9df Java | aa00-aa5f Cham | aa80-aadf Tavt | abc0-abff Mtei
    10330-1034f Goth | 104b0-104ff Osge | 10d00-10d3f Rohg | 11100-1114f Cakm | 11300-1137f Gran | 1e900-1e95f Adlm
    20000-323af Hani
"""
"""First and last code point of each block in hexadecimal, the ISO 15924 code after its blocks. Kana stand for `Jpan`
and Hangul for `Kore`, the codes of the writing systems, since one of their characters settles the matter."""
LAST = 0x1FFFF
"""The table ends here; letters beyond this code point are all Han."""
LAST_LETTER = 0x323AF
"""Beyond this one are tags and private characters, such as fonts of icons have."""


def _table() -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    names = [COMMON, JOINING]
    table = np.zeros(LAST + 1, np.uint8)
    pending: list[tuple[int, int]] = []
    for word in BLOCKS.replace("|", " ").split():
        if word[0].isupper():
            if word not in names:
                names.append(word)
            for first, last in pending:
                table[first : last + 1] = names.index(word)
            pending = []
        else:
            ends = [int(end, 16) for end in word.split("-")]
            pending.append((ends[0], ends[-1]))
    table[LAST] = names.index("Hani")
    return table, tuple(names)


SCRIPT_OF, SCRIPTS = _table()
"""Index into `SCRIPTS` of each code point up to `LAST`."""
WORDS_FROM = 2
"""The first index that is a script; 0 separates words, 1 joins them."""
