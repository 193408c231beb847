import random

import pytest

from libertas.document import Document
from libertas.evaluate.item import Item
from libertas.evaluate.tasks.continuation import ANSWER_WORDS, LENGTH_SLACK, PASSAGE_CHARACTERS, make_items


def documents(count=8, words=400):
    generator = random.Random(4)
    made = []
    for number in range(count):
        text = "".join(
            "x" * 0
            + "".join(generator.choices("abcdefgh", k=generator.randint(2, 8)))
            + generator.choice([" ", " ", "\n  "])
            for _ in range(words)
        )
        made.append(Document(f"{number:032x}", text, {"component": ["code", "web"][number % 2]}))
    return made


def test_the_gold_choice_is_what_follows_the_passage_in_its_document():
    texts = {d.id: d.text for d in documents()}
    items, _ = make_items(documents(), 60, seed=1)
    assert len(items) == 60
    for item in items:
        offset = item.meta["offset"]
        assert texts[item.meta["document"]][offset:].startswith(item.passage + item.answer)
        assert PASSAGE_CHARACTERS[0] <= len(item.passage) <= PASSAGE_CHARACTERS[1]
        assert ANSWER_WORDS[0] <= len(item.answer.split()) <= ANSWER_WORDS[1]


def test_neither_length_nor_white_space_gives_the_answer_away():
    texts = {d.id: d for d in documents()}
    for item in make_items(documents(), 60, seed=1)[0]:
        lead = item.answer[: len(item.answer) - len(item.answer.lstrip())]
        component = texts[item.meta["document"]].meta["component"]
        plain = [d.text for d in texts.values() if d.meta["component"] == component]
        assert len(item.choices) == 4
        for choice in item.choices:
            assert choice[: len(choice) - len(choice.lstrip())] == lead
            assert len(choice.split()) == len(item.answer.split())
            assert abs(len(choice) - len(item.answer)) <= LENGTH_SLACK * len(item.answer)
            assert any(choice.strip() in text for text in plain)


def test_items_depend_on_the_seed_alone_and_take_turns_over_components():
    items = make_items(documents(), 20, seed=3)[0]
    assert items == make_items(documents(), 20, seed=3)[0]
    assert items != make_items(documents(), 20, seed=4)[0]
    assert [i.meta["component"] for i in items[:4]] == ["code", "web", "code", "web"]
    assert len({i.id for i in items}) == 20
    assert {i.gold for i in items} == {0, 1, 2, 3}


def test_too_little_text_makes_fewer_items_instead_of_none_or_endless_search():
    items, refused = make_items([Document("0" * 32, "one two three four five six", {"component": "web"})], 10, 0)
    assert (items, refused) == ([], 0)
    items, refused = make_items(documents(1, 60), 500, 0)
    assert 0 < len(items) < 500
    assert refused >= 50
    assert make_items(documents(), 0, 0) == ([], 0)


def test_an_item_that_contradicts_itself_cannot_be_made():
    with pytest.raises(AssertionError, match="choice 1 is not the answer"):
        Item("i", "", ("a", "b"), 1, "a", "", "g")
    with pytest.raises(AssertionError, match="no choices, and choice 0"):
        Item("i", "", (), 0, "a", "", "g")
    with pytest.raises(AssertionError, match="neither choices nor an answer"):
        Item("i", "", (), -1, " ", "", "g")
