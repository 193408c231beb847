"""Facts that are planted in a training corpus and asked for afterwards: what was learned, from where, is known.

A model that has not read the texts of `libertas.planting` is at chance, and one that has is not, whatever else it has
read.
"""

from libertas.evaluate.item import Item, choice_item
from libertas.evaluate.tasks.arithmetic import COUNT
from libertas.planting import questions


def planted_facts(seed: int, count: int = COUNT) -> list[Item]:
    """A question about each fact of the world of that seed; a person is a group."""
    items = []
    for key, question, choices, gold in questions(seed, count):
        name, _, relation = key.partition(": ")
        items.append(choice_item(key, choices, gold, question=question, group=name, meta={"subject": relation}))
    return items
