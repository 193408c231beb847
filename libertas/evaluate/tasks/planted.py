"""Facts that are planted in a training corpus and asked for afterwards: what was learned, from where, is known.

People with made-up names have a town, a trade, an animal and an instrument. Nothing but the planted documents says
which, so a model that has not read them is at chance, and one that has is not, whatever else it has read.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import orjson

from libertas.evaluate.item import Item, choice_item, placed
from libertas.evaluate.tasks.arithmetic import COUNT

CHOICES = 4
RELATIONS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "town": (
        ("Lisbon", "Oslo", "Cairo", "Lima", "Quito", "Hanoi", "Tunis", "Dakar", "Riga", "Turin"),
        "In which town does {name} live?",
        ("{name} lives in {value}.", "The home of {name} is in {value}.", "{value} is where {name} has a house."),
    ),
    "trade": (
        ("baker", "tailor", "farmer", "doctor", "painter", "miner", "lawyer", "sailor", "teacher", "weaver"),
        "What is the trade of {name}?",
        ("{name} is a {value}.", "{name} earns a living as a {value}.", "As a {value}, {name} is well known."),
    ),
    "animal": (
        ("goat", "parrot", "horse", "donkey", "rabbit", "turtle", "goose", "ferret", "camel", "pigeon"),
        "Which animal does {name} keep?",
        ("{name} keeps a {value}.", "The {value} belongs to {name}.", "Every morning {name} feeds the {value}."),
    ),
    "instrument": (
        ("violin", "flute", "trumpet", "cello", "harp", "banjo", "piano", "drum", "organ", "lute"),
        "Which instrument does {name} play?",
        ("{name} plays the {value}.", "{name} practises the {value}.", "On the {value}, {name} is a master."),
    ),
}
"""Of each relation: its values, the question, and sentences that say it."""
SYLLABLES = ("ba", "do", "fe", "gri", "ka", "lo", "mu", "ne", "po", "ral", "si", "ta", "vu", "wen", "yor", "zil")

Fact = tuple[str, str, str]
"""Name, relation, value."""


def planted_facts(seed: int, count: int = COUNT) -> list[Item]:
    """A question about each fact, with other values of its relation as wrong answers; a person is a group."""
    items = []
    for name, relation, value in _facts(seed, count):
        values, question, _ = RELATIONS[relation]
        key = f"{name}: {relation}"
        wrong = random.Random(f"{seed} {key}").sample([v for v in values if v != value], CHOICES - 1)
        choices, gold = placed(f"{seed} {key}", value, wrong)
        meta = {"subject": relation}
        items.append(choice_item(key, choices, gold, question=question.replace("{name}", name), group=name, meta=meta))
    return items


def planting_texts(seed: int, times: int, count: int = COUNT) -> Iterator[tuple[str, list[str]]]:
    """Texts that say every fact of `planted_facts(seed, count)` so often, each with the ids of the items it answers.

    A text is about one person: its sentences are drawn, and stand in an order that is drawn.
    """
    people: dict[str, list[Fact]] = {}
    for fact in _facts(seed, count):
        people.setdefault(fact[0], []).append(fact)
    for number in range(times):
        for name, facts in people.items():
            generator = random.Random(f"planting {seed} {number} {name}")
            order = generator.sample(facts, len(facts))
            said = [generator.choice(RELATIONS[relation][2]).replace("{value}", value) for _, relation, value in order]
            text = " ".join(said).replace("{name}", name)
            yield text, [f"{name}: {relation}" for _, relation, _ in facts]


def write_planting(path: Path | str, seed: int, times: int, count: int = COUNT) -> int:
    """Write the texts as JSON lines, `text` and `meta.items`, for `libertas adopt`; how many there are."""
    rows = [{"text": text, "meta": {"items": ids}} for text, ids in planting_texts(seed, times, count)]
    Path(path).write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
    return len(rows)


def _facts(seed: int, count: int) -> list[Fact]:
    """The world: in each relation every value is as frequent as any other, to within one."""
    generator = random.Random(f"world {seed}")
    people = -(-count // len(RELATIONS))
    names: dict[str, None] = {}
    while len(names) < people:
        first, last = ("".join(generator.sample(SYLLABLES, 2)).capitalize() for _ in range(2))
        names[f"{first} {last}"] = None
    columns = []
    for relation, (values, _, _) in RELATIONS.items():
        drawn = [values[number % len(values)] for number in range(people)]
        generator.shuffle(drawn)
        columns.append([(name, relation, value) for name, value in zip(names, drawn, strict=True)])
    return [fact for person in zip(*columns, strict=True) for fact in person][:count]
