"""Sums with Pythia's prompts, and word problems whose steps, words and numbers can be changed one at a time."""

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

from libertas.evaluate.item import Item, written_item

COUNT = 200
"""Items of each task that is made."""
FIRST, SECOND = range(0, 100), range(1, 51)
"""Terms and factors (Biderman et al. 2023, section 3.3)."""
SIGNS = {"plus": lambda a, b: a + b, "times": lambda a, b: a * b}


def arithmetic(seed: int, count: int = COUNT) -> list[Item]:
    """Sums and products, as many of each, in the words of Pythia's term frequency study.

    Its measure is the frequency of the first number in training: items that share it are a group.
    """
    generator = random.Random(f"arithmetic {seed}")
    every = [(a, b) for a in FIRST for b in SECOND]
    drawn = {sign: generator.sample(every, count - count // 2) for sign in SIGNS}
    asked = [(sign, *drawn[sign][n // 2]) for n in range(count) for sign in [list(SIGNS)[n % 2]]]
    return [
        written_item(
            f"{a} {sign} {b}",
            str(SIGNS[sign](a, b)),
            "first number",
            passage=f"Q:What is {a} {sign} {b}? A:",
            group=str(a),
            meta={"subject": sign},
        )
        for sign, a, b in asked
    ]


NAMES = ("Anna", "Bruno", "Clara", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Luis")
THINGS = ("apples", "stamps", "marbles", "books", "shells", "coins", "pencils", "cards", "buttons", "stones")
STEPS: dict[str, tuple[str, str]] = {
    "gain": ("{name} finds {n} more.", "Then {n} {things} are added."),
    "lose": ("{name} gives {n} away.", "Of these, {n} {things} are lost."),
    "times": ("{name} trades them for {n} times as many.", "Their number is then multiplied by {n}."),
}
"""What may happen, in two wordings."""
BEGIN = ("{name} has {n} {things}.", "In the box of {name} lie {n} {things}.")
END = (
    ("How many {things} does {name} have now?", "How many {things} are in the box at the end?"),
    ("{name} shares them equally among {n} friends. How many does each friend get?",
     "They are cut and divided into {n} equal parts. How many {things} make one part?"),
)  # fmt: skip
WORDINGS = len(BEGIN)
SIGN = {"gain": "+", "lose": "-", "times": "*"}
MOST = 500
"""Larger numbers are not multiplied any more, unless a problem is renumbered."""


def word_problems(seed: int, count: int = COUNT, steps: tuple[int, int] = (2, 6)) -> list[Item]:
    """Word problems of so many steps, at least and at most; every fourth asks for a share, which may be a fraction.

    The solution has a line for each step and ends with `#### NUMBER`. `reworded` and `renumbered` make the variants of
    an item by which remembering is told from reckoning; they are in its group.
    """
    generator = random.Random(f"word problems {seed}")
    items: dict[str, Item] = {}
    while len(items) < count:
        numbers = _numbers(generator, generator.randint(*steps))
        assert numbers, "steps that are not given can always be taken"
        parts = generator.randint(2, 9) if len(items) % 4 == 3 else 0
        problem = {
            "name": generator.choice(NAMES),
            "things": generator.choice(THINGS),
            "wording": generator.randrange(WORDINGS),
            "parts": parts,
            **numbers,
        }
        item = _told(problem, f"problem-{seed}-{len(items)}")
        items.setdefault(item.question, item)
    return list(items.values())


def reworded(item: Item) -> Item:
    """The same problem in other words: the answer stays."""
    problem = {**item.meta["problem"], "wording": (item.meta["problem"]["wording"] + 1) % WORDINGS}
    return replace(_told(problem, f"{item.id}-reworded"), group=item.group)


def renumbered(item: Item) -> Item:
    """The same problem with other numbers and another answer; who has only learned the answer by heart is wrong."""
    problem = item.meta["problem"]
    for attempt in range(1000):
        numbers = _numbers(random.Random(f"{item.id} {attempt}"), len(problem["steps"]), problem["steps"])
        if numbers:
            other = _told({**problem, **numbers}, f"{item.id}-renumbered")
            if _result(other.answer) != _result(item.answer):
                return replace(other, group=item.group)
    raise AssertionError(f"{item.id} has one answer whatever its numbers are")


def _result(solution: str) -> str:
    return solution.rpartition("#### ")[2]


def _after(kind: str, have: int, n: int) -> int:
    return {"gain": have + n, "lose": have - n, "times": have * n}[kind]


def _numbers(generator: random.Random, length: int, like: list[list[Any]] | None = None) -> dict[str, Any] | None:
    """A number to begin with, and steps that never lead below one; `like`: of these kinds, None if that fails."""
    start = have = generator.randint(20, 60) + length
    steps: list[list[Any]] = []
    for place in range(length):
        fitting = [k for k in STEPS if not (k == "times" and have > MOST) and not (k == "lose" and have < 2)]
        kind = like[place][0] if like else generator.choice(fitting)
        most = {"gain": 50, "lose": max(1, have // 4), "times": 4}[kind]
        n = generator.randint(2 if kind == "times" else 1, most)
        have = _after(kind, have, n)
        if have < 1:
            return None
        steps.append([kind, n])
    return {"start": start, "steps": steps}


def _told(problem: dict[str, Any], name: str) -> Item:
    way, have, parts = problem["wording"], problem["start"], problem["parts"]
    sentences, lines = [BEGIN[way].replace("{n}", str(have))], []
    for kind, n in problem["steps"]:
        sentences.append(STEPS[kind][way].replace("{n}", str(n)))
        after = _after(kind, have, n)
        lines.append(f"{have} {SIGN[kind]} {n} = {after}")
        have = after
    sentences.append(END[bool(parts)][way].replace("{n}", str(parts)))
    if parts:
        lines.append(f"{have} / {parts} = {Fraction(have, parts)}")
    question = " ".join(sentences).replace("{name}", problem["name"]).replace("{things}", problem["things"])
    answer = "\n".join([*lines, f"#### {Fraction(have, parts or 1)}"])
    subject = f"{len(lines)} steps"
    return written_item(name, answer, "number", question=question, meta={"subject": subject, "problem": problem})
