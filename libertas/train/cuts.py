"""Cutting tokens at characters: the parts are tokens again, as the tokenizer would make them of each part alone.

Encoding whole parts again would cost more than a training step may wait. Byte-level tokenizers split words before they
merge, so only the words around a cut change; everything behind the next clear word boundary keeps its tokens.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, pre_tokenizers

from libertas.errors import UsageError

Ids = NDArray[np.int64]

LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8 at most, so that an excerpt begins with at most three of another's."""
PRINTED = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
"""Bytes that GPT-2's byte-level alphabet writes as themselves; the others become U+0100 and so on, in order."""
PROBE = "a b"


def spelled_bytes(tokenizer: Tokenizer) -> list[bytes | None]:
    """What each token id writes; None for special tokens, and for those that are not spelled in bytes."""
    others = [byte for byte in range(256) if byte not in PRINTED]
    byte_of = {chr(b): b for b in PRINTED} | {chr(0x100 + n): b for n, b in enumerate(others)}
    assert byte_of.keys() == set(pre_tokenizers.ByteLevel.alphabet()), "the library's alphabet has changed"
    added = tokenizer.get_added_tokens_decoder()
    table: list[bytes | None] = [None] * (max(tokenizer.get_vocab().values()) + 1)
    for spelling, number in tokenizer.get_vocab().items():
        if number not in added:
            known = all(character in byte_of for character in spelling)
            table[number] = bytes(byte_of[character] for character in spelling) if known else None
    for number, token in added.items():
        table[number] = None if token.special else token.content.encode()
    return table


class Cutter:
    """Cuts excerpts of one vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Tabulate what tokens write.

        Raises:
            UsageError: the tokenizer changes text, so that parts would not make up the whole.
        """
        self.tokenizer = tokenizer
        self.spelled = spelled_bytes(tokenizer)
        if b"".join(self.spelled[token] or b"" for token in self.encode(PROBE)) != PROBE.encode():
            raise UsageError(
                "objective is 'fim', but the tokenizer does not encode a text as just its bytes; expected a byte-level "
                "one that adds no space (add_prefix_space = false); choose another objective or tokenizer"
            )
        words = [s or b"" for s in self.spelled]
        self.begins_word = np.array([s[:1] == b" " and s[1:2].isalpha() for s in words])
        self.ends_clearly = np.array([s[-1:].isascii() and s[-1:].isalnum() for s in words])
        self.lengths = np.array([len(s) for s in words])

    def encode(self, text: str) -> list[int]:
        """Tokens of a text."""
        (encoding,) = self.tokenizer.encode_batch_fast([text], add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def text(self, tokens: Ids) -> "Text | None":
        """The text of an excerpt; None where it is not UTF-8 but for characters cut off at its ends, or has marks."""
        pieces = [self.spelled[token] for token in tokens.tolist()]
        whole = [piece for piece in pieces if piece is not None]
        if len(whole) < len(pieces):
            return None
        ends = np.concatenate([[0], np.cumsum(self.lengths[tokens])])
        data = b"".join(whole)
        first = next((i for i in range(min(LONGEST_CHARACTER, len(whole))) if not _inside(data, int(ends[i]))), None)
        if first is None:
            return None
        for last in range(len(whole), max(first, len(whole) - LONGEST_CHARACTER), -1):
            try:
                decoded = data[ends[first] : ends[last]].decode()
            except UnicodeDecodeError:
                continue
            return Text(self, tokens, first, last, ends - ends[first], decoded)
        return None


def _inside(data: bytes, place: int) -> bool:
    """Whether a place lies inside a character: UTF-8's continuation bytes begin with the bits 10."""
    return place < len(data) and data[place] & 0xC0 == 0x80


class Text:
    """The text of an excerpt beside its tokens; bytes of characters cut off at its ends stay with the parts there."""

    def __init__(self, cutter: Cutter, tokens: Ids, first: int, last: int, ends: Ids, decoded: str) -> None:
        """Use `Cutter.text`: tokens `first` to `last` write `decoded`, and token i ends before byte `ends[i + 1]`."""
        self.cutter, self.tokens, self.first, self.last = cutter, tokens, first, last
        self.ends, self.decoded = ends, decoded
        clear = cutter.begins_word[tokens[1:]] & cutter.ends_clearly[tokens[:-1]]
        self.boundaries = np.flatnonzero(clear[first : max(first, last - 1)]) + first + 1
        """Tokens between `first` and `last` that begin a word whatever stands before or behind it."""

    @property
    def characters(self) -> int:
        """Whole characters of the excerpt."""
        return len(self.decoded)

    def cut(self, *places: int) -> list[Ids]:
        """Tokens of the parts between some places, which are counted in characters and rise."""
        parts = [self._part(low, high) for low, high in pairwise((0, *places, self.characters))]
        parts[0] = np.concatenate([self.tokens[: self.first], parts[0]])
        parts[-1] = np.concatenate([parts[-1], self.tokens[self.last :]])
        return parts

    def _part(self, low: int, high: int) -> Ids:
        """Tokens of the characters from `low` to `high`; only what lies around a cut is encoded again."""
        text, encode = self.decoded, self.cutter.encode
        begin, end = len(text[:low].encode()), len(text[:high].encode())
        left, right = self._boundary_behind(begin), self._boundary_before(end)
        if left > right:
            return np.array(encode(text[low:high]), dtype=np.int64)
        data = text[low:high].encode()
        before = encode(data[: self.ends[left] - begin].decode())
        behind = encode(data[self.ends[right] - begin :].decode())
        return np.concatenate([before, self.tokens[left:right], behind]).astype(np.int64)

    def _boundary_behind(self, place: int) -> int:
        """The first clear boundary at or behind a byte, as a token; beyond all tokens where there is none."""
        if place == 0:
            return self.first
        found = np.searchsorted(self.ends[self.boundaries], place)
        return int(self.boundaries[found]) if found < len(self.boundaries) else len(self.tokens) + 1

    def _boundary_before(self, place: int) -> int:
        """The last clear boundary at or before a byte, as a token; -1 where there is none."""
        if place == self.ends[self.last]:
            return self.last
        found = np.searchsorted(self.ends[self.boundaries], place, side="right") - 1
        return int(self.boundaries[found]) if found >= 0 else -1
