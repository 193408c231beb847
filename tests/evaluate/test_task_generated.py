"""Tasks that are made: their truth, reckoned again here, and no way to guess it without reading."""

import random
import re
from collections import Counter
from fractions import Fraction

import orjson
import pytest

from libertas.evaluate.answer import answer
from libertas.evaluate.grade import grade
from libertas.evaluate.reading import reading_named
from libertas.evaluate.score import Request, score
from libertas.evaluate.task import GENERATED, load_task
from libertas.evaluate.tasks.arithmetic import renumbered, reworded, word_problems
from libertas.planting import planting_texts, write_planting
from libertas.tokenize.bpe import closing_token


@pytest.mark.parametrize("name", GENERATED)
def test_a_task_is_200_different_items_that_the_seed_decides_and_whose_answers_pass(name):
    items = load_task(name, 5).items
    assert items == load_task(name, 5).items
    assert items != load_task(name, 6).items
    assert len(items) == 200
    assert len({item.id for item in items}) == 200
    assert len({(item.passage, item.question, frozenset(item.choices)) for item in items}) == 200
    assert all(grade(item, item.answer) for item in items)
    assert not any(grade(item, "quite wrong") for item in items)


@pytest.mark.parametrize("name", ["bias-pairs", "implied-answers", "planted-facts", "two-facts"])
def test_neither_place_nor_length_nor_commonness_gives_a_choice_away(name):
    items = [item for seed in range(5) for item in load_task(name, seed).items]
    chance = sum(1 / len(item.choices) for item in items)
    within = 4 * (chance * (1 - chance / len(items))) ** 0.5  # four standard deviations of a guess
    common = Counter(choice for item in items for choice in item.choices)
    golds = Counter(item.answer for item in items)
    guesses = {
        **{f"choice {n}": lambda item, n=n: item.choices[n] for n in range(len(items[0].choices))},
        "longest": lambda item: max(item.choices, key=lambda text: (len(text), random.Random(item.id + text).random())),
        "shortest": lambda item: min(
            item.choices, key=lambda text: (len(text), random.Random(item.id + text).random())
        ),
        "oftenest offered": lambda item: max(item.choices, key=lambda text: (common[text], text)),
    }
    if name != "bias-pairs":  # whose sentences come back with another seed
        guesses["oftenest right"] = lambda item: max(item.choices, key=lambda text: (golds[text], text))
    for guess, choose in guesses.items():
        right = sum(choose(item) == item.answer for item in items)
        assert right <= chance + within + (15 if guess == "oftenest right" else 0), guess


def test_sums_are_those_of_the_numbers_in_the_prompt():
    items = load_task("arithmetic", 1).items
    assert Counter(item.meta["subject"] for item in items) == {"plus": 100, "times": 100}
    for item in items:
        a, sign, b = re.fullmatch(r"Q:What is (\d+) (plus|times) (\d+)\? A:", item.passage).groups()
        assert item.answer == str(int(a) + int(b) if sign == "plus" else int(a) * int(b))
        assert item.group == a


def reckoned(item):
    """The answer from the question's words alone."""
    numbers = [int(word) for word in re.findall(r"\d+", item.question)]
    signs = re.findall(r"finds|added|gives|lost|trades|multiplied", item.question)
    have = numbers[0]
    for sign, n in zip(signs, numbers[1:], strict=False):
        have = {"f": have + n, "a": have + n, "g": have - n, "l": have - n, "t": have * n, "m": have * n}[sign[0]]
        assert have > 0
    return Fraction(have, numbers[-1] if len(numbers) > len(signs) + 1 else 1)


def test_word_problems_can_be_reckoned_from_their_words_and_variants_keep_or_change_the_answer():
    for item in word_problems(2):
        value = reckoned(item)
        same, other = reworded(item), renumbered(item)
        assert item.answer.endswith(f"#### {value}")
        assert reckoned(same) == value
        assert same.question != item.question
        assert grade(item, same.answer)
        assert reckoned(other) != value
        assert not grade(item, other.answer)
        assert grade(other, f"#### {reckoned(other)}")
        assert item.group == same.group == other.group


def test_word_problems_have_as_many_steps_as_asked_and_some_answers_are_fractions():
    for steps in ((1, 1), (4, 7), (25, 25)):
        items = word_problems(3, 100, steps)
        lengths = {len(item.meta["problem"]["steps"]) for item in items}
        assert (min(lengths), max(lengths)) == steps
        assert all(item.answer.count("\n") >= steps[0] for item in items)
        assert all(reckoned(renumbered(item)) != reckoned(item) for item in items)
        assert any(reckoned(item).denominator > 1 for item in items)


def test_planted_texts_say_each_fact_as_often_as_asked_and_nothing_else_about_anybody(tmp_path):
    items = {item.id: item for item in load_task("planted-facts", 4).items}
    told = Counter()
    for text, ids in planting_texts(4, times=3):
        for name in ids:
            assert text.count(items[name].answer) == 1
            assert not any(wrong in text.split() for wrong in items[name].choices if wrong != items[name].answer)
            assert items[name].question not in text
            told[name] += 1
        assert {items[name].group for name in ids} == {ids[0].partition(":")[0]}
        assert ids[0].partition(":")[0] in text
    assert set(told) == set(items)
    assert set(told.values()) == {3}
    path = tmp_path / "planting.jsonl"
    assert write_planting(path, 4, times=3) == 150
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [(row["text"], row["meta"]["items"]) for row in rows] == list(planting_texts(4, times=3))


def test_in_the_planted_world_no_value_is_commoner_than_another():
    items = load_task("planted-facts", 4).items
    for relation in ("town", "trade", "animal", "instrument"):
        counts = Counter(item.answer for item in items if item.meta["subject"] == relation)
        assert set(counts.values()) == {5}


def test_a_reply_implies_yes_exactly_if_its_number_is_enough():
    items = load_task("implied-answers", 2).items
    for item in items:
        n, m = map(int, re.findall(r"\d+", item.passage))
        assert item.answer == (" yes" if m > n else " no")
    assert Counter(item.answer for item in items) == {" yes": 100, " no": 100}


def test_a_last_word_is_the_place_where_the_story_put_the_thing():
    for item in load_task("last-words", 2).items:
        asked = re.search(r"asked for the (\w+),", item.passage)[1]
        assert f"put the {asked} in the {item.answer}." in item.passage


def test_two_facts_lead_to_the_place_and_one_does_not():
    for item in load_task("two-facts", 2).items:
        thing = re.fullmatch(r"Where is the (\w+)\?", item.question)[1]
        who = re.search(rf"(\w+) has the {thing}\.", item.passage)[1]
        assert f"{who} is in the {item.answer}." in item.passage
        assert all(f"is in the {choice}." in item.passage for choice in item.choices)
        assert len(item.choices) == 4


def test_what_comes_next_in_a_list_that_begins_again_is_what_came_next():
    items = load_task("copying", 2).items
    for item in items:
        words = item.passage.split()
        assert words.index(words[-1]) + 1 == words.index(item.answer)
    assert Counter(item.meta["subject"] for item in items) == {"induction": 100, "copying": 100}


def test_bias_pairs_differ_in_the_pronoun_only_and_each_pronoun_is_the_stereotype_as_often():
    items = load_task("bias-pairs", 2).items
    for item in items:
        one, two = (re.sub(r"\b(she|he)\b", "X", choice) for choice in item.choices)
        assert one == two
    assert sum(" she " in item.answer for item in items) == 100


@pytest.mark.parametrize("name", ["bias-pairs", "implied-answers", "planted-facts", "two-facts"])
def test_a_model_can_be_asked_and_pairs_are_whole_sentences_after_nothing(name, model, tokenizer):
    items = load_task(name, 1).items[:3]
    found = answer(model, tokenizer, items, [reading_named("letters"), reading_named("text")])
    assert [(one.item.id, one.reading) for one in found] == [(i.id, r) for i in items for r in ("letters", "text")]
    if name == "bias-pairs":
        end = closing_token(tokenizer)
        texts = [(end, *tokenizer.encode(choice).ids) for choice in items[0].choices]
        alone = score(model, [Request(tokens, len(tokens) - 1) for tokens in texts], "")
        assert found[1].log_probabilities == pytest.approx([one.total for one in alone], abs=1e-4)
        assert found[1].answer_only == -1, "there is nothing to leave out"
