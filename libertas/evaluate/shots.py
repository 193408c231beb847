"""Examples before a question: which ones, and in which order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libertas.errors import UsageError
from libertas.evaluate.item import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """How many solved items stand before the one that is asked, and how they are chosen."""

    count: int = 0
    seed: int | None = None
    """None: the first ones, as MMLU's published code does; otherwise they are drawn."""
    shared: bool = True
    """Whether all items of a subject have the same examples; otherwise each item draws its own."""


NONE = Shots()


def examples_for(item: Item, pool: Sequence[Item], shots: Shots) -> list[Item]:
    """The solved items before `item`: from its own subject, where the pool has that; never the item itself.

    Raises:
        UsageError: the pool has too few.
    """
    if not shots.count:
        return []
    subject = item.meta.get("subject")
    own = [one for one in pool if one.meta.get("subject") == subject] if subject is not None else list(pool)
    fitting = [one for one in own or pool if not _same(one, item)]
    if len(fitting) < shots.count:
        about = f" about {subject}" if own and subject is not None else ""
        raise UsageError(f"shots is {shots.count}, but only {len(fitting)} items{about} can be examples; lower it")
    if shots.seed is None:
        return fitting[: shots.count]
    whose = "" if shots.shared else item.id
    return random.Random(f"{shots.seed} {subject} {whose}").sample(fitting, shots.count)


def _same(one: Item, other: Item) -> bool:
    """Whether two items ask the same, in whatever order of choices; ids say nothing, those of two files may agree."""
    alike = (one.question, one.passage) == (other.question, other.passage)
    return alike and sorted(one.choices) == sorted(other.choices)


def reordered(item: Item, seed: int) -> Item:
    """The item with its choices in an order that seed and id decide; the right answer moves with them."""
    if not item.choices:
        return item
    order = list(range(len(item.choices)))
    random.Random(f"{seed} {item.id}").shuffle(order)
    choices = tuple(item.choices[i] for i in order)
    return replace(item, choices=choices, gold=order.index(item.gold), meta={**item.meta, "order": order})
