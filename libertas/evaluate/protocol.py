"""Protocols: different ways to ask one and the same item, which is why one model has several scores.

A protocol makes the words of a prompt and of what is compared; `reading` says how the numbers are compared. The named
ones are those under which published scores were made: "What's going on with the Open LLM Leaderboard?" (Hugging Face
2023) tells how far three of them lie apart on the same questions of MMLU.
"""

from dataclasses import asdict, dataclass, replace

from libertas.errors import UsageError
from libertas.evaluate.item import Item
from libertas.lineage.fingerprint import canonical, digest
from libertas.spelling import nearest

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

CONTINUES = "Which of these continues the text?"
"""Asked by protocols that show the choices, when an item has no question of its own."""

TOPIC = "The following are multiple choice questions (with answers) about {subject}.\n\n"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to turn an item into a prompt and what may follow it."""

    name: str
    about: str
    """What it is and where it comes from."""
    description: str = ""
    """Stands once before everything; `{subject}` is the item's subject."""
    question: str = "Question: {question}\n"
    before_options: str = ""
    option: str = ""
    """A line for each choice, with `{letter}` and `{choice}`; empty: the choices are not shown."""
    cue: str = "Answer:"
    compared: str = "text"
    """What follows the cue: the choice's `text`, its `letter`, `letter and text`, or whatever the model writes
    (`generated`)."""
    must_be_likeliest: bool = False
    """Whether an answer counts only if no other token of the whole vocabulary is likelier."""
    between: str = "\n\n"
    """After each example."""
    verbatim: bool = False
    """Whether choices stand exactly as the item has them; otherwise white space inside and around them is tidied."""

    @property
    def fingerprint(self) -> str:
        """Hash of what decides a prompt: the templates, and what they make of a fixed item."""
        item = Item("i", "Q?", (" one", " two"), 0, " one", "P", "g")
        shown = [[self.prompt(i), self.continuations(i)] for i in (item, replace(item, question=""))]
        fields = {name: value for name, value in asdict(self).items() if name != "about"}
        return digest(canonical([fields, shown]))

    def continues(self, item: Item) -> bool:
        """Whether the choices simply continue the item's passage, without a space added before them."""
        return not item.question and not self.option

    def cue_of(self, item: Item) -> str:
        """What the prompt of an item ends with; nothing where the choices continue the passage."""
        return "" if self.continues(item) else self.cue

    def prompt(self, item: Item) -> str:
        """All that stands before the answer; the passage alone where the choices are hidden and simply continue it."""
        if self.continues(item):
            return item.passage
        blank = f"_{item.ending}" if item.ending else ""
        passage = f"{item.passage}{blank}\n" if item.passage or blank else ""
        options = "".join(
            self.option.replace("{letter}", LETTERS[i]).replace("{choice}", self._shown(choice))
            for i, choice in enumerate(item.choices)
        )
        question = self.question.replace("{question}", item.question.strip() or CONTINUES)
        return f"{passage}{question}{self.before_options if options else ''}{options}{self.cue}"

    def continuations(self, item: Item) -> tuple[str, ...]:
        """What is compared, one for each choice; the choices as they stand where they continue a passage."""
        if self.compared == "letter":
            return tuple(f" {letter}" for letter in LETTERS[: len(item.choices)])
        if self.compared == "letter and text":
            return tuple(f" {LETTERS[i]}. {choice.strip()}" for i, choice in enumerate(item.choices))
        if self.continues(item):
            return item.choices
        return tuple(f" {choice if self.verbatim else choice.strip()}" for choice in item.choices)

    def asked(self, item: Item) -> list[tuple[str, str]]:
        """Prompt and continuation of each choice; where the item has an ending, that follows passage and choice."""
        if item.ending and self.continues(item):
            return [(item.passage + choice, item.ending) for choice in item.choices]
        prompt = self.prompt(item)
        return [(prompt, text) for text in self.continuations(item)]

    def _shown(self, choice: str) -> str:
        return choice if self.verbatim else " ".join(choice.split())

    def solved(self, item: Item) -> tuple[str, str]:
        """The prompt of an item and its right answer."""
        if not item.choices:
            return self.prompt(item), f" {item.answer.strip()}"
        return self.asked(item)[item.gold]

    def example(self, item: Item) -> str:
        """An item with its answer, as it stands before the one that is asked."""
        return "".join((*self.solved(item), self.between))

    def heading(self, item: Item) -> str:
        """The description, about the item's subject."""
        return self.description.replace("{subject}", str(item.meta.get("subject", "")).replace("_", " "))


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol(
            name="letters",
            about="the choices are shown, and their letters compared",
            option="{letter}. {choice}\n",
            compared="letter",
        ),
        Protocol(
            name="letters-text",
            about="the choices are shown, and letter and text together compared",
            option="{letter}. {choice}\n",
            compared="letter and text",
        ),
        Protocol(name="text", about="the choices are hidden, and their texts compared (cloze)"),
        Protocol(
            name="text-shown",
            about="the choices are shown, and their texts compared",
            option="{letter}. {choice}\n",
        ),
        Protocol(
            name="mmlu-original",
            about="the code published with MMLU (Hendrycks et al. 2021), its double space before the subject included",
            description=TOPIC.replace("{subject}", " {subject}"),
            question="{question}\n",
            option="{letter}. {choice}\n",
            compared="letter",
            verbatim=True,
        ),
        Protocol(
            name="harness-2023",
            about="lm-eval's MMLU until June 2023: no topic, and letter and text together compared",
            before_options="Choices:\n",
            option="{letter}. {choice}\n",
            compared="letter and text",
        ),
        Protocol(
            name="harness",
            about="lm-eval's `mmlu` since version 2 of the task",
            description=TOPIC,
            question="{question}\n",
            option="{letter}. {choice}\n",
            compared="letter",
            verbatim=True,
        ),
        Protocol(
            name="harness-text",
            about="lm-eval's `mmlu_continuation`: the choices are hidden, and their texts compared",
            description=TOPIC.replace("multiple choice questions", "questions"),
            verbatim=True,
        ),
        Protocol(
            name="helm",
            about="HELM's MMLU: the letter must be the likeliest of all tokens",
            description=TOPIC,
            option="{letter}. {choice}\n",
            compared="letter",
            must_be_likeliest=True,
        ),
        Protocol(
            name="olmes-letters",
            about="OLMES, multiple choice: labels with a space before them, as in the answer (Gu et al. 2024)",
            option=" {letter}. {choice}\n",
            compared="letter",
        ),
        Protocol(name="olmes-text", about="OLMES, cloze (Gu et al. 2024): the same words as `text`"),
        Protocol(
            name="generate",
            about="the model writes, and its answer is extracted and graded",
            compared="generated",
        ),
    )
}
"""By name."""


def named_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"protocol is {name!r}; {nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]
