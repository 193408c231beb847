"""What a reply implies, yes or no: from published files, and made from numbers, where the truth is reckoned."""

import random
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.item import Item, choice_item
from libertas.evaluate.tasks.arithmetic import COUNT
from libertas.evaluate.tasks.rows import Entries, Row, csv_rows, file_bytes, items_from

ANSWERS = (" yes", " no")


def read_implicature(path: Path) -> Entries:
    """Conversational implicatures (Ruis et al. 2022, "... not zero-shot communicators") under each of its templates.

    The CSV file has `Context utterance`, `Response utterance` and `Implicature`, which begins with yes or no. Beside it
    stands the published file of templates, the only one there with `template` in its name. An utterance is a group, a
    template a subject: the paper's figure is the mean over them, and its error their standard deviation.

    Which of two whole sentences is likelier is the same as which of their last words is, since all else is equal.
    """
    rows = list(csv_rows(path))
    templates = _templates(templates_beside(path))

    def made(row: Row, place: str, number: str) -> list[Item]:
        keys = ("Context utterance", "Response utterance", "Implicature")
        said = [str(row.get(key) or "").strip() for key in keys]
        if missing := [key for key, text in zip(keys, said, strict=True) if not text]:
            raise UsageError(f"{place} has no {missing[0]!r}; expected {', '.join(keys)}")
        meant = [number for number, answer in enumerate(ANSWERS) if said[2].casefold().startswith(answer.strip())]
        if not meant:
            raise UsageError(f"{place}: 'Implicature' is {said[2]!r:.60}; expected Yes or No first")
        return [
            choice_item(
                f"implicature-{number}-{kind}",
                ANSWERS,
                meant[0],
                passage=f"{instruction}\n\n{_filled(template, *said[:2])}",
                group=f"implicature-{number}",
                meta={"subject": f"template {kind}"},
            )
            for kind, (template, instruction) in enumerate(templates, 1)
        ]

    return items_from(path, rows, made)


def _filled(template: str, *said: str) -> str:
    """The template up to its last blank: what was said may itself have a `%s`."""
    parts = template.split("%s")
    return (parts[0] + said[0] + parts[1] + said[1] + parts[2]).rstrip()


def templates_beside(path: Path) -> Path:
    """The file of templates that stands beside a file of implicatures.

    Raises:
        UsageError: there is none, or more than one.
    """
    folder = path.absolute().parent
    beside = [other for other in sorted(folder.iterdir()) if "template" in other.name] if folder.is_dir() else []
    if len(beside) != 1:
        raise UsageError(f"{path} has {len(beside)} files with `template` in their name beside it; expected one")
    return beside[0]


def _templates(path: Path) -> list[tuple[str, str]]:
    """Each template with its instruction: fields in quotes, `;` between them, the quotes within them not doubled."""
    found = []
    for number, line in enumerate(file_bytes(path).decode(errors="replace").splitlines()[1:], 2):
        fields = line.strip().removeprefix('"').removesuffix('"').split('";"')
        if len(fields) != 5 or fields[0].count("%s") != 3 or not fields[0].endswith("%s"):
            raise UsageError(f"{path}:{number} is no template: expected 5 fields, the first with three %s")
        found.append((fields[0].replace("\\n", "\n"), fields[3]))
    if not found:
        raise UsageError(f"{path} has no templates; expected a line of headings, then at least one template")
    return found


SCENES = (
    ("Can you pay the {n} euros for the {thing}?", "I have {m} euros with me.", ("ticket", "coat", "dinner", "lamp")),
    ("Will all {n} guests fit into the {thing}?", "It has {m} seats.", ("bus", "hall", "boat", "tent")),
    ("Is the rope long enough for a {thing} of {n} metres?", "It measures {m} metres.", ("wall", "well", "tower")),
    ("Can the {thing} carry {n} kilos?", "It was built for {m} kilos.", ("cart", "bridge", "shelf", "lift")),
)
"""Questions that a larger `m` than `n` answers with yes."""
FORMS = (
    "question: {question}\nreply: {reply}\nmeaning:",
    'Someone asked: "{question}" The reply was: "{reply}" This means',
    'Mira asked Ole "{question}" and he said "{reply}", by which he meant',
)


def implied_answers(seed: int, count: int = COUNT) -> list[Item]:
    """Replies with a number that imply yes or no to a question with another; half of them each, in any order.

    The reply's number is drawn before it is decided whether the question's is smaller: by itself it tells nothing. A
    scene and what it is about are a group.
    """
    generator = random.Random(f"implicature {seed}")
    items: dict[str, Item] = {}
    while len(items) < count:
        scene = generator.randrange(len(SCENES))
        yes = len(items) % 2 == 0
        m, difference = generator.randint(20, 90), generator.randint(1, 10)
        n = m - difference if yes else m + difference
        question, reply, things = SCENES[scene]
        thing = generator.choice(things)
        question = question.replace("{n}", str(n)).replace("{thing}", thing)
        form = generator.randrange(len(FORMS))
        passage = FORMS[form].replace("{question}", question).replace("{reply}", reply.replace("{m}", str(m)))
        choices = tuple(generator.sample(ANSWERS, 2))
        gold = choices.index(ANSWERS[0 if yes else 1])
        meta = {"subject": f"form {form + 1}"}
        name = f"implied-{seed}-{len(items)}"
        items.setdefault(
            passage, choice_item(name, choices, gold, passage=passage, group=f"scene {scene}: {thing}", meta=meta)
        )
    return list(items.values())
