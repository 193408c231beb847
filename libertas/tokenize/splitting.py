"""How a text is cut into pieces before pairs are merged: a token never goes over the border of a piece.

Three published rules can be chosen, and those of other tokenizers that are the same are recognized in their files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Of Radford et al. 2019; what `ByteLevel` splits by without a word."""

_BEFORE_NUMBERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_AFTER_NUMBERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = _BEFORE_NUMBERS + r"\p{N}{1,3}" + _AFTER_NUMBERS
"""Of GPT-4 and Llama 3: contractions in any case, a sign before a word goes along, numbers three digits at a time."""
LLAMA3_DIGITS = _BEFORE_NUMBERS + r"\p{N}" + _AFTER_NUMBERS
"""The same, but for digits that stand alone; Qwen 2 splits so."""

RUNS_OF_SPACES = tuple(" " * length for length in range(24, 1, -1))
"""Tokens of GPT-NeoX-20B (Black et al. 2022) for indented code: 24 spaces to 2, in the order of their ids."""

GPT2_RULE, GPT4_RULE, WHOLE_RULE = 0, 1, 2
"""As the kernel knows them: pieces of GPT-2, of GPT-4, and a text that is one piece."""

PATTERNS = {
    GPT2: (GPT2_RULE, 0),
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": (GPT2_RULE, 0),
    LLAMA3: (GPT4_RULE, 3),
    LLAMA3_DIGITS: (GPT4_RULE, 1),
}
"""Patterns with the rule they are, and how many digits go together; the second spells GPT-2's another way."""


@dataclass(frozen=True)
class Rules:
    """How a tokenizer splits, as far as the kernel has to know."""

    rule: int
    """`GPT2_RULE` or `GPT4_RULE`."""
    most_digits: int
    """Digits that go together under `GPT4_RULE`."""
    lone_digits: bool
    """Whether each digit is cut out before anything else."""
    composed: bool
    """Whether texts are brought into normal form C first."""


def prepare(tokenizer: Tokenizer, splitting: str, digits: bool) -> None:
    """Let a new tokenizer normalize and split as one of `config.SPLITTINGS` says, each digit alone if so wished."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=splitting != "llama3")
    if splitting == "llama3":
        pattern = Regex(LLAMA3_DIGITS if digits else LLAMA3)
        steps = [pre_tokenizers.Split(pattern, behavior="isolated"), byte_level]
    else:
        steps = [*([pre_tokenizers.Digits(individual_digits=True)] if digits else []), byte_level]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else byte_level
    if splitting == "neox":
        tokenizer.normalizer = normalizers.NFC()


def without_runs_of_spaces(tokenizer: Tokenizer) -> pre_tokenizers.PreTokenizer:
    """A tokenizer's splitting as it is met by text whose runs of spaces are tokens already; to learn from."""
    runs = pre_tokenizers.Split(Regex(" {2,}"), behavior="removed")
    return pre_tokenizers.Sequence([runs, tokenizer.pre_tokenizer])


def add_runs_of_spaces(tokenizer: Tokenizer) -> None:
    """Give a tokenizer GPT-NeoX's tokens of 2 to 24 spaces, behind all others."""
    tokenizer.add_tokens([AddedToken(run, normalized=True, special=False) for run in RUNS_OF_SPACES])


def rules_of(made: Mapping[str, Any]) -> Rules | None:
    """How a tokenizer splits, from its `tokenizer.json`; None for a way that the kernel does not know."""
    normalizer = made["normalizer"]
    composed = normalizer is not None and normalizer["type"] == "NFC"
    if normalizer is not None and not composed:
        return None
    before = made["pre_tokenizer"] or {"type": "none"}
    *steps, last = (before["pretokenizers"] if before["type"] == "Sequence" else [before]) or [{"type": "none"}]
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        return None
    digits = steps[:1] == [{"type": "Digits", "individual_digits": True}]
    steps = steps[digits:]
    if last.get("use_regex", True):
        return Rules(GPT2_RULE, 0, digits, composed) if not steps else None
    if len(steps) != 1 or steps[0]["type"] != "Split" or steps[0]["behavior"] != "Isolated" or steps[0]["invert"]:
        return None
    pattern = PATTERNS.get(steps[0]["pattern"].get("Regex"))
    return Rules(*pattern, digits, composed) if pattern else None
