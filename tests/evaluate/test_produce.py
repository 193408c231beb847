"""What a model writes: the same whatever it is asked with, up to where it should stop, and graded one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from libertas.errors import UsageError
from libertas.evaluate import produce
from libertas.evaluate.chat import Prompting
from libertas.evaluate.grade import STOPS, before_stop
from libertas.evaluate.item import choice_item, written_item
from libertas.evaluate.produce import WritingRules, graded, write_answers
from libertas.evaluate.reading import reading_named
from libertas.evaluate.shots import NONE, Shots
from libertas.evaluate.written import WrittenAnswer, written_metrics, written_rows, written_scores, written_tables
from libertas.generate.sample import Continuation
from libertas.tokenize.bpe import closing_token

GENERATE = reading_named("generate")
WORDS = [
    "The",
    "function",
    "returns",
    "the",
    "sum",
    "of",
    "numbers",
    "and",
    "raises",
    "an",
    "error",
    "if",
    "a",
    "value",
]


def items_of(count: int):
    """Items whose prompts differ in length, of three graders; some are longer than the context."""
    made = []
    for n in range(count):
        words = " ".join(WORDS[k % len(WORDS)] for k in range(n, n + 1 + 5 * (n % 9)))
        grader = ("number", "continuation", "first number")[n % 3]
        passage = {"passage": words} if grader == "continuation" else {"question": words}
        made.append(written_item(f"item {n}", "12 numbers", grader, **passage))
    return made


def alone(model, tokenizer, item, most: int) -> list[int]:
    """The likeliest token after token, by reading everything again each time."""
    end = closing_token(tokenizer)
    prompt = [end, *tokenizer.encode(GENERATE.protocol.prompt(item)).ids][-(model.config.context + 1 - most) :]
    added: list[int] = []
    with torch.no_grad():
        for _ in range(most):
            tokens = torch.tensor([[*prompt, *added]])
            added.append(int(model.unembed(model.hidden(tokens)[:, -1]).argmax()))
            if added[-1] == end:
                break
    return added


def test_each_text_is_what_the_model_would_write_alone_whatever_else_it_is_asked(model, tokenizer):
    items = items_of(16)
    rules = WritingRules(most_tokens=12)
    together = write_answers(model, tokenizer, items, GENERATE, [], NONE, rules, "t")
    backwards = write_answers(model, tokenizer, items[::-1], GENERATE, [], NONE, rules, "t")
    assert [one.item for one in together] == items
    assert [one.texts for one in backwards[::-1]] == [one.texts for one in together]
    for item, one in zip(items, together, strict=True):
        text = tokenizer.decode(alone(model, tokenizer, item, 12), skip_special_tokens=True)
        assert text.startswith(one.texts[0])
        if not one.finished[0]:
            assert one.texts[0] == text
        tokens = len(tokenizer.encode(GENERATE.protocol.prompt(item)).ids) + 1
        assert one.truncated == (tokens > 64 + 1 - 12)
    assert 0 < sum(one.truncated for one in together) < 16
    assert len({one.texts for one in together}) > 5


def test_more_tokens_than_half_of_the_context_are_not_written(model, tokenizer, monkeypatch):
    scripted(monkeypatch, tokenizer, {"": "x" * 64})
    (one,) = write_answers(model, tokenizer, items_of(1), GENERATE, [], NONE, WritingRules(most_tokens=900), "t")
    assert (one.texts, one.finished) == (("x" * 32,), (False,))


def test_samples_differ_and_depend_on_the_seed_but_not_on_the_other_items(model, tokenizer):
    items = items_of(3)
    rules = WritingRules(samples=4, temperature=1.0, most_tokens=8, seed=1)
    found = write_answers(model, tokenizer, items, GENERATE, [], NONE, rules, "t")
    assert write_answers(model, tokenizer, items[2:], GENERATE, [], NONE, rules, "t") == found[2:]
    assert all(len(set(one.texts)) > 1 for one in found)
    other = WritingRules(samples=4, temperature=1.0, most_tokens=8, seed=2)
    assert write_answers(model, tokenizer, items[2:], GENERATE, [], NONE, other, "t") != found[2:]


def scripted(monkeypatch, tokenizer, texts, most: int = 200):
    """Let the "model" write given texts, by prompt, token after token; `<end>` ends one."""
    prompts = []

    def sample(model, rows, count, how, *, seeds, stop):
        found = []
        for row in rows:
            prompts.append(tokenizer.decode(row, skip_special_tokens=True))
            text = next(text for key, text in texts.items() if key in prompts[-1])
            one = Continuation()
            for token in [*tokenizer.encode(text.removesuffix("<end>")).ids][:count]:
                one.tokens.append(token)
                one.ended = stop(one.tokens)
                if one.ended:
                    break
            one.ended = one.ended or text.endswith("<end>")
            found.append(one)
        return found

    monkeypatch.setattr(produce, "sample", sample)
    return prompts


def test_writing_stops_where_grading_stops_reading(model, tokenizer, monkeypatch):
    items = [
        written_item("a", "7", "first number", passage="Q:What is 3 plus 4? A:"),
        written_item("b", "so\n#### 9", "number", question="Nine?"),
        written_item("c", "mat", "continuation", passage="The cat sat on the"),
        written_item("d", "two words", "exact", question="Which?"),
        choice_item("e", ("red", "green"), 1, question="What colour?"),
    ]
    texts = {"3 plus 4": "\n\n 7\nQ:What is 4", "Nine?": " 4 + 5 = 9\n\nQuestion: Ten", "sat on": " mat and then some",
             "Which?": "\n two words\n<end>", "colour?": " It is blue."}  # fmt: skip
    scripted(monkeypatch, tokenizer, texts)
    found = write_answers(model, tokenizer, items, GENERATE, [], NONE, WritingRules(most_tokens=40), "t")
    assert [one.texts[0] for one in found] == [
        "\n\n 7",
        " 4 + 5 = 9",
        found[2].texts[0],
        "\n two words\n",
        " It is blue.",
    ]
    assert found[2].texts[0].startswith(" mat a")
    assert len(found[2].texts[0]) < len(texts["sat on"])
    assert [one.right for one in found] == [(True,), (True,), (True,), (True,), (False,)]
    assert [one.finished[0] for one in found] == [True, True, True, True, False]
    assert [one.chosen for one in found] == [(), (), (), (), (-1,)]
    assert found[0].to_json() == {
        "item": "a", "group": "a", "protocol": "generate", "written": ["\n\n 7"], "right": [True], "correct": True,
        "finished": [True], "truncated": False, "error": "",
    }  # fmt: skip
    row = found[4].to_json()
    assert (row["chosen"], row["gold"], row["correct"]) == ([-1], 1, False)


def test_the_token_that_ends_an_answer_by_a_models_settings_ends_it_and_is_no_part_of_it(model, tokenizer, monkeypatch):
    scripted(monkeypatch, tokenizer, {"Four?": " 2 + 2 = 4~ 5"})
    asked = written_item("q", "#### 4", "number", question="Four?")
    said = Prompting(end=closing_token(tokenizer), begin=0, tokens={"eos_token": "~"})
    given = ([asked], GENERATE, [], NONE, WritingRules(most_tokens=30), "t")
    assert write_answers(model, tokenizer, *given, said)[0].texts == (" 2 + 2 = 4",)
    assert write_answers(model, tokenizer, *given)[0].texts == (" 2 + 2 = 4~ 5",)


def test_examples_stand_before_what_is_asked(model, tokenizer, monkeypatch):
    pool = [written_item(f"p{n}", f"#### {n}", "number", question=f"Which number is {n}?") for n in range(3)]
    asked = written_item("q", "#### 5", "number", question="And five?")
    prompts = scripted(monkeypatch, tokenizer, {"And five?": " 5<end>"})
    (one,) = write_answers(model, tokenizer, [asked], GENERATE, pool, Shots(count=1), WritingRules(most_tokens=4), "t")
    assert one.right == (True,)
    assert prompts == ["Question: Which number is 0?\nAnswer: #### 0\n\nQuestion: And five?\nAnswer:"]


@given(st.sampled_from(sorted(STOPS)), st.lists(st.sampled_from(["\n", " ", "Q:", "Question:", "x", "def ", "#", "é"])))
def test_it_is_seen_at_once_that_a_text_is_at_its_end(grader, pieces):
    numbers = {piece: n for n, piece in enumerate(dict.fromkeys(b for p in pieces for b in p.encode()))}
    byte_of = {n: bytes([piece]) for piece, n in numbers.items()}
    stop = produce._stopped(grader, 0, frozenset(), byte_of.__getitem__)
    text, tokens = "", []
    for piece in pieces:
        text += piece
        for byte in piece.encode():
            tokens.append(numbers[byte])
            stopped = stop(tokens)
        assert stopped == (len(before_stop(grader, text)) < len(text))
        if stopped:
            break


PROMPT = "def twice(n):\n"
CHECK = "def check(candidate):\n    assert candidate(4) == 8\n    assert candidate(0) == 0\n"


def program(name: str, **meta):
    return written_item(name, "    return 2 * n", "code", passage=PROMPT, meta={"test": CHECK, **meta})


def test_programs_are_run_and_a_grader_that_fails_is_told_and_counts_as_wrong(monkeypatch):
    entry = {"entry_point": "twice"}
    items = [program("a", **entry), program("b", **entry), program("c"), written_item("d", "4", "number", question="?")]
    texts = [
        ("    return 2 * n\n", "    return n + 4\n", "    return 2 * n\n"),
        ("    return (\n",),
        ("    pass",),
        ("4",),
    ]
    right, errors = graded(items, texts, "t")
    assert right == [(True, False, True), (False,), (False,), (True,)]
    assert errors == ["", "", "KeyError: 'entry_point'", ""]


def test_equal_answers_to_an_item_are_graded_once(monkeypatch):
    calls = []
    monkeypatch.setattr(produce, "grade", lambda item, text: calls.append((item.id, text)) or text == "4")
    items = [written_item(name, "4", "number", question="?") for name in "ab"]
    right, _ = graded(items, [("4", "5", "4"), ("4",)], "t")
    assert right == [(True, False, True), (True,)]
    assert sorted(calls) == [("a", "4"), ("a", "5"), ("b", "4")]


def record(name, right, group, answer="#### 4", **more):
    item = written_item(name, answer, "number", question="?", group=group, meta=more.pop("meta", {}))
    given = {"finished": (True,) * len(right), "chosen": (), "truncated": False, **more}
    return WrittenAnswer(item=item, reading="generate", texts=("x",) * len(right), right=right, **given)


def test_scores_of_what_was_written_are_those_computed_by_hand():
    records = [
        record("a", (True, True, False, False, False), "one", meta={"subject": "s"}),
        record("b", (False,) * 5, "one", answer="4.0", truncated=True, meta={"subject": "s"}),
        record("c", (True,) * 5, "two", answer="#### 9", error="E: no", finished=(True, True, True, True, False)),
    ]
    found = written_scores(records)
    mean = (0.4 + 0 + 1) / 3
    assert found["accuracy"]["mean"] == pytest.approx(mean)
    deviations = np.array([0.4 + 0 - 2 * mean, 1 - mean])  # summed by group
    assert found["accuracy"]["stderr"] == pytest.approx(np.sqrt(2 * (deviations**2).sum()) / 3)
    assert list(found["pass_at"]) == ["1", "5"]
    assert found["pass_at"]["1"]["mean"] == pytest.approx(mean)
    assert found["pass_at"]["5"]["mean"] == pytest.approx(2 / 3)
    assert found["majority"] == pytest.approx(2 / 3)  # 4 and 4.0 are one number
    assert (found["chance"], found["truncated"], found["unextracted_share"]) == (0.0, 1, None)
    assert (found["errored_share"], found["unfinished_share"]) == (pytest.approx(1 / 3), pytest.approx(1 / 15))
    (row,) = written_rows(records, [reading_named("letters"), GENERATE], WritingRules().described())
    assert row["components"]["s"]["accuracy"]["mean"] == pytest.approx(0.2)
    assert set(row["components"]) == {"s", "all"}
    assert written_metrics(row)["pass@5,none"] == pytest.approx(2 / 3)
    assert written_metrics(row)["exact_match_stderr,none"] == found["accuracy"]["stderr"]
    (table,) = written_tables({"t": {"written": [row], "items": 3}, "u": {"written": [], "items": 0}})
    assert table.row_count == 1


def test_what_decides_the_answers_is_in_the_fingerprint():
    records = [record("a", (True,), "g")]
    rules = [WritingRules(), WritingRules(seed=9), WritingRules(most_tokens=9), WritingRules(samples=2),
             WritingRules(samples=2, seed=9)]  # fmt: skip
    prints = [written_rows(records, [GENERATE], one.described())[0]["fingerprint"] for one in rules]
    assert prints[0] == prints[1]  # a single answer is not drawn
    assert len(set(prints)) == 4


def test_a_choice_that_no_text_names_is_counted():
    item = choice_item("e", ("red", "green", "red"), 1, question="What colour?")
    named = WrittenAnswer(item, "generate", ("green", "so"), (True, False), (True, True), (1, -1), False)
    found = written_scores([named])
    assert (found["unextracted_share"], found["chance"], found["majority"]) == (0.5, pytest.approx(1 / 3), 1.0)


def test_letters_of_other_alphabets_are_no_letters_of_choices():
    item = choice_item("e", ("red", "green"), 1, question="What colour?")
    right, errors = graded([item] * 2, [("the answer is \u212a",), ("answer: \u0130",)], "t")
    assert (right, errors) == ([(False,), (False,)], ["", ""])


def test_a_prompt_without_a_word_is_answered_all_the_same(model, tokenizer):
    nothing = choice_item("n", ("He runs.", "He run."), 0)
    (one,) = write_answers(model, tokenizer, [nothing], GENERATE, [], NONE, WritingRules(most_tokens=3), "t")
    assert not one.truncated


def test_nothing_asked_is_nothing_written(model, tokenizer):
    assert write_answers(model, tokenizer, [], GENERATE, [], NONE, WritingRules(), "t") == []


def test_examples_that_are_missing_are_said(model, tokenizer):
    with pytest.raises(UsageError, match="shots is 2"):
        write_answers(model, tokenizer, items_of(1), GENERATE, [], Shots(count=2), WritingRules(), "t")
