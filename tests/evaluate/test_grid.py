"""Grids: which cells a task has, and what each of them asks."""

import pytest

from libertas.errors import UsageError
from libertas.evaluate.answer import answer, first_prompt
from libertas.evaluate.chat import prompting_of
from libertas.evaluate.item import choice_item
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.reading import NORMALIZATIONS, Reading
from libertas.evaluate.sensitivity.grid import AS_PUBLISHED, PLAIN, WORDINGS, GridCell, grid_for, normalizations_of
from libertas.evaluate.shots import Shots
from libertas.evaluate.task import Task, load_task

ITEMS = [choice_item(f"q{n}", ("one", "two", "three"), n % 3, question=f"Which is {n}?") for n in range(6)]
TASK = Task("t", ITEMS, ITEMS)


def cells_of(task, shots=(0, 2), seeds=2, orders=2) -> list[GridCell]:
    grid = grid_for(task, shots, seeds, orders)
    return [cell for _, cells in grid.arranged(task.items, task.pool) for cell in cells]


def test_plain_protocols_are_crossed_with_every_level_once():
    cells = [cell for cell in cells_of(TASK) if not cell.published]
    readings = sum(len(normalizations_of(PROTOCOLS[name])) for name in PLAIN)
    assert len(cells) == len(set(cells)) == readings * len(WORDINGS) * (1 + 2) * 2


def test_published_protocols_keep_their_wording_and_the_order_of_the_choices():
    published = [cell for cell in cells_of(TASK) if cell.published]
    assert {cell.protocol for cell in published} == set(PROTOCOLS) - set(PLAIN) - {"generate"}
    assert {cell.order for cell in published} == {0}
    assert {cell.wording for cell in published} == {AS_PUBLISHED}


def test_protocols_can_be_chosen_and_have_to_be_known_and_to_fit():
    grid = grid_for(TASK, (0,), 1, 1, protocols=("helm", "text"))
    assert (grid.protocols, grid.published) == (("text",), ("helm",))
    with pytest.raises(UsageError, match="protocol is 'txt'"):
        grid_for(TASK, (0,), 1, 1, protocols=("txt",))
    with pytest.raises(UsageError, match="hellaswag compares texts"):
        grid_for(Task("hellaswag", ITEMS, ITEMS), (0,), 1, 1, protocols=("letters",))


def test_only_normalizations_that_can_decide_otherwise_are_tried():
    assert normalizations_of(PROTOCOLS["text"]) == tuple(NORMALIZATIONS)
    assert normalizations_of(PROTOCOLS["letters"]) == ("none", "pmi", "pmi-bare")
    assert normalizations_of(PROTOCOLS["helm"]) == ("none",)


@pytest.mark.parametrize("how", [how for how in NORMALIZATIONS if how not in ("none", "pmi", "pmi-bare")])
def test_normalizations_that_are_left_out_for_letters_would_change_nothing(model, tokenizer, how):
    readings = [Reading("plain", PROTOCOLS["letters"]), Reading("how", PROTOCOLS["letters"], how)]
    found = answer(model, tokenizer, ITEMS, readings)
    assert [c.chosen for c in found if c.reading == "plain"] == [c.chosen for c in found if c.reading == "how"]


def test_examples_that_a_task_has_too_few_items_for_are_left_out():
    assert {cell.shots for cell in cells_of(TASK, shots=(0, 2, 6))} == {0, 2}


def test_items_from_held_out_documents_have_no_examples():
    assert {cell.shots for cell in cells_of(Task("continuation", ITEMS, ITEMS))} == {0}


def test_tasks_that_compare_whole_texts_are_not_asked_by_letters():
    task = load_task("bias-pairs", 0)
    found = cells_of(Task(task.name, task.items, task.items), shots=(0,))
    assert not any(PROTOCOLS[cell.protocol].option for cell in found)
    assert {cell.wording for cell in found if not cell.published} == {WORDINGS[0].name}


def test_the_first_wording_is_the_protocols_own():
    item = ITEMS[0]
    for name in PLAIN:
        worded = WORDINGS[0].worded(PROTOCOLS[name])
        assert (worded.prompt(item), worded.example(item)) == (
            PROTOCOLS[name].prompt(item),
            PROTOCOLS[name].example(item),
        )


def test_wordings_and_orders_change_the_words_and_not_the_right_answer(tokenizer):
    prompts = {}
    for arrangement, cells in grid_for(TASK, (0,), 1, 3).arranged(ITEMS, ITEMS):
        assert [item.answer for item in arrangement.items] == [item.answer for item in ITEMS]
        assert all(item.choices[item.gold] == item.answer for item in arrangement.items)
        for cell, reading in zip(cells, arrangement.readings, strict=True):
            if cell.protocol == "letters":
                text = first_prompt(arrangement.items, reading, ITEMS, Shots(), prompting_of(tokenizer))
                prompts[cell.wording, cell.order] = text
    assert prompts["initials", 0].startswith("Q: Which is 0?\nA. one\n")
    assert prompts["initials", 0].endswith("\nA:")
    assert prompts["blank lines", 0] == "Question:\nWhich is 0?\n\nA. one\nB. two\nC. three\n\nAnswer:"
    assert len(set(prompts.values())) > len(WORDINGS)
