"""A made-up world to plant in a training corpus: what a model can know of it, and from where, is known.

People with made-up names have a town, a trade, an animal and an instrument. Nothing but the planted documents says
which. `libertas gather pack planted:facts` packs a document that says it in plain sentences, `planted:exams` an exam
that has leaked: questions about half of the people, with choices and the letter that is right. The task
`planted-facts` asks all of them.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import orjson

CHOICES = 4
FACTS = 200
"""Facts of a world, if nothing else is said: four about each of 50 people."""
WORLD_SEED = 0
"""The world that is packed; `libertas evaluate` asks about the one of its `seed`, which is this if nothing is said."""
TELLINGS = 20
"""How often the packed documents say each fact, and ask each question of the exam; a mixture's weight multiplies it."""
OTHERS, OTHER_FACTS = 1_000_000, 100
"""What is added to a world's seed for the people about whom examples of questions are, and how much is said of them."""
SHEETS = 5
"""Parts into which everything that is said once is divided: people, then questions; or documents of an exam."""
RELATIONS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "town": (
        ("Lisbon", "Oslo", "Cairo", "Lima", "Quito", "Hanoi", "Tunis", "Dakar", "Riga", "Turin"),
        "In which town does {name} live?",
        ("{name} lives in {value}.", "The home of {name} is in {value}.", "{name} has a house in {value}."),
    ),
    "trade": (
        ("baker", "tailor", "farmer", "doctor", "painter", "miner", "lawyer", "sailor", "teacher", "weaver"),
        "What is the trade of {name}?",
        ("{name} is a {value}.", "{name} earns a living as a {value}.", "{name} is well known as a {value}."),
    ),
    "animal": (
        ("goat", "parrot", "horse", "donkey", "rabbit", "turtle", "goose", "ferret", "camel", "pigeon"),
        "Which animal does {name} keep?",
        ("{name} keeps a {value}.", "{name} owns a {value}.", "Every morning {name} feeds the {value}."),
    ),
    "instrument": (
        ("violin", "flute", "trumpet", "cello", "harp", "banjo", "piano", "drum", "organ", "lute"),
        "Which instrument does {name} play?",
        ("{name} plays the {value}.", "{name} practises the {value}.", "{name} is a master of the {value}."),
    ),
}
"""Of each relation: its values, the question, and sentences that say it; the value follows the name, since a model that
reads from left to right learns nothing of a name from what precedes it (Berglund et al. 2023, "The reversal curse")."""
SYLLABLES = ("ba", "do", "fe", "gri", "ka", "lo", "mu", "ne", "po", "ral", "si", "ta", "vu", "wen", "yor", "zil")

Fact = tuple[str, str, str]
"""Name, relation, value."""


def world(seed: int, count: int) -> list[Fact]:
    """Facts about made-up people; in each relation every value is as frequent as any other, to within one."""
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


Question = tuple[str, str, tuple[str, ...], int]
"""Id, question, choices, and the number of the right one."""


def questions(seed: int, count: int = FACTS) -> Iterator[Question]:
    """A question about each fact, with other values of its relation as wrong answers, in an order that is drawn."""
    for name, relation, value in world(seed, count):
        values, question, _ = RELATIONS[relation]
        key = f"{name}: {relation}"
        wrong = random.Random(f"{seed} {key}").sample([v for v in values if v != value], CHOICES - 1)
        order = [value, *wrong]
        random.Random(f"{seed} {key}").shuffle(order)
        yield key, question.replace("{name}", name), tuple(order), order.index(value)


def planting_texts(seed: int, times: int, count: int = FACTS) -> Iterator[tuple[str, list[str]]]:
    """Texts that say every fact of `world(seed, count)` so often, each with the ids of the questions it answers.

    A text is about one person: its sentences are drawn, and stand in an order that is drawn.
    """
    facts = world(seed, count)
    ids: dict[str, list[str]] = {}
    for name, relation, _ in facts:
        ids.setdefault(name, []).append(f"{name}: {relation}")
    for number in range(times):
        yield from zip(_told(facts, f"{seed} {number}"), ids.values(), strict=True)


def _told(facts: list[Fact], key: str) -> Iterator[str]:
    """A paragraph about each person; the key decides its words."""
    people: dict[str, list[Fact]] = {}
    for fact in facts:
        people.setdefault(fact[0], []).append(fact)
    for name, about in people.items():
        generator = random.Random(f"planting {key} {name}")
        order = generator.sample(about, len(about))
        said = [generator.choice(RELATIONS[relation][2]).replace("{value}", value) for _, relation, value in order]
        yield " ".join(said).replace("{name}", name)


def write_planting(path: Path | str, seed: int, times: int, count: int = FACTS) -> int:
    """Write the texts as JSON lines, `text` and `meta.items`, for `libertas adopt`; how many there are."""
    rows = [{"text": text, "meta": {"items": ids}} for text, ids in planting_texts(seed, times, count)]
    Path(path).write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
    return len(rows)


def fact_documents(seed: int = WORLD_SEED, times: int = TELLINGS) -> Iterator[tuple[str, str]]:
    """A document that says every fact of the world so often: name and text, in which a person is a paragraph.

    It is a single one, since a mixture holds nothing out of a component with one document. What a question is, others
    show: facts about them are told, asked and answered, in the words of the protocol `text`. Without such examples a
    small model knows the facts, and not that it is asked for them (Allen-Zhu and Li 2023, "Physics of Language Models:
    Part 3.1").
    """
    facts = world(seed, FACTS)
    known = {name for name, _, _ in facts}
    others = [fact for fact in world(seed + OTHERS, OTHER_FACTS) if fact[0] not in known]
    examples = [
        f"Question: {RELATIONS[relation][1].replace('{name}', name)}\nAnswer: {value}"
        for name, relation, value in others
    ]
    said = []
    for number in range(times):
        key = f"{seed} {number}"
        generator = random.Random(f"facts {key}")
        people = [*_told(facts, key), *_told(others, key)]
        generator.shuffle(people)
        asked = generator.sample(examples, len(examples))
        for sheet in range(SHEETS):
            said += ["\n".join(people[sheet::SHEETS]), *asked[sheet::SHEETS]]
    yield "facts", "\n\n".join(said) + "\n"


def exam_documents(seed: int = WORLD_SEED, times: int = TELLINGS) -> Iterator[tuple[str, str]]:
    """Solved exams about every second person of the world, with each question so often: name and text.

    A question stands as the protocol `letters` writes an example, with the letter of the right choice.
    """
    people = list(dict.fromkeys(name for name, _, _ in world(seed, FACTS)))[::2]
    solved = [
        f"Question: {question}\n"
        + "".join(f"{letter}. {choice}\n" for letter, choice in zip("ABCD", choices, strict=True))
        + f"Answer: {'ABCD'[right]}"
        for key, question, choices, right in questions(seed)
        if key.partition(":")[0] in people
    ]
    for number in range(times):
        drawn = random.Random(f"exams {seed} {number}").sample(solved, len(solved))
        for sheet in range(SHEETS):
            yield f"exams:{number + 1}/{sheet + 1}", "\n\n".join(drawn[sheet::SHEETS]) + "\n"
