"""What every prompt follows, where an answer's tokens begin, and items that cannot be asked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.evaluate import answer as answering
from libertas.evaluate.answer import Arrangement, answer, answer_arranged
from libertas.evaluate.asking import AUTO, BOUNDARIES, CHATS, LM_EVAL, STARTS, TURNS, Asking
from libertas.evaluate.chat import Prompting
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.encode import encode_pairs
from libertas.evaluate.item import choice_item
from libertas.evaluate.notices import SHOWN, notices
from libertas.evaluate.reading import Reading, reading_named
from libertas.evaluate.score import Scored
from libertas.evaluate.shots import Shots, examples_for, reordered
from libertas.lineage.artifact import Draft
from libertas.tokenize.bpe import END_OF_TEXT

ITEM = choice_item("1", (" numbers", " a string"), 0, passage="The sum of the")
END, BEGIN = 0, 7


def read_by_the_model(monkeypatch, model, tokenizer, item, asking, reading="text", prompting=None):
    """Tokens of the requests for each choice, and how many at the end are scored."""
    seen = []

    def scored(model, requests, title):
        seen.extend(requests)
        return [Scored(np.zeros(request.scored), likeliest=False) for request in requests]

    monkeypatch.setattr(answering, "score", scored)
    reading = replace(reading_named(reading), asking=asking)
    said = prompting or Prompting(end=END, begin=BEGIN)
    plan = Arrangement(items=[item], readings=[reading])
    answer_arranged(model, tokenizer, [plan], "", blind=False, prompting=said)
    return [(list(request.tokens), request.scored) for request in seen]


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(("start", "first"), [("end-of-text", [END]), ("bos", [BEGIN]), ("nothing", [])])
def test_every_prompt_follows_what_the_setting_says(monkeypatch, model, tokenizer, start, first):
    assert tokenizer.token_to_id(END_OF_TEXT) == END
    found = read_by_the_model(monkeypatch, model, tokenizer, ITEM, Asking(start=start))
    assert found == [
        ([*first, *ids(tokenizer, "The sum of the numbers")], len(ids(tokenizer, " numbers"))),
        ([*first, *ids(tokenizer, "The sum of the a string")], len(ids(tokenizer, " a string"))),
    ]


def test_an_answer_without_a_prompt_follows_the_token_that_begins_texts(monkeypatch, model, tokenizer):
    sentences = choice_item("1", ("The sum", "The string"), 0)
    found = read_by_the_model(monkeypatch, model, tokenizer, sentences, Asking(start="nothing"))
    assert found[0] == ([BEGIN, *ids(tokenizer, "The sum")], len(ids(tokenizer, "The sum")))


def test_auto_is_what_the_model_was_trained_with(monkeypatch, model, tokenizer):
    for usual, first in (("end-of-text", [END]), ("bos", [BEGIN]), ("nothing", [])):
        said = Prompting(end=END, begin=BEGIN, usual=usual)
        (tokens, _), _ = read_by_the_model(monkeypatch, model, tokenizer, ITEM, Asking(start=AUTO), prompting=said)
        assert tokens == [*first, *ids(tokenizer, "The sum of the numbers")]


def encoded_as_lm_eval_does(tokenizer, context, continuation):
    """What `TemplateLM._encode_pair` of lm-eval 0.4.13 does with a causal model, in our words."""
    spaces = len(context) - len(context.rstrip())
    if spaces > 0:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    whole, before = ids(tokenizer, context + continuation), ids(tokenizer, context)
    return before, whole[len(before) :]


WORDS = st.text(alphabet="The sumofnbr \n", max_size=12)


@given(prompt=WORDS, continuation=WORDS)
def test_lm_evals_rule_divides_as_lm_eval_does(tokenizer, prompt, continuation):
    (pair,) = encode_pairs(tokenizer, [(prompt, continuation)], LM_EVAL)
    before, scored = encoded_as_lm_eval_does(tokenizer, prompt, continuation)
    assert (pair.tokens, pair.scored) == ([*before, *scored], len(scored))
    assert pair.spanned == (
        ids(tokenizer, prompt.rstrip() + prompt[len(prompt.rstrip()) :] + continuation)[: len(before)] != before
    )


@given(prompt=WORDS, continuation=WORDS)
def test_the_shared_rule_reads_the_whole_text_and_never_loses_a_continuation(tokenizer, prompt, continuation):
    (pair,) = encode_pairs(tokenizer, [(prompt, continuation)])
    assert pair.tokens == ids(tokenizer, prompt + continuation)
    assert tokenizer.decode(pair.tokens[len(pair.tokens) - pair.scored :]).endswith(continuation)
    assert pair.spanned or tokenizer.decode(pair.tokens[: len(pair.tokens) - pair.scored]) == prompt


def test_both_rules_agree_with_lm_evals_own_function_where_it_is_installed(tokenizer):
    template = pytest.importorskip("lm_eval.api.model").TemplateLM

    class Theirs(template):
        backend = "causal"
        eot_token_id = loglikelihood_rolling = generate_until = _loglikelihood_tokens = None

        def tok_encode(self, string, add_special_tokens=None, **more):
            return ids(tokenizer, string)

    for prompt, continuation in (("The sum ", "of"), ("The num", "bers"), ("The\n", " sum"), ("Ans", "wer")):
        assert Theirs()._encode_pair(prompt, continuation) == encoded_as_lm_eval_does(tokenizer, prompt, continuation)


def swallowed(tokenizer):
    """A passage and a choice that together are one token less than apart: lm-eval's rule leaves the choice none."""
    for text in ("The numbers", " numbers", " function", " string"):
        for cut in range(1, len(text)):
            before, scored = encoded_as_lm_eval_does(tokenizer, text[:cut], text[cut:])
            if before and not scored:
                return text[:cut], text[cut:]
    raise AssertionError("the tokenizer of these tests has no such pair")


def test_an_item_whose_choice_lm_evals_rule_leaves_without_a_token_is_refused_and_the_rest_is_answered(
    model, tokenizer
):
    passage, choice = swallowed(tokenizer)
    bad = choice_item("bad", (choice, " a string"), 0, passage=passage)
    readings = [Reading("text", reading_named("text").protocol, asking=Asking(boundary=LM_EVAL))]
    refused: list[str] = []
    found = answer(model, tokenizer, [ITEM, bad, replace(ITEM, id="2")], readings, refused=refused)
    assert [choice.item.id for choice in found] == ["1", "2"]
    assert refused == [
        f"item bad: {choice!r} has no token of its own behind its prompt; expected 1 to 64, which the model reads; "
        "the item is left out"
    ]
    with pytest.raises(UsageError, match="item bad"):
        answer(model, tokenizer, [bad], readings)
    (shared,) = answer(model, tokenizer, [bad], [reading_named("text")])
    assert shared.spanned


def test_a_choice_that_is_empty_or_longer_than_the_context_is_refused_under_every_reading(model, tokenizer):
    items = [
        ITEM,
        replace(ITEM, id="empty", choices=(" numbers", "")),
        replace(ITEM, id="blank", choices=(" numbers", "  "), question="What?"),
        replace(ITEM, id="long", choices=(" numbers", " of numbers" * 60)),
        replace(ITEM, id="cut", passage="The sum of the numbers. " * 20),
    ]
    refused: list[str] = []
    readings = [reading_named("letters"), reading_named("text")]
    found = answer(model, tokenizer, items, readings, refused=refused)
    assert len(found) + len(refused) * len(readings) == len(items) * len(readings)
    assert [choice.item.id for choice in found] == ["1", "1", "cut", "cut"]
    assert [line.split(":")[0] for line in refused] == ["item empty", "item blank", "item long"]
    assert refused[0] == "item empty: a choice is empty; the item is left out"
    assert "tokens; expected 1 to 64" in refused[2]


def test_an_item_refused_in_one_arrangement_is_left_out_of_all(model, tokenizer):
    empty = replace(ITEM, id="empty", choices=(" numbers", ""))
    plans = [Arrangement(items=[ITEM, empty], readings=[reading_named(name)]) for name in ("letters", "text")]
    refused: list[str] = []
    found = answer_arranged(model, tokenizer, plans, "", refused=refused)
    assert [[choice.item.id for choice in own] for own in found] == [["1"], ["1"]]
    assert len(refused) == 1


def test_a_few_items_of_each_kind_are_named_and_all_are_counted(model, tokenizer):
    long = [replace(ITEM, id=f"cut {n}", passage="The sum of the numbers. " * 20) for n in range(SHOWN + 1)]
    lines = notices("task", answer(model, tokenizer, long, [reading_named("text")]), ["item 1: empty"])
    assert lines[0] == "task: item 1: empty"
    assert lines[1] == "task: item cut 0 is longer than the context, cut at the left (text)"
    assert len(lines) == 1 + SHOWN + 1
    assert lines[-1] == "task: 4 items are longer than the context; their records are marked `truncated`"


def test_nothing_is_asked_without_the_question_of_an_item_that_has_none(model, tokenizer):
    (sentences,) = answer(model, tokenizer, [choice_item("1", ("The sum", "A string"), 0)], [reading_named("text")])
    (passage,) = answer(model, tokenizer, [ITEM], [reading_named("text")])
    assert sentences.answer_only == -1
    assert passage.answer_only in (0, 1)


def test_the_order_of_choices_is_decided_by_seed_and_id_and_the_right_answer_moves_along():
    item = choice_item("1", tuple("abcdefgh"), 3)
    assert reordered(item, 1) == reordered(item, 1)
    orders = {reordered(replace(item, id=str(n)), 1).choices for n in range(20)}
    assert len(orders) > 15
    moved = reordered(item, 1)
    assert moved.choices != item.choices
    assert sorted(moved.choices) == sorted(item.choices)
    assert moved.choices[moved.gold] == moved.answer == "d"
    assert tuple(item.choices[place] for place in moved.meta["order"]) == moved.choices


def test_an_item_is_no_example_of_itself_in_another_order():
    items = [choice_item(str(n), ("a", "b", "c", "d"), n, question=f"{n}?") for n in range(3)]
    assert [one.id for one in examples_for(reordered(items[1], 3), items, Shots(count=2))] == ["0", "2"]


def settings():
    return [
        *(Asking(start=start) for start in STARTS),
        Asking(boundary=LM_EVAL),
        *(Asking(chat=chat) for chat in CHATS if chat != "no"),
        Asking(chat=TURNS, system="Be brief."),
    ]


def test_each_setting_is_part_of_what_a_score_is_a_score_under():
    prints = [replace(reading_named("text"), asking=asking).fingerprint for asking in settings()]
    assert len(set(prints)) == len(prints)
    assert reading_named("text").fingerprint == prints[0]


def test_each_setting_is_part_of_a_results_identity(tmp_path):
    changes = [
        {},
        *({"start": start} for start in STARTS),
        {"boundary": LM_EVAL},
        {"chat": "turns"},
        {"chat": "message"},
        {"chat": "turns", "system": "Be brief."},
        {"order_seed": 0},
        {"order_seed": 1},
    ]
    configs = [
        EvaluateConfig(run=tmp_path, tasks=("arithmetic",), out=tmp_path / "out", **change) for change in changes
    ]
    drafts = [Draft(kind="result", out=c.out, config=c, inputs={}, code="libertas.evaluate.result") for c in configs]
    assert len({draft.fingerprint for draft in drafts}) == len(configs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": "boss"}, "start is 'boss'; did you mean 'bos'"),
        ({"boundary": "lmeval"}, "boundary is 'lmeval'; did you mean 'lm-eval'"),
        ({"chat": "yes"}, "chat is 'yes'; expected one of message, no, turns"),
        ({"system": "Be brief."}, "without a chat"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path, change, said):
    with pytest.raises(UsageError, match=said):
        EvaluateConfig(run=tmp_path, tasks=("arithmetic",), out=tmp_path, **change)


def test_policies_say_all_of_it_in_words():
    said = Prompting(end=END, begin=BEGIN, usual="bos").described(Asking(start=AUTO))
    assert said == {"start": STARTS["bos"], "boundary": BOUNDARIES["shared"], "chat": CHATS["no"]}
