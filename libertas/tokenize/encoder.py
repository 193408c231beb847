"""Texts to tokens, fast: the ids of the `tokenizers` library, which is the reference, by the native kernel.

Words repeat, so the kernel remembers what pieces of text became, and merges only those that it has not seen lately. It
takes byte-level BPE with the splittings of `splitting.rules_of`; every other tokenizer is left to the library.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, pre_tokenizers

from libertas import kernel
from libertas.tokenize.splitting import WHOLE_RULE, Rules, rules_of

Ids = NDArray[np.uint32]

CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
ASSIGNED = 0x40000
"""Above are no letters, numbers and spaces: marks, tags, private use, and planes that have no characters yet."""
LETTER, NUMBER, SPACE, DIGIT = 1, 2, 4, 8
"""Kinds of characters, as the kernel knows them."""
KINDS = {LETTER: r"\p{L}", NUMBER: r"\p{N}", SPACE: r"\s"}
NONE = 0xFFFFFFFF
"""No token."""
COMPOSED_BELOW = "\u0300"
"""Text of characters below the first combining one is in normal form C (Unicode standard annex 15)."""
MOST_SPACES = 64
"""Longest token of spaces that the kernel knows."""
MOST_STAYING = 1 << 20
"""Bytes of pieces that the kernel may be told to keep."""
LONGEST_STAYING = 256
"""Bytes of the longest piece that the kernel remembers."""


CONTINUATIONS = frozenset(range(0x80, 0xC0))
"""Bytes within a character of UTF-8."""
NEVER_IN_TEXT = frozenset({0xC0, 0xC1, *range(0xF5, 0x100)})
"""Bytes that no UTF-8 has; many vocabularies lack them."""


class Encoder:
    """A tokenizer that is ready to turn many texts into tokens."""

    def __init__(self, tokenizer: Tokenizer, closing: int | None = None) -> None:
        """Work out whether the kernel can take this tokenizer.

        Args:
            tokenizer: as `bpe.load_tokenizer` or `bpe.learn` returns it.
            closing: token to put behind every text.
        """
        self.tokenizer, self.closing = tokenizer, closing
        made = orjson.loads(tokenizer.to_str())
        self._composed = False
        self._odd: re.Pattern[str] | None = None
        """Added tokens, and characters that the vocabulary cannot spell; a text with one of them is for the library."""
        self._tables = self._kernel_tables(made) if kernel.native is not None else None

    @property
    def by_kernel(self) -> bool:
        """Whether the kernel does the work."""
        return self._tables is not None

    def encode(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The tokens of all texts, one after the other, and how many each has, shape (texts,)."""
        if self._tables is None:
            return self._by_library(texts)
        if self._composed:
            texts = [t if _is_plainly_composed(t) else self.tokenizer.normalizer.normalize_str(t) for t in texts]
        odd = [self._odd is not None and self._odd.search(text) is not None for text in texts]
        if not any(odd):
            return self._by_kernel(texts)
        parts = [(self._by_library if o else self._by_kernel)([text]) for o, text in zip(odd, texts, strict=True)]
        return np.concatenate([ids for ids, _ in parts]), np.concatenate([counts for _, counts in parts])

    def _by_kernel(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        assert kernel.native is not None, "tables are made for the kernel"
        ids, counts = kernel.native.encode_texts(self._tables, list(texts))
        return np.frombuffer(ids, dtype=np.uint32), np.frombuffer(counts, dtype=np.uint32)

    def _by_library(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The reference."""
        closing = [] if self.closing is None else [self.closing]
        found = [[*e.ids, *closing] for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        counts = np.array([len(ids) for ids in found], dtype=np.uint32)
        return np.fromiter((i for ids in found for i in ids), dtype=np.uint32, count=int(counts.sum())), counts

    def _kernel_tables(self, made: Mapping[str, Any]) -> bytearray | None:
        rules, model = rules_of(made), made["model"]
        missing = {byte for character, byte in byte_characters().items() if character not in model["vocab"]}
        if rules is None or not _is_plain(model) or missing & CONTINUATIONS:
            return None
        hidden = self.tokenizer.encode_special_tokens
        added = [token for token in made["added_tokens"] if not (token["special"] and hidden)]
        runs = _runs_of_spaces(added)
        odd = [_characters_with(byte) for byte in sorted(missing - NEVER_IN_TEXT)]
        self._composed = rules.composed
        if added and not runs:
            if rules.composed:
                return None  # they may be sought before or after texts are composed
            odd += [re.escape(token["content"]) for token in added]
        self._odd = re.compile("|".join(odd)) if odd else None
        tables = _Tables(model, rules, runs, NONE if self.closing is None else self.closing)
        return tables.made(tables.exceptions() if model.get("ignore_merges") else b"")


class _Tables:
    """What the kernel has to know of a tokenizer."""

    def __init__(self, model: Mapping[str, Any], rules: Rules, runs: Sequence[int], closing: int) -> None:
        self.vocabulary: dict[str, int] = model["vocab"]
        self.rules, self.runs, self.closing = rules, runs, closing
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        ids = self.vocabulary
        self.merges = np.array([(ids[a], ids[b], ids[a + b]) for a, b in pairs], dtype=np.uint32)

    def made(self, staying: bytes) -> bytearray | None:
        """The memory that the kernel works with, or None if it cannot keep so many exceptions."""
        if len(staying) > MOST_STAYING:
            return None
        kinds = character_kinds(self.rules.lone_digits)
        try:
            return self._made(kinds, staying, self.runs, self.rules, self.closing)
        except ValueError:  # they collide
            return None

    def _made(self, kinds: bytes, staying: bytes, runs: Sequence[int], rules: Rules, closing: int) -> bytearray:
        assert kernel.native is not None, "asked for only where it is there"
        of_byte = {byte: self.vocabulary.get(character, NONE) for character, byte in byte_characters().items()}
        numbers = ([of_byte[byte] for byte in range(256)], self.merges, runs)
        bytes_, merges, spaces = (np.asarray(n, dtype=np.uint32).tobytes() for n in numbers)
        digits = (rules.most_digits, int(rules.lone_digits))
        made: bytearray = kernel.native.token_tables(
            kinds, bytes_, merges, spaces, staying, rules.rule, *digits, closing
        )
        return made

    def _merged(self, texts: list[str]) -> list[Ids]:
        """What merging alone makes of each text."""
        assert kernel.native is not None, "asked for only where it is there"
        tables = self._made(bytes(CODE_POINTS), b"", (), Rules(WHOLE_RULE, 0, False, False), NONE)
        ids, counts = (np.frombuffer(b, dtype=np.uint32) for b in kernel.native.encode_texts(tables, texts))
        return np.split(ids, np.cumsum(counts)[:-1])

    def exceptions(self) -> bytes:
        """Pieces that are tokens though merging leads elsewhere, for a tokenizer that looks pieces up before it merges.

        As the kernel keeps them: size, number of tokens, bytes filled up to words, tokens.
        """
        of, texts = byte_characters(), {}
        for name, number in self.vocabulary.items():
            if of.keys() >= set(name) and (text := _text(bytes(of[c] for c in name))):
                texts[number] = text
        entries = []
        for (number, text), merged in zip(texts.items(), self._merged(list(texts.values())), strict=True):
            if merged.tolist() != [number]:
                data = text.encode()
                if len(data) > LONGEST_STAYING:
                    return bytes(MOST_STAYING + 1)
                head = np.array([len(data), 1], dtype=np.uint32).tobytes()
                entries.append(head + data + bytes(-len(data) % 4) + np.uint32(number).tobytes())
        return b"".join(entries)


def _is_plain(model: Mapping[str, Any]) -> bool:
    """Whether a model is byte-pair encoding without any of the library's variations."""
    varied = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    return model["type"] == "BPE" and not any(model.get(name) for name in varied)


def _runs_of_spaces(added: Sequence[Mapping[str, Any]]) -> list[int]:
    """Ids of tokens of 0, 1, 2… spaces if the added tokens are runs of 2 and more, none left out; otherwise empty."""
    ids = {token["content"]: token["id"] for token in added}
    wanted = [" " * length for length in range(2, len(ids) + 2)]
    bound = any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added)
    if bound or ids.keys() != set(wanted) or not 0 < len(ids) < MOST_SPACES:
        return []
    return [NONE, NONE, *(ids[run] for run in wanted)]


def _characters_with(first: int) -> str:
    """A pattern for the characters whose UTF-8 begins with a byte."""
    if first < 0x80:
        return re.escape(chr(first))
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    bits = 6 * (length - 1)
    low = (first & (0x7F >> length)) << bits
    smallest = {2: 0x80, 3: 0x800, 4: 0x10000}[length]
    return f"[{chr(max(low, smallest))}-{chr(min(low + (1 << bits), CODE_POINTS) - 1)}]"


def _is_plainly_composed(text: str) -> bool:
    return text.isascii() or max(text) < COMPOSED_BELOW


def _text(data: bytes) -> str | None:
    """Bytes as text; None for those that are none, and so never a piece."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=1)
def byte_characters() -> dict[str, int]:
    """The character that stands for each byte in the spelling of byte-level tokens (Radford et al. 2019).

    Printable characters of Latin-1 stand for themselves, the other bytes for the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


@lru_cache(maxsize=2)
def character_kinds(digits: bool) -> bytes:
    """The kind of every character, as the library's own patterns and, for `digits`, its `Digits` say.

    Asking it is the only way to have its version of Unicode. One run over all characters finds stretches of one kind;
    what they are is then asked of the first of each.
    """
    everything = "".join(chr(c) for c in range(ASSIGNED) if c not in SURROGATES)
    kinds = np.zeros(CODE_POINTS, dtype=np.uint8)
    either = Regex("|".join(f"{pattern}+" for pattern in KINDS.values()))
    stretches = [s for s, _ in pre_tokenizers.Split(either, "isolated").pre_tokenize_str(everything)]
    firsts = "".join(s[0] for s in stretches)
    for kind, pattern in KINDS.items():
        others = {s for s, _ in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(firsts)}
        of_kind = set(firsts) - set("".join(others))
        for stretch in stretches:
            if stretch[0] in of_kind:
                kinds[ord(stretch[0]) : ord(stretch[-1]) + 1] |= kind
    if digits:
        alone = pre_tokenizers.Digits(individual_digits=True)
        candidates = [s for s, _ in alone.pre_tokenize_str(everything) if len(s) == 1]
        for found, _ in alone.pre_tokenize_str(f"a{'a'.join(candidates)}a"):
            if len(found) == 1 and found != "a":
                kinds[ord(found)] |= DIGIT
    return kinds.tobytes()
