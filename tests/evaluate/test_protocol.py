from dataclasses import replace

import numpy as np
import pytest
import torch

from libertas.evaluate import answer as answering
from libertas.evaluate import protocol as protocols
from libertas.evaluate.answer import answer
from libertas.evaluate.encode import encode_pair
from libertas.evaluate.item import Item
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.reading import DEFAULT_READINGS
from libertas.evaluate.score import Scored
from libertas.tokenize.bpe import END_OF_TEXT

ITEM = Item(
    id="1",
    question="",
    choices=(" returns the sum", "\n  of numbers", " a string", " the start value may not"),
    gold=0,
    answer=" returns the sum",
    passage="The function",
    group="d",
    meta={"component": "web", "document": "d"},
)


def by_hand(model, tokenizer, prompt, continuation):
    """Summed log-probability of the continuation's tokens after end-of-text and the prompt."""
    start = [tokenizer.token_to_id(END_OF_TEXT), *tokenizer.encode(prompt).ids]
    whole = [start[0], *tokenizer.encode(prompt + continuation).ids]
    assert whole[: len(start)] == start, "chosen so that no token spans the join"
    with torch.no_grad():
        scores = model(torch.tensor([whole[:-1]]))[0].log_softmax(-1)
    return sum(float(scores[i, t]) for i, t in enumerate(whole[1:]) if i + 1 >= len(start))


def test_letters_show_the_choices_on_one_line_each():
    assert PROTOCOLS["letters"].prompt(ITEM) == (
        "The function\nQuestion: Which of these continues the text?\n"
        "A. returns the sum\nB. of numbers\nC. a string\nD. the start value may not\nAnswer:"
    )


def test_a_question_hides_its_choices_from_the_text_protocol():
    item = replace(ITEM, question="What does it do?")
    assert PROTOCOLS["text"].prompt(item) == "The function\nQuestion: What does it do?\nAnswer:"
    assert PROTOCOLS["text"].continuations(item)[1] == " of numbers"
    assert PROTOCOLS["text"].prompt(replace(item, passage="")) == "Question: What does it do?\nAnswer:"


def test_text_and_bytes_are_the_log_probabilities_computed_by_hand(model, tokenizer):
    _, text, per_byte = answer(model, tokenizer, [ITEM])
    wanted = [by_hand(model, tokenizer, ITEM.passage, choice) for choice in ITEM.choices]
    assert text.log_probabilities == pytest.approx(wanted, abs=1e-3)
    assert text.scores == text.log_probabilities
    lengths = [len(c.removeprefix(" ").encode()) for c in ITEM.choices]  # as lm-eval counts
    assert per_byte.scores == pytest.approx([w / n for w, n in zip(wanted, lengths, strict=True)], abs=1e-4)
    assert text.chosen == int(np.argmax(wanted))
    blind = [by_hand(model, tokenizer, "", choice) for choice in ITEM.choices]
    assert text.answer_only == int(np.argmax(blind))


def test_letters_are_the_log_probabilities_of_the_letters_after_the_question(model, tokenizer):
    short = replace(ITEM, passage="The", choices=(" a", " b"), answer=" a")
    item = replace(short, question="Sum?")
    letters, *_ = answer(model, tokenizer, [item])
    prompt = "The\nQuestion: Sum?\nA. a\nB. b\nAnswer:"
    assert not letters.truncated
    assert letters.log_probabilities == pytest.approx(
        [by_hand(model, tokenizer, prompt, x) for x in (" A", " B")], abs=1e-3
    )


def test_a_prompt_longer_than_the_context_is_marked(model, tokenizer):
    letters, text, _ = answer(model, tokenizer, [replace(ITEM, passage="The sum of the numbers. " * 20)])
    assert letters.truncated
    assert text.truncated
    assert not answer(model, tokenizer, [ITEM])[1].truncated


def test_a_token_across_the_join_is_scored_with_the_choice(tokenizer):
    alone = tokenizer.encode("The num").ids
    whole = tokenizer.encode("The numbers").ids
    assert whole[: len(alone)] != alone, "chosen so that a token spans the join"
    pair = encode_pair(tokenizer, "The num", "bers")
    assert (pair.tokens, pair.spanned) == (whole, True)
    assert tokenizer.decode(pair.tokens[-pair.scored :]).endswith("numbers")
    assert encode_pair(tokenizer, "The", " numbers").spanned is False


def test_a_scorer_that_prefers_the_gold_text_is_right_under_every_protocol(model, tokenizer, monkeypatch):
    items = [replace(ITEM, id=str(g), gold=g, answer=ITEM.choices[g]) for g in range(4)]
    wanted = set()
    for item in items:
        for p in (reading.protocol for reading in DEFAULT_READINGS):
            pair = encode_pair(tokenizer, p.prompt(item), p.continuations(item)[item.gold])
            wanted.add((item.id, p.name, tuple(pair.tokens[-pair.scored :])))

    for item in items:
        golds = {tokens for name, _, tokens in wanted if name == item.id}

        def prefers_gold(model, requests, title, golds=golds):
            return [Scored(np.array([0.0 if r.tokens[-r.scored :] in golds else -100.0]), True) for r in requests]

        monkeypatch.setattr(answering, "score", prefers_gold)
        assert [c.correct for c in answer(model, tokenizer, [item])] == [True, True, True]


def test_permuted_choices_move_the_text_scores_with_them(model, tokenizer):
    order = (2, 0, 3, 1)
    permuted = replace(ITEM, choices=tuple(ITEM.choices[i] for i in order), gold=1)
    text, moved = answer(model, tokenizer, [ITEM])[1], answer(model, tokenizer, [permuted])[1]
    assert moved.scores == pytest.approx([text.scores[i] for i in order], abs=1e-4)
    assert moved.correct == text.correct


def test_protocols_have_different_fingerprints_that_change_with_their_rules(monkeypatch):
    before = [r.fingerprint for r in DEFAULT_READINGS]
    assert len(set(before)) == 3
    monkeypatch.setattr(protocols, "CONTINUES", "How does the text go on?")
    after = [r.fingerprint for r in DEFAULT_READINGS]
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, True, True]
