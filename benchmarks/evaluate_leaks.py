"""Leaks that are known, because they are planted: what `libertas evaluate` finds of them, and what it finds wrongly.

Usage: OMP_NUM_THREADS=1 python benchmarks/evaluate_leaks.py [--each 60] [--seed 0] [--sets FOLDER --clean FILE...]

Everything is made from a seed: a vocabulary, items with questions, choices, answers and passages, documents. A document
holds nothing, one leak (the question and its answer, changed as its family says), or a trap: text that an item has in
common with the world without having leaked. Precision and recall are those of the class `question and answer`, by item;
beside them the rules of GPT-3 (13 words), PaLM (70 % of 8-grams) and GPT-4 (50 characters), in plain Python. Documents
with a question and no answer are counted apart: they are neither.

With `--sets`, the same is done with items of MMLU and GSM8K in that folder, every second of them planted in `--clean`
texts. Prints a line of JSON for each family (the share of its items that a system calls leaked), and for each system.
"""

import argparse
import gzip
import json
import random
import re
import string
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from libertas.corpus import Corpus, CorpusWriter
from libertas.document import Document, document_id
from libertas.evaluate.contamination.find import BOTH, find_leaks
from libertas.evaluate.item import Item, choice_item, written_item
from libertas.evaluate.task import Task
from libertas.lineage.artifact import Draft

FUNCTION = re.findall(
    r"\w+", "the of and to in a is that for it was on as with by at from this be are or an which not were when"
)
CONSONANTS, VOWELS = [*"bcdfghklmnprstvw", "st", "tr", "pl", "gr"], [*"aeiou", "ea", "io", "ou"]
SCRIPTS = {
    "Chinese": ((0x4E00, 0x5200), 1, "", "。"),
    "Japanese": ((0x3042, 0x3093), 1, "", "。"),
    "Thai": ((0x0E01, 0x0E2E), 1, "", " "),
    "Arabic": ((0x0627, 0x064A), 4, " ", "؟"),
    "Hindi": ((0x0915, 0x0939), 4, " ", "।"),
}
"""Script: its letters, letters of a word, what stands between words, what ends a sentence."""
TRAPS = "trap"
COMMON = 20
"""Added to every rank in Zipf's law (Mandelbrot 1953), so that the first word is not a tenth of all."""


@dataclass(frozen=True)
class Planted:
    """An item, a document about it, and whether that is a leak."""

    family: str
    kind: str
    item: Item
    text: str


class World:
    """A made-up language in which common words are common."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        made = {
            "".join(self.draw.choice(CONSONANTS) + self.draw.choice(VOWELS) for _ in range(n % 3 + 1))
            for n in range(9000)
        }
        self.vocabulary = sorted(made)
        self.draw.shuffle(self.vocabulary)
        self.number = 0

    def _made(self, syllables: int) -> str:
        return "".join(self.draw.choice(CONSONANTS) + self.draw.choice(VOWELS) for _ in range(syllables))

    def word(self) -> str:
        if self.draw.random() < 0.4:
            return self.draw.choice(FUNCTION)
        rank = COMMON * ((len(self.vocabulary) / COMMON + 1) ** self.draw.random() - 1)
        return self.vocabulary[int(rank)]

    def words(self, count: int, rare: bool = False) -> str:
        return " ".join(self.draw.choice(self.vocabulary) if rare else self.word() for _ in range(count))

    def prose(self, count: int) -> str:
        found = []
        while count > 0:
            size = self.draw.randint(6, 18)
            found.append(self.words(min(size, count)).capitalize() + ".")
            count -= size
        return " ".join(found)

    def name(self) -> str:
        self.number += 1
        return f"i{self.number}"

    def item(self, passage: str = "", question: str = "") -> Item:
        text = question or f"Which {self.words(self.draw.randint(9, 30))} {self.words(2, rare=True)}?"
        choices = [self.words(self.draw.randint(1, 5), rare=True) for _ in range(4)]
        return choice_item(self.name(), choices, self.draw.randrange(4), question=text, passage=passage)

    def problem(self) -> Item:
        numbers = [self.draw.randint(2, 99) for _ in range(8)]
        steps = " ".join(f"{self.words(5)} {n} = <<1+2={n}>>." for n in numbers[:3])
        given = " ".join(f"{self.words(6)} {n} {self.words(2)}." for n in numbers[3:])
        text = f"{given} How many {self.words(4)}?"
        return written_item(self.name(), f"{steps}\n#### {self.draw.randint(100, 9999)}", "number", question=text)

    def foreign(self, script: str) -> Item:
        (low, high), size, space, end = SCRIPTS[script]

        def sentence(count: int) -> str:
            letters = [chr(min(low + int(self.draw.expovariate(4 / (high - low))), high)) for _ in range(count * size)]
            return space.join("".join(letters[i : i + size]) for i in range(0, len(letters), size))

        choices = [sentence(6 if space else 12) for _ in range(4)]
        question = f"{sentence(16 if space else 70)}{end}"
        return choice_item(self.name(), choices, self.draw.randrange(4), question=question)

    def host(self, inside: str) -> str:
        return f"{self.prose(self.draw.randint(30, 150))}\n\n{inside}\n\n{self.prose(self.draw.randint(30, 150))}"


def solution(item: Item) -> str:
    return re.sub(r"<<.*?>>", "", item.answer)


def page(item: Item, options: Sequence[str] | None = None) -> str:
    """An item as a page of exercises has it."""
    shown = [
        f"{letter}) {choice}" for letter, choice in zip(string.ascii_uppercase, options or item.choices, strict=False)
    ]
    return "\n".join(part for part in (item.passage, item.question, *shown, f"Answer: {solution(item)}") if part)


def marked_up(world: World, text: str) -> str:
    """HTML that was left in: a tag around some words, references, line breaks."""
    found = []
    for word in text.split(" "):
        kind = world.draw.random()
        found.append(f"<b>{word}</b>" if kind < 0.1 else f'<span class="x">{word}</span>' if kind < 0.2 else word)
    return "<p>" + "&nbsp; ".join(" ".join(found).split("  ")).replace("\n", "<br />\n").replace("?", "&#63;</p>")


def wrapped(world: World, text: str) -> str:
    """Lines of 30 characters and more; some words are divided at their ends."""
    lines, line = [], ""
    for word in text.split():
        line = f"{line} {word}".strip()
        if len(line) > 30:
            if len(word) > 5 and word.isalpha() and world.draw.random() < 0.5:
                line, rest = line[:-3] + "-", line[-3:]
                lines.append(line)
                line = rest
            else:
                lines.append(line)
                line = ""
    return "\n".join([*lines, line])


def unpunctuated(text: str) -> str:
    return re.sub(r"[ \n]", " \t ", text.upper()).replace("?", " !").replace(".", " -- ").replace(")", "]")


def apart(world: World, item: Item) -> str:
    return f"{item.question}\n{world.prose(30)}\nThe solution: {solution(item)}"


def leaks(world: World, each: int) -> Iterator[Planted]:
    """Questions with their answers, in every spelling."""
    changes: dict[str, Callable[[Item], str]] = {
        "verbatim": page,
        "case, punctuation, spaces": lambda item: unpunctuated(page(item)),
        "HTML left in": lambda item: marked_up(world, page(item)),
        "options in another order": lambda item: page(item, world.draw.sample(item.choices, len(item.choices))),
        "without the wrong options": lambda item: f"Q. {item.question}\nA. {solution(item)}",
        "answer apart from the question": lambda item: apart(world, item),
        "lines broken, words divided": lambda item: wrapped(world, page(item)),
        "typography": lambda item: f"“{item.question}” — {solution(item)}".replace(" ", "\u00a0"),
    }
    for family, change in changes.items():
        for number in range(each):
            item = world.problem() if number % 4 == 3 and family != "options in another order" else world.item()
            yield Planted(family, "leak", item, world.host(change(item)))
    for script in SCRIPTS:
        for number in range(each):
            item = world.foreign(script)
            text = page(item) if number % 2 else f"{item.question}\n{item.answer}\n"
            yield Planted(script, "leak", item, world.host(unicodedata.normalize("NFD", text)))
    for _ in range(each):
        problem, read = world.problem(), world.item(passage=world.prose(60))
        said = f"{problem.question} Answer: {problem.answer.rpartition('#### ')[2]}"
        short = world.item(question=f"Which animal does {world.words(2, rare=True)} keep in the garden?")
        yield Planted("only the final number", "leak", problem, world.host(said))
        yield Planted("with its passage", "leak", read, world.host(page(read)))
        yield Planted("short question", "leak", short, world.host(page(short)))
        alone, listed = world.item() if world.draw.random() < 0.5 else world.problem(), world.item()
        yield Planted("question without answer", "question only", alone, world.host(alone.question))
        yield Planted(
            "options, none of them marked", "question only", listed, world.host(page(listed).rpartition("\n")[0])
        )


def traps(world: World, each: int) -> Iterator[Planted]:
    """What items have in common with documents that did not copy them."""
    license_text, notice = world.prose(120), world.prose(40)
    header = "\n".join(f"from {world.words(1, rare=True)} import {world.words(1, rare=True)}" for _ in range(6))
    template = "Which of the following statements is the best answer to the question about the"
    idioms = [f"when all is said and done {world.words(9)}" for _ in range(8)]
    shared = [world.prose(70) for _ in range(max(each // 12, 1))]
    for number in range(each):
        first, second = world.words(2, rare=True), world.words(2, rare=True)
        short = world.item(question=f"Which animal does {first} keep in the garden?")
        cases = (
            ("licence", world.item(license_text), license_text),
            (
                "instruction template",
                world.item(question=f"{template} {first}?"),
                f"{template} {second}? {world.words(4)}",
            ),
            ("boilerplate", world.item(notice), f"{notice} {world.words(8)}"),
            ("shared passage", world.item(shared[number % len(shared)]), shared[number % len(shared)]),
            ("code header", world.item(f"{header}\n\ndef {first[:4]}():"), f"{header}\n\n{world.prose(20)}"),
            ("short question of another", short, f"Which animal does {second} keep in the garden? {short.answer}"),
        )
        yield from (Planted(family, TRAPS, item, world.host(text)) for family, item, text in cases)
        idiom = world.draw.choice(idioms)
        common = world.item(question=f"Why, {idiom}, {world.words(12)} {first}?")
        yield Planted("idiom", TRAPS, common, world.host(f"And {idiom}, {world.words(20)}. {common.answer}"))
        part = world.item(question=f"Why {world.words(34)} {first}?")
        some = " ".join(part.question.split()[:16])
        yield Planted("part of a question", TRAPS, part, world.host(f"{some} {part.answer}"))
        yield from _traps_with_answers(world, number)


def _traps_with_answers(world: World, number: int) -> Iterator[Planted]:
    """Documents that hold the words of the answer as well, and yet not the question."""
    only, other, problem = world.item(), world.item(), world.problem()
    yield Planted("answer alone", TRAPS, only, world.host(f"{world.prose(20)} {only.answer} {world.prose(20)}"))
    choices = [world.words(3, rare=True) for _ in range(4)]
    passage = f"{world.prose(30)} {choices[0].capitalize()} {world.prose(20)}"
    known = choice_item(world.name(), choices, 0, question=f"Who {world.words(14)}?", passage=passage)
    yield Planted("quotation that holds the answer", TRAPS, known, world.host(f"“{passage}”"))
    asked = f"{passage}\n{other.question}\nAnswer: {other.answer}"
    again = choice_item(world.name(), choices, 0, question=f"Who {world.words(14)}?", passage=passage)
    yield Planted("passage with another question", TRAPS, again, world.host(asked))
    changed = re.sub(r"\d+", lambda found: str(int(found[0]) + 1 + number % 7), f"{problem.question}\n{problem.answer}")
    swapped = [word if n % 11 else world.words(1, rare=True) for n, word in enumerate(changed.split(" "))]
    yield Planted("problem with other numbers and names", TRAPS, problem, world.host(" ".join(swapped)))
    sums = [world.draw.randint(2, 99) for _ in range(4)]
    total = written_item(world.name(), str(sums[0] + sums[1]), "number", question=f"What is {sums[0]} + {sums[1]}?")
    table = f"{sums[0]} + {sums[2]} = {sums[0] + sums[2]}. What is {sums[1]} + {sums[3]}? {sums[0] + sums[1]}"
    yield Planted("only numbers", TRAPS, total, world.host(table))


def real(folder: Path, clean: Sequence[Path], each: int, seed: int) -> tuple[list[Planted], list[Item]]:
    """Items of MMLU and GSM8K, every second one planted, and those that are not."""
    draw = random.Random(seed)
    with gzip.open(folder / "mmlu_test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    items = [choice_item(f"m{n}", r["choices"], r["answer"], question=r["question"]) for n, r in enumerate(rows)]
    lines = (folder / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    items += [
        written_item(f"g{n}", r["answer"], "number", question=r["question"])
        for n, r in enumerate(map(json.loads, lines))
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in clean)
    world, planted = World(seed), []
    changes: tuple[tuple[str, Callable[[Item], str]], ...] = (
        ("verbatim", page),
        ("case, punctuation, spaces", lambda item: unpunctuated(page(item))),
        ("HTML left in", lambda item: marked_up(world, page(item))),
        ("lines broken, words divided", lambda item: wrapped(world, page(item))),
    )
    chosen = draw.sample(items, min(2 * each * len(changes), len(items)))
    for number, item in enumerate(chosen[::2]):
        family, change = changes[number % len(changes)]
        at = text.rfind(" ", 0, draw.randrange(4000, len(text) - 4000))
        planted.append(Planted(family, "leak", item, f"{text[at - 2000 : at]}\n{change(item)}\n{text[at : at + 2000]}"))
    return planted, chosen[1::2]


@dataclass(frozen=True, kw_only=True)
class _Made:
    out: Path


def corpus_of(texts: Sequence[str], folder: Path) -> Corpus:
    draft = Draft(kind="corpus", out=folder / "corpus", config=_Made(out=folder), inputs={}, code="libertas.corpus")
    with draft.build() as inside, CorpusWriter(inside, "made") as writer:
        for number, text in enumerate(texts):
            writer.add(Document(document_id(f"made-{number}", "x"), text, {}))
    return Corpus.open(folder / "corpus")


def plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def plain_rules(items: Sequence[Item], texts: Sequence[str], seed: int) -> dict[str, set[str]]:
    """The published rules, applied to questions with their passages, without our code."""
    draw = random.Random(seed)
    asked = {item.id: f"{item.passage}\n{item.question}" for item in items}

    def grams(text: str, size: int) -> list[str]:
        split = plain_words(text)
        return [" ".join(split[i : i + size]) for i in range(len(split) - size + 1)]

    own = {size: {name: grams(text, size) for name, text in asked.items()} for size in (8, 13)}
    wanted = {gram for by_item in own.values() for some in by_item.values() for gram in some}
    letters = {name: "".join(re.findall(r"[^\W_]", text)) for name, text in asked.items()}
    drawn = {
        name: [text[i : i + 50] for i in (draw.randrange(len(text) - 49) for _ in range(3))]
        if len(text) >= 50
        else [text]
        for name, text in letters.items()
    }
    parts = {part for some in drawn.values() for part in some if len(part) == 50}
    seen: set[str] = set()
    for text in texts:
        seen.update(gram for size in (8, 13) for gram in grams(text, size) if gram in wanted)
        row = "".join(re.findall(r"[^\W_]", text))
        seen.update(part for i in range(len(row) - 49) if (part := row[i : i + 50]) in parts)
    return {
        "13 words": {name for name, some in own[13].items() if seen & set(some)},
        "8-gram coverage": {
            n for n, some in own[8].items() if some and sum(g in seen for g in some) >= 0.7 * len(some)
        },
        "50 characters": {name for name, some in drawn.items() if seen & set(some)},
    }


def measured(planted: Sequence[Planted], others: Sequence[Item], seed: int) -> dict[str, set[str]]:
    """Which items each system calls leaked."""
    items = [*(one.item for one in planted), *others]
    texts = [one.text for one in planted]
    random.Random(seed).shuffle(texts)
    with tempfile.TemporaryDirectory() as folder:
        found = find_leaks([Task("made", items)], corpus_of(texts, Path(folder)))["made"]
    return {
        "libertas": {name for name, leak in found.items() if leak.kind == BOTH},
        "libertas, either class": {name for name, leak in found.items() if leak.kind.startswith("question")},
        **plain_rules(items, texts, seed),
    }


def summed(
    planted: Sequence[Planted], others: Sequence[Item], found: dict[str, set[str]]
) -> Iterator[dict[str, object]]:
    """Rows for every family, then precision and recall of every system."""
    systems = [name for name in found if name != "libertas, either class"]
    for family in dict.fromkeys(one.family for one in planted):
        own = {one.item.id for one in planted if one.family == family}
        kind = next(one.kind for one in planted if one.family == family)
        shares = {name: round(len(own & found[name]) / len(own), 4) for name in systems}
        yield {"family": family, "kind": kind, "items": len(own), **shares}
    true = {one.item.id for one in planted if one.kind == "leak"}
    false = {one.item.id for one in planted if one.kind == TRAPS} | {item.id for item in others}
    for name in systems:
        right, wrong = len(found[name] & true), len(found[name] & false)
        rates = {"precision": round(right / max(right + wrong, 1), 4), "recall": round(right / max(len(true), 1), 4)}
        yield {"system": name, **rates, "leaks": len(true), "not leaked": len(false), "wrong": wrong}


def made(each: int, seed: int) -> list[Planted]:
    world = World(seed)
    return [*leaks(world, each), *traps(world, each)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=60, help="items of a family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", type=Path, help="folder with mmlu_test.jsonl.gz and gsm8k_test.jsonl")
    parser.add_argument("--clean", type=Path, nargs="*", default=[], help="texts to plant these in")
    given = parser.parse_args()
    cases: list[tuple[list[Planted], list[Item]]] = [(made(given.each, given.seed), [])]
    if given.sets:
        cases.append(real(given.sets, given.clean, given.each, given.seed))
    for planted, others in cases:
        for row in summed(planted, others, measured(planted, others, given.seed)):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
