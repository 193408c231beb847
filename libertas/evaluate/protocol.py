"""Protocols: different ways to ask one and the same item, which is why one model has several scores.

- `letters` shows the choices and compares the letters, as the original MMLU does (Hendrycks et al. 2021);
- `text` hides them and compares the log-probability of each choice's text;
- `bytes` reads the same numbers divided by the choice's UTF-8 bytes (lm-eval's `acc_bytes`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from libertas.evaluate.item import Item
from libertas.evaluate.score import Request, end_of_text, fit, log_probabilities
from libertas.lineage.fingerprint import canonical, digest
from libertas.model.transformer import Model

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

CONTINUES = "Which of these continues the text?"
"""Asked by `letters` when an item has no question of its own."""

START = "every prompt follows one end-of-text token, as every document did in training"
BOUNDARY = (
    "a choice's tokens are those of prompt + choice after the longest token prefix shared with the prompt alone; where "
    "a token spans the join it is scored with the choice, and the record is marked"
)
TRUNCATION = "prompts longer than the model's context lose tokens at the left, and the record is marked"


@dataclass(frozen=True)
class Protocol:
    """A way to turn an item into prompts and numbers."""

    name: str
    prompt: Callable[[Item], str]
    continuations: Callable[[Item], tuple[str, ...]]
    per_byte: bool
    """Whether a choice's log-probability is divided by its length in bytes."""

    @property
    def fingerprint(self) -> str:
        """Hash of what decides a score besides model and item: templates, as applied to a fixed item, and rules."""
        item = Item("i", "Q?", (" one", " two"), 0, " one", "P", "g")
        shown = [[self.prompt(i), self.continuations(i)] for i in (item, replace(item, question=""))]
        return digest(canonical([self.name, shown, self.per_byte, START, BOUNDARY, TRUNCATION]))


def letters_prompt(item: Item) -> str:
    """Passage, question, the lettered choices on one line each, `Answer:`."""
    options = "".join(f"{LETTERS[i]}. {' '.join(c.split())}\n" for i, c in enumerate(item.choices))
    passage = f"{item.passage}\n" if item.passage else ""
    return f"{passage}Question: {item.question or CONTINUES}\n{options}Answer:"


def letters_continuations(item: Item) -> tuple[str, ...]:
    """One letter per choice, after a space."""
    return tuple(f" {letter}" for letter in LETTERS[: len(item.choices)])


def text_prompt(item: Item) -> str:
    """The passage alone when the choices continue it; otherwise passage and question, the choices hidden."""
    if not item.question:
        return item.passage
    passage = f"{item.passage}\n" if item.passage else ""
    return f"{passage}Question: {item.question}\nAnswer:"


def text_continuations(item: Item) -> tuple[str, ...]:
    """The choices as they stand; after `Answer:`, with one space."""
    return item.choices if not item.question else tuple(f" {c.strip()}" for c in item.choices)


PROTOCOLS = (
    Protocol("letters", letters_prompt, letters_continuations, per_byte=False),
    Protocol("text", text_prompt, text_continuations, per_byte=False),
    Protocol("bytes", text_prompt, text_continuations, per_byte=True),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model answered one item under one protocol."""

    item: Item
    protocol: str
    log_probabilities: tuple[float, ...]
    """Natural-log probability of each choice's tokens."""
    scores: tuple[float, ...]
    """What was compared: the same, divided where the protocol says so."""
    chosen: int
    """The highest score; the first of equals."""
    answer_only: int
    """What is chosen without passage and question: above chance, the choices give themselves away."""
    truncated: bool
    spanned: bool
    """Whether a token spans the join of prompt and choice."""

    @property
    def correct(self) -> bool:
        """Whether the gold choice was chosen."""
        return self.chosen == self.item.gold

    def to_json(self) -> dict[str, Any]:
        """One row of `records.jsonl`, without what is known only later."""
        return {
            "item": self.item.id,
            "protocol": self.protocol,
            "log_probabilities": list(self.log_probabilities),
            "scores": list(self.scores),
            "chosen": self.chosen,
            "gold": self.item.gold,
            "correct": self.correct,
            "answer_only": self.answer_only,
            "truncated": self.truncated,
            "token_spans_join": self.spanned,
            **self.item.meta,
        }


def encode_pair(tokenizer: Tokenizer, prompt: str, continuation: str) -> tuple[list[int], int, bool]:
    """Tokens of both, how many at the end are the continuation's, and whether a token spans the join (see BOUNDARY)."""
    alone = tokenizer.encode(prompt, add_special_tokens=False).ids
    whole = tokenizer.encode(prompt + continuation, add_special_tokens=False).ids
    shared = next(
        (i for i, (a, b) in enumerate(zip(alone, whole, strict=False)) if a != b), min(len(alone), len(whole))
    )
    return whole, len(whole) - shared, shared < len(alone)


def answer(
    model: Model, tokenizer: Tokenizer, items: Sequence[Item], protocols: Sequence[Protocol] = PROTOCOLS
) -> list[Choice]:
    """Every item under every protocol, items outermost; also without passage and question, for the baseline.

    Protocols that read the same tokens share the forward pass.
    """
    end = end_of_text(tokenizer)
    requests: list[Request] = []
    marks: list[tuple[bool, bool]] = []
    for item in items:
        for protocol in protocols:
            for asked in (item, replace(item, passage="", question="")):
                prompt = protocol.prompt(asked)
                for continuation in protocol.continuations(item):
                    tokens, scored, spanned = encode_pair(tokenizer, prompt, continuation)
                    request, truncated = fit([end, *tokens], scored, model.config.context)
                    requests.append(request)
                    marks.append((truncated, spanned))
    sums = [float(p.sum()) for p in log_probabilities(model, requests, "multiple choice")]
    choices, place = [], 0
    for item in items:
        for protocol in protocols:
            n = len(item.choices)
            with_passage, alone = sums[place : place + n], sums[place + n : place + 2 * n]
            own = marks[place : place + n]
            place += 2 * n
            scores = _normalized(with_passage, item, protocol)
            choices.append(
                Choice(
                    item=item,
                    protocol=protocol.name,
                    log_probabilities=tuple(with_passage),
                    scores=scores,
                    chosen=int(np.argmax(scores)),
                    answer_only=int(np.argmax(_normalized(alone, item, protocol))),
                    truncated=any(t for t, _ in own),
                    spanned=any(s for _, s in own),
                )
            )
    return choices


def _normalized(sums: Sequence[float], item: Item, protocol: Protocol) -> tuple[float, ...]:
    if not protocol.per_byte:
        return tuple(sums)
    lengths = [len(c.encode()) for c in protocol.continuations(item)]
    return tuple(s / n for s, n in zip(sums, lengths, strict=True))
