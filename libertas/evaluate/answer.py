"""Asking: items and readings -> requests, one pass over them, and what was chosen under every reading."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from libertas.errors import UsageError
from libertas.evaluate.asked import AskedItem, RequestSheet, ask_item
from libertas.evaluate.asking import Asking
from libertas.evaluate.chat import Prompting, framed, prompting_of
from libertas.evaluate.encode import Pair
from libertas.evaluate.item import Item
from libertas.evaluate.reading import DEFAULT_READINGS, Compared, Reading
from libertas.evaluate.score import Request, fit, score
from libertas.evaluate.shots import NONE, Shots, examples_for
from libertas.model.transformer import Model


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
    """What is chosen without passage and question: above chance, the choices give themselves away; -1 where that
    was not asked, as of an item that has neither."""
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


@dataclass(frozen=True, slots=True)
class _Found:
    total: float
    """Log-probability of all scored tokens together."""
    tokens: int
    likeliest: bool
    truncated: bool
    spanned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """One way to lay out a task; several share a pass, and what they have in common is read once."""

    items: Sequence[Item]
    """With choices."""
    readings: Sequence[Reading]
    """Of protocols that compare choices; those of one protocol share its requests."""
    pool: Sequence[Item] = ()
    """Items that may be examples."""
    shots: Shots = NONE


def answer(
    model: Model,
    tokenizer: Tokenizer,
    items: Sequence[Item],
    readings: Sequence[Reading] = DEFAULT_READINGS,
    pool: Sequence[Item] = (),
    shots: Shots = NONE,
    title: str = "multiple choice",
    prompting: Prompting | None = None,
    refused: list[str] | None = None,
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
        prompting: what the model's files say of prompts; without it, it was trained here.
        refused: is filled with a line for each item that cannot be asked.

    Raises:
        UsageError: an item cannot be asked, and `refused` is not given.
    """
    arrangement = Arrangement(items=items, readings=readings, pool=pool, shots=shots)
    return answer_arranged(model, tokenizer, [arrangement], title, prompting=prompting, refused=refused)[0]


def answer_arranged(
    model: Model,
    tokenizer: Tokenizer,
    arrangements: Sequence[Arrangement],
    title: str,
    blind: bool = True,
    before: Callable[[Sequence[Request]], None] | None = None,
    prompting: Prompting | None = None,
    refused: list[str] | None = None,
) -> list[list[Choice]]:
    """What `answer` says of each arrangement, from one pass over all of them.

    An item that cannot be asked in one of them is left out of all, so that they have the same items.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        arrangements: equal prompts and choices of several are scored once.
        title: of the progress bar.
        blind: whether the choices are also asked for without passage and question.
        before: is shown the requests before they are scored.
        prompting: what the model's files say of prompts; without it, it was trained here.
        refused: is filled with a line for each item that cannot be asked.

    Raises:
        UsageError: an item cannot be asked, and `refused` is not given.
    """
    said = prompting or prompting_of(tokenizer)
    sheet = RequestSheet()
    asked = [_arranged(sheet, arrangement, said, blind) for arrangement in arrangements]
    pairs = sheet.tokenized(tokenizer, said)
    everything = (one for rows in asked for own in rows for one in own.values())
    why = sheet.unaskable(pairs, everything, model.config.context)
    if refused is None and why:
        raise UsageError(next(iter(why.values())))
    if refused is not None:
        refused += why.values()
    kept = [[own for own in rows if all(one.item.id not in why for one in own.values())] for rows in asked]
    numbers = {number for rows in kept for own in rows for one in own.values() for number in one.numbers}
    found = _found(model, pairs, sorted(numbers), title, before)
    return [
        [_choice(reading, own[_key(reading)], found) for own in rows for reading in arrangement.readings]
        for arrangement, rows in zip(arrangements, kept, strict=True)
    ]


def _key(reading: Reading) -> tuple[str, Asking]:
    """Readings with the same key share their requests."""
    return reading.protocol.name, reading.asking


def _arranged(
    sheet: RequestSheet, arrangement: Arrangement, prompting: Prompting, blind: bool
) -> list[dict[tuple[str, Asking], AskedItem]]:
    """Every item under every protocol of the arrangement."""
    ways = {reading.normalization for reading in arrangement.readings}
    asked = []
    for item in arrangement.items:
        examples = examples_for(item, arrangement.pool, arrangement.shots)
        own = {_key(reading): reading for reading in arrangement.readings}
        asked.append({k: ask_item(sheet, one, prompting, item, examples, ways, blind) for k, one in own.items()})
    return asked


def first_prompt(
    items: Sequence[Item],
    reading: Reading,
    pool: Sequence[Item],
    shots: Shots,
    prompting: Prompting,
) -> str:
    """The words before the first item's answer, examples and chat template included."""
    item, protocol = items[0], reading.protocol
    examples = examples_for(item, pool, shots)
    return framed(protocol.prompt(item), protocol.cue_of(item), protocol, item, examples, reading.asking, prompting)


def _found(
    model: Model,
    pairs: Sequence[Pair],
    numbers: Sequence[int],
    title: str,
    before: Callable[[Sequence[Request]], None] | None,
) -> dict[int, _Found]:
    """What the model makes of the requests with these numbers."""
    fitted = [fit(pairs[number].tokens, pairs[number].scored, model.config.context) for number in numbers]
    requests = [request for request, _ in fitted]
    if before is not None:
        before(requests)
    return {
        number: _Found(one.total, len(one.log_probabilities), one.likeliest, truncated, pairs[number].spanned)
        for number, one, (_, truncated) in zip(numbers, score(model, requests, title), fitted, strict=True)
    }


def _choice(reading: Reading, asked: AskedItem, found: Mapping[int, _Found]) -> Choice:
    def scores(numbers: Sequence[int]) -> list[float]:
        return [
            reading.score(
                Compared(
                    log_probability=found[number].total,
                    text=asked.choices[i],
                    tokens=found[number].tokens,
                    after_cue=found[asked.after_cue[i]].total if asked.after_cue else 0.0,
                    after_nothing=found[asked.after_nothing[i]].total if asked.after_nothing else 0.0,
                )
            )
            for i, number in enumerate(numbers)
        ]

    given = [found[number] for number in asked.given]
    compared = scores(asked.given)
    chosen = int(np.argmax(compared))
    if reading.protocol.must_be_likeliest and not given[chosen].likeliest:
        chosen = -1
    return Choice(
        item=asked.item,
        reading=reading.name,
        log_probabilities=tuple(one.total for one in given),
        scores=tuple(compared),
        chosen=chosen,
        answer_only=int(np.argmax(scores(asked.blind))) if asked.blind else -1,
        truncated=any(one.truncated for one in given),
        spanned=any(one.spanned for one in given),
    )
