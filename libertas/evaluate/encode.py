"""From a prompt and what may follow it to tokens: where the one ends and the other begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

BATCH = 1024
"""Texts that the tokenizer, which uses all cores, is handed at once."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its continuation in tokens."""

    tokens: list[int]
    scored: int
    """How many at the end are the continuation's."""
    spanned: bool = False
    """Whether a token spans the join; it is then scored with the continuation."""


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> list[Pair]:
    """Prompts and continuations as tokens.

    The continuation's tokens are those after the longest token prefix that the prompt alone and the whole share.
    """
    prompts = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompt for prompt, _ in pairs))}
    alone = _encoded(tokenizer, list(prompts))
    whole = _encoded(tokenizer, [prompt + continuation for prompt, continuation in pairs])
    return [_divided(alone[prompts[prompt]], tokens) for (prompt, _), tokens in zip(pairs, whole, strict=True)]


def encode_pair(tokenizer: Tokenizer, prompt: str, continuation: str) -> Pair:
    """One of `encode_pairs`."""
    return encode_pairs(tokenizer, [(prompt, continuation)])[0]


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = []
    for start in range(0, len(texts), BATCH):
        batch = tokenizer.encode_batch_fast(list(texts[start : start + BATCH]), add_special_tokens=False)
        found += [encoding.ids for encoding in batch]
    return found


def _divided(alone: list[int], whole: list[int]) -> Pair:
    if whole[: len(alone)] == alone:
        return Pair(whole, len(whole) - len(alone))
    shared = next(
        (i for i, (a, b) in enumerate(zip(alone, whole, strict=False)) if a != b), min(len(alone), len(whole))
    )
    return Pair(whole, len(whole) - shared, spanned=True)
