"""From a prompt and what may follow it to tokens: where the one ends and the other begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from libertas.evaluate.asking import LM_EVAL, SHARED

BATCH = 1024
"""Texts that the tokenizer, which uses all cores, is handed at once."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its continuation in tokens."""

    tokens: list[int]
    scored: int
    """How many at the end are the continuation's; none where it is empty, or by lm-eval's rule where the prompt's last
    token swallows it."""
    spanned: bool = False
    """Whether a token spans the join; by the shared rule it is scored with the continuation."""


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], boundary: str = SHARED, special: bool = False
) -> list[Pair]:
    """Prompts and continuations as tokens.

    Args:
        tokenizer: adds nothing of its own.
        pairs: prompt and continuation.
        boundary: `shared`: the continuation's tokens are those after the longest token prefix that the prompt alone and
            the whole share. `lm-eval`: as in `TemplateLM._encode_pair` of lm-eval 0.4.
        special: whether special tokens that are spelled out become what they spell, as in chats.
    """
    if boundary == LM_EVAL:
        pairs = [(prompt.rstrip(), prompt[len(prompt.rstrip()) :] + text) for prompt, text in pairs]
    prompts = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompt for prompt, _ in pairs))}
    alone = _encoded(tokenizer, list(prompts), special)
    whole = _encoded(tokenizer, [prompt + continuation for prompt, continuation in pairs], special)
    divide = _cut if boundary == LM_EVAL else _divided
    return [divide(alone[prompts[prompt]], tokens) for (prompt, _), tokens in zip(pairs, whole, strict=True)]


def encode_pair(tokenizer: Tokenizer, prompt: str, continuation: str) -> Pair:
    """One of `encode_pairs`."""
    return encode_pairs(tokenizer, [(prompt, continuation)])[0]


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], special: bool) -> list[list[int]]:
    found: list[list[int]] = []
    usual = tokenizer.encode_special_tokens
    tokenizer.encode_special_tokens = usual and not special
    try:
        for start in range(0, len(texts), BATCH):
            batch = tokenizer.encode_batch_fast(list(texts[start : start + BATCH]), add_special_tokens=False)
            found += [encoding.ids for encoding in batch]
    finally:
        tokenizer.encode_special_tokens = usual
    return found


def _divided(alone: list[int], whole: list[int]) -> Pair:
    if whole[: len(alone)] == alone:
        return Pair(whole, len(whole) - len(alone))
    shared = next(
        (i for i, (a, b) in enumerate(zip(alone, whole, strict=False)) if a != b), min(len(alone), len(whole))
    )
    return Pair(whole, len(whole) - shared, spanned=True)


def _cut(alone: list[int], whole: list[int]) -> Pair:
    """By counting: what the model reads is the prompt's own tokens, even where the whole has others there."""
    scored = whole[len(alone) :]
    return Pair([*alone, *scored], len(scored), spanned=whole[: len(alone)] != alone)
