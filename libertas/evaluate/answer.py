"""Asking: items and readings -> requests, one pass over them, and what was chosen under every reading."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from libertas.evaluate.encode import encode_pairs
from libertas.evaluate.item import Item
from libertas.evaluate.protocol import Protocol
from libertas.evaluate.reading import DEFAULT_READINGS, Compared, Reading
from libertas.evaluate.score import Scored, fit, score
from libertas.evaluate.shots import NONE, Shots, examples_for
from libertas.model.transformer import Model
from libertas.tokenize.bpe import closing_token


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model answered one item under one reading."""

    item: Item
    reading: str
    log_probabilities: tuple[float, ...]
    """Natural-log probability of each choice's tokens."""
    scores: tuple[float, ...]
    """What was compared."""
    chosen: int
    """The highest score; the first of equals; -1 where it had to be the likeliest token and was not."""
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
            **self.item.meta,
            "item": self.item.id,
            "group": self.item.group,
            "protocol": self.reading,
            "log_probabilities": list(self.log_probabilities),
            "scores": list(self.scores),
            "chosen": self.chosen,
            "gold": self.item.gold,
            "correct": self.correct,
            "answer_only": self.answer_only,
            "truncated": self.truncated,
            "token_spans_join": self.spanned,
        }


class _Sheet:
    """What is asked of a model: prompts and continuations, each pair once."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], int] = {}

    def ask(self, prompt: str, continuation: str) -> int:
        """Number of this continuation of this prompt."""
        return self.numbers.setdefault((prompt, continuation), len(self.numbers))


@dataclass(frozen=True, slots=True)
class _Found:
    scored: Scored
    truncated: bool
    spanned: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """One item under one protocol: numbers of its requests, one for each choice."""

    item: Item
    choices: tuple[str, ...]
    """What is compared, without the space that the protocol adds before it."""
    given: list[int]
    blind: list[int]
    """Without passage and question."""
    after_cue: list[int]
    after_nothing: list[int]


def answer(
    model: Model,
    tokenizer: Tokenizer,
    items: Sequence[Item],
    readings: Sequence[Reading] = DEFAULT_READINGS,
    pool: Sequence[Item] = (),
    shots: Shots = NONE,
    title: str = "multiple choice",
) -> list[Choice]:
    """Every item under every reading, items outermost; also without passage and question, for the baseline.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        items: with choices.
        readings: of protocols that compare choices; those of one protocol share its passes.
        pool: items that may be examples.
        shots: how many examples stand before an item, and which.
        title: of the progress bar.
    """
    sheet = _Sheet()
    protocols = {reading.protocol.name: reading.protocol for reading in readings}
    ways = {reading.normalization for reading in readings}
    asked = []
    for item in items:
        examples = examples_for(item, pool, shots)
        asked.append({name: _ask(sheet, protocol, item, examples, ways) for name, protocol in protocols.items()})
    found = _found(model, tokenizer, sheet, title)
    return [_choice(reading, own[reading.protocol.name], found) for own in asked for reading in readings]


def first_prompt(items: Sequence[Item], protocol: Protocol, pool: Sequence[Item], shots: Shots) -> str:
    """The words before the first item's answer, examples included."""
    return _before(protocol, items[0], examples_for(items[0], pool, shots)) + protocol.prompt(items[0])


def _before(protocol: Protocol, item: Item, examples: Sequence[Item]) -> str:
    return protocol.heading(item) + "".join(protocol.example(example) for example in examples)


def _found(model: Model, tokenizer: Tokenizer, sheet: _Sheet, title: str) -> list[_Found]:
    end = closing_token(tokenizer)
    pairs = encode_pairs(tokenizer, list(sheet.numbers))
    fitted = [fit([end, *pair.tokens], pair.scored, model.config.context) for pair in pairs]
    scored = score(model, [request for request, _ in fitted], title)
    return [
        _Found(one, truncated, pair.spanned) for one, (_, truncated), pair in zip(scored, fitted, pairs, strict=True)
    ]


def _ask(sheet: _Sheet, protocol: Protocol, item: Item, examples: Sequence[Item], ways: set[str]) -> _Asked:
    before = _before(protocol, item, examples)
    nothing = replace(item, passage="", question="")
    pairs = protocol.asked(item)
    texts = tuple(text for _, text in pairs)
    blind = protocol.asked(nothing) if item.ending else [(protocol.prompt(nothing), text) for text in texts]
    return _Asked(
        item=item,
        choices=texts if protocol.continues(item) else tuple(text[1:] for text in texts),
        given=[sheet.ask(before + prompt, text) for prompt, text in pairs],
        blind=[sheet.ask(before + prompt, text) for prompt, text in blind],
        after_cue=[sheet.ask(protocol.cue, text) for text in texts] if "pmi" in ways else [],
        after_nothing=[sheet.ask("", text) for text in texts] if "pmi-bare" in ways else [],
    )


def _choice(reading: Reading, asked: _Asked, found: Sequence[_Found]) -> Choice:
    def scores(numbers: Sequence[int]) -> list[float]:
        return [
            reading.score(
                Compared(
                    log_probability=found[number].scored.total,
                    text=asked.choices[i],
                    tokens=len(found[number].scored.log_probabilities),
                    after_cue=found[asked.after_cue[i]].scored.total if asked.after_cue else 0.0,
                    after_nothing=found[asked.after_nothing[i]].scored.total if asked.after_nothing else 0.0,
                )
            )
            for i, number in enumerate(numbers)
        ]

    given = [found[number] for number in asked.given]
    compared = scores(asked.given)
    chosen = int(np.argmax(compared))
    if reading.protocol.must_be_likeliest and not given[chosen].scored.likeliest:
        chosen = -1
    return Choice(
        item=asked.item,
        reading=reading.name,
        log_probabilities=tuple(one.scored.total for one in given),
        scores=tuple(compared),
        chosen=chosen,
        answer_only=int(np.argmax(scores(asked.blind))),
        truncated=any(one.truncated for one in given),
        spanned=any(one.spanned for one in given),
    )
