"""Writing: items -> prompts, what a model writes after them, and whether that is right.

One answer to each item is the likeliest token after token; several are sampled, each from a seed of its own, so that
none depends on what else is asked (Chen et al. 2021 sample so, with a nucleus of 0.95).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from tokenizers import Tokenizer

from libertas.evaluate.asking import PLAIN
from libertas.evaluate.chat import Prompting, framed, prompting_of
from libertas.evaluate.encode import encode_pairs
from libertas.evaluate.grade import STOPS, before_stop, chosen_in, grade
from libertas.evaluate.item import Item
from libertas.evaluate.reading import Reading
from libertas.evaluate.sandbox import HOOK, best_isolation
from libertas.evaluate.shots import Shots, examples_for
from libertas.evaluate.written import NO_CHOICE, WrittenAnswer
from libertas.generate.decode import MOST_ROWS
from libertas.generate.sample import Sampling, sample
from libertas.generate.stop import stops_at
from libertas.model.transformer import Model
from libertas.terminal import progress, say
from libertas.trace.spans import bytes_of

BATCH_PLACES = 1 << 15
"""Tokens for which the caches of texts that are written together have room: prompts, and what may be added."""
TOP_P = 0.95
"""Several samples are drawn among the likeliest tokens that together have this probability."""
BY_WORDS = ("continuation", "exact")
"""Graders that need no more words than the right answer has: writing stops at the next one."""
ERROR_CHARACTERS = 200
"""Of what a grader said when it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingRules:
    """How answers are written."""

    samples: int = 1
    """Of each item; a single one is the likeliest token after token."""
    temperature: float = 0.8
    """Of several samples."""
    most_tokens: int = 256
    """Of one answer; at most half of the model's context."""
    seed: int = 0
    """Of several samples."""

    def described(self) -> dict[str, Any]:
        """What decides the answers besides model and prompt."""
        told = {"samples": self.samples, "most_tokens": self.most_tokens}
        if self.samples == 1:
            return told
        return {**told, "temperature": self.temperature, "top_p": TOP_P, "seed": self.seed}


def write_answers(
    model: Model,
    tokenizer: Tokenizer,
    items: Sequence[Item],
    reading: Reading,
    pool: Sequence[Item],
    shots: Shots,
    rules: WritingRules,
    title: str,
    prompting: Prompting | None = None,
) -> list[WrittenAnswer]:
    """Let the model answer every item in its own words, and grade that; in the order of the items.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        items: with or without choices.
        reading: of a protocol under which the model writes.
        pool: items that may be examples.
        shots: how many examples stand before an item, and which.
        rules: for writing.
        title: of the progress bars.
        prompting: of the model; otherwise that of one that was trained here.
    """
    known = prompting or prompting_of(tokenizer)
    most = min(rules.most_tokens, (model.config.context + 1) // 2)
    room = model.config.context + 1 - most  # the last token that is written is not read
    prompts = _prompts(tokenizer, items, reading, pool, shots, known)
    kept = [prompt[-room:] for prompt in prompts]
    texts, finished = _texts(model, tokenizer, items, kept, most, rules, _ends(tokenizer, known), title)
    right, errors = graded(items, texts, title)
    return [
        WrittenAnswer(
            item=item,
            reading=reading.name,
            texts=texts[n],
            right=right[n],
            finished=finished[n],
            chosen=tuple(_choice_in(item, text) for text in texts[n]) if item.choices else (),
            truncated=len(kept[n]) < len(prompts[n]),
            error=errors[n],
        )
        for n, item in enumerate(items)
    ]


def _ends(tokenizer: Tokenizer, prompting: Prompting) -> frozenset[int]:
    """The token that ends texts, and the one that ends an answer where a model's settings name another."""
    said = tokenizer.token_to_id(prompting.tokens.get("eos_token", ""))
    return frozenset({prompting.end} if said is None else {prompting.end, said})


def _choice_in(item: Item, text: str) -> int:
    number = chosen_in(item, text)
    return NO_CHOICE if number is None else number


def _prompts(
    tokenizer: Tokenizer,
    items: Sequence[Item],
    reading: Reading,
    pool: Sequence[Item],
    shots: Shots,
    prompting: Prompting,
) -> list[list[int]]:
    """All that the model reads before each answer, however long; never nothing."""
    protocol, asking = reading.protocol, reading.asking.resolved(prompting.usual)
    words = []
    for item in items:
        examples = examples_for(item, pool, shots)
        words.append(framed(protocol.prompt(item), protocol.cue_of(item), protocol, item, examples, asking, prompting))
    pairs = encode_pairs(tokenizer, [(text, "") for text in words], special=asking.chat != PLAIN)
    return [[*prompting.first(pair, asking), *pair.tokens] for pair in pairs]


def _texts(
    model: Model,
    tokenizer: Tokenizer,
    items: Sequence[Item],
    prompts: Sequence[list[int]],
    most: int,
    rules: WritingRules,
    ends: frozenset[int],
    title: str,
) -> tuple[list[tuple[str, ...]], list[tuple[bool, ...]]]:
    """What is written after each prompt, sample by sample, and whether it came to an end."""
    one_byte = cache(lambda token: bytes_of(tokenizer, [token])[0])
    how = Sampling(temperature=rules.temperature if rules.samples > 1 else 0.0, top_p=TOP_P)
    found: list[list[tuple[str, bool]]] = [[] for _ in items]
    with progress(f"{title}: writing", len(items) * rules.samples) as bar:
        for batch in _batches(items, prompts, most):
            rows = [prompts[n] for n in batch]
            grader, words = _ending(items[batch[0]])
            for number in range(rules.samples):
                seeds = [_seed(rules.seed, items[n].id, number) for n in batch]
                stop = _stopped(grader, words, ends, one_byte)
                for n, one in zip(batch, sample(model, rows, most, how, seeds=seeds, stop=stop), strict=True):
                    tokens = [token for token in one.tokens if token not in ends]  # the last one may be
                    found[n].append((before_stop(grader, _decoded(tokens, one_byte)), one.ended))
                bar.advance(len(batch))
    return [tuple(text for text, _ in own) for own in found], [tuple(ended for _, ended in own) for own in found]


def _batches(items: Sequence[Item], prompts: Sequence[list[int]], most: int) -> Iterator[list[int]]:
    """Numbers of prompts that stop alike and are about as long, the longest first."""
    rows: list[int] = []
    for n in sorted(range(len(items)), key=lambda n: (_ending(items[n]), -len(prompts[n]))):
        if rows:
            fits = (len(rows) + 1) * (len(prompts[rows[0]]) + most) <= BATCH_PLACES and len(rows) < MOST_ROWS
            if not fits or _ending(items[n]) != _ending(items[rows[0]]):
                yield rows
                rows = []
        rows.append(n)
    if rows:
        yield rows


def _ending(item: Item) -> tuple[str, int]:
    """What stops the writing: the grader's `STOPS`, and so many words if not 0."""
    return item.grader, len(item.answer.split()) if item.grader in BY_WORDS else 0


def _stopped(
    grader: str, words: int, ends: frozenset[int], one_byte: Callable[[int], bytes]
) -> Callable[[list[int]], bool]:
    """For `sample`: whether a text is at its end; the strings in the last tokens first, which is quickly seen."""
    near = stops_at(STOPS.get(grader, ()), one_byte)

    def stop(tokens: list[int]) -> bool:
        if tokens[-1] in ends:
            return True
        if not words and not near(tokens):
            return False
        text = _decoded(tokens, one_byte)
        return bool(words and len(text.split()) > words) or len(before_stop(grader, text)) < len(text)

    return stop


def _decoded(tokens: Sequence[int], one_byte: Callable[[int], bytes]) -> str:
    return b"".join(map(one_byte, tokens)).decode(errors="replace")


def _seed(seed: int, name: str, number: int) -> int:
    """32 bits: torch's generator reads no more of a seed."""
    return int.from_bytes(sha256(f"{seed} {number} {name}".encode()).digest()[:4])


def graded(
    items: Sequence[Item], texts: Sequence[Sequence[str]], title: str
) -> tuple[list[tuple[bool, ...]], list[str]]:
    """Whether each text is right, and of each item the first error of its grader, empty if there was none.

    Equal answers to an item are graded once. Programs run beside each other, as many as there are cores.
    """
    asked = list(dict.fromkeys((n, text) for n, own in enumerate(texts) for text in own))
    programs = [one for one in asked if items[one[0]].grader == "code"]
    others = [one for one in asked if items[one[0]].grader != "code"]
    if programs and best_isolation() == HOOK:
        say("programs run behind a hook in their interpreter: against accidents, not attacks; there are no namespaces")

    def verdict(one: tuple[int, str]) -> tuple[bool, str]:
        try:
            return grade(items[one[0]], one[1]), ""
        except Exception as error:  # of a grader, at what a model wrote: the other answers count all the same
            return False, " ".join(f"{type(error).__name__}: {error}".split())[:ERROR_CHARACTERS]

    found: dict[tuple[int, str], tuple[bool, str]] = {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = ThreadPoolExecutor(cores)
    try:
        with progress(f"{title}: grading", len(asked)) as bar:
            for some, verdicts in ((programs, threads.map(verdict, programs)), (others, map(verdict, others))):
                for one, said in zip(some, verdicts, strict=True):
                    found[one] = said
                    bar.advance()
    finally:
        threads.shutdown(cancel_futures=True)
    right = [tuple(found[n, text][0] for text in own) for n, own in enumerate(texts)]
    errors = [next((e for text in own if (e := found[n, text][1])), "") for n, own in enumerate(texts)]
    return right, errors
