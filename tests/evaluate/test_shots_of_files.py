"""Examples from a file of their own, whose ids are counted by lines as those of the test file are."""

from libertas.evaluate.item import choice_item
from libertas.evaluate.shots import Shots, examples_for


def test_an_example_may_have_the_id_of_the_item_that_is_asked_but_never_be_it() -> None:
    pool = [choice_item(f"mmlu-{n}", ("a", "b"), 0, question=f"Example {n}?") for n in range(1, 6)]
    item = choice_item("mmlu-3", ("a", "b"), 0, question="Asked?")
    assert examples_for(item, pool, Shots(count=5)) == pool
    assert examples_for(pool[2], pool, Shots(count=4)) == [pool[0], pool[1], pool[3], pool[4]]
