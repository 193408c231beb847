"""A grid: the ways to ask the items of one task that a report could have chosen among, as cells.

A protocol, a normalization, a wording, a number of solved examples, a draw of them, and an order of the choices make a
cell. The plain protocols are crossed with everything, so that each factor's part in the scores can be told apart; the
protocols of published scores have a wording of their own and are asked once for every draw of examples. Wordings
differ in what should not matter: Sclar et al. 2023 (arXiv 2310.11324) moved scores by tens of points with no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from libertas.errors import UsageError
from libertas.evaluate.answer import Arrangement
from libertas.evaluate.asking import PLAIN_ASKING, Asking
from libertas.evaluate.item import Item
from libertas.evaluate.protocol import PROTOCOLS, Protocol, named_protocol
from libertas.evaluate.reading import NORMALIZATIONS, Reading
from libertas.evaluate.shots import Shots, examples_for, reordered
from libertas.evaluate.task import WHOLE_TEXTS, Task

PLAIN = ("letters", "letters-text", "text-shown", "text")
"""Protocols that differ in what is shown and what is compared, and can be put in any wording."""
AS_PUBLISHED = "as published"
"""Wording of the other protocols: their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What stands around question and answer, and says the same in other characters."""

    name: str
    question: str
    cue: str
    between: str

    def worded(self, protocol: Protocol) -> Protocol:
        """A plain protocol in this wording."""
        return replace(
            protocol,
            name=f"{protocol.name}, {self.name}",
            question=self.question,
            cue=self.cue,
            between=self.between,
        )


WORDINGS = (
    Wording(name="words", question="Question: {question}\n", cue="Answer:", between="\n\n"),
    Wording(name="initials", question="Q: {question}\n", cue="A:", between="\n\n"),
    Wording(name="blank lines", question="Question:\n{question}\n\n", cue="\nAnswer:", between="\n\n\n"),
)
"""The protocols' own wording first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """One way to ask a task."""

    protocol: str
    normalization: str
    wording: str
    shots: int
    seed: int
    """Of the examples' draw; 0 where there are none."""
    order: int
    """0: the choices as the task has them; otherwise the seed of a shuffle of each item's choices."""

    @property
    def published(self) -> bool:
        """Whether it is a protocol in its own wording, beside the crossed part of the grid."""
        return self.wording == AS_PUBLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Levels of every factor."""

    protocols: tuple[str, ...]
    """Crossed with all that follows."""
    published: tuple[str, ...]
    """Crossed with the examples alone."""
    wordings: tuple[Wording, ...] = WORDINGS
    examples: tuple[tuple[int, int], ...] = ((0, 0),)
    """Number of examples, and the seed that draws them."""
    orders: int = 1

    def arranged(
        self, items: Sequence[Item], pool: Sequence[Item], asking: Asking = PLAIN_ASKING
    ) -> Iterator[tuple[Arrangement, list[GridCell]]]:
        """What to ask, and which cell each of an arrangement's readings is."""
        for count, seed in self.examples:
            for order in range(self.orders):
                forms = self._forms(order)
                cells = [
                    GridCell(protocol=name, normalization=how, wording=wording, shots=count, seed=seed, order=order)
                    for name, wording, _, how in forms
                ]
                yield (
                    Arrangement(
                        items=[reordered(item, order) for item in items] if order else items,
                        readings=[Reading(f"{one.name}/{how}", one, how, asking) for _, _, one, how in forms],
                        pool=pool,
                        shots=Shots(count=count, seed=seed),
                    ),
                    cells,
                )

    def _forms(self, order: int) -> list[tuple[str, str, Protocol, str]]:
        """Names of protocol and wording, the protocol so worded, and a normalization."""
        forms = [(name, one.name, one.worded(PROTOCOLS[name])) for name in self.protocols for one in self.wordings]
        if not order:
            forms += [(name, AS_PUBLISHED, PROTOCOLS[name]) for name in self.published]
        return [(*form, how) for form in forms for how in normalizations_of(form[2])]


def normalizations_of(protocol: Protocol) -> tuple[str, ...]:
    """Those that can decide otherwise than the plain log-probability: all letters are one character long."""
    if protocol.must_be_likeliest:
        return ("none",)
    if protocol.compared == "letter":
        return ("none", "pmi", "pmi-bare")
    return tuple(NORMALIZATIONS)


def grid_for(task: Task, shots: Sequence[int], seeds: int, orders: int, protocols: Sequence[str] = ()) -> Grid:
    """The grid of a task: protocols that fit it, and numbers of examples that its pool has; 0 is always among them.

    Letters are no way to ask where whole texts are compared, and items made from held-out documents have no examples.

    Raises:
        UsageError: `protocols` are given, and one is unknown or none fits.
    """
    wanted = [named_protocol(name).name for name in protocols] or list(PROTOCOLS)
    fitting = [
        name
        for name, protocol in PROTOCOLS.items()
        if name in wanted and protocol.compared != "generated" and (task.name not in WHOLE_TEXTS or not protocol.option)
    ]
    if not fitting:
        raise UsageError(f"sensitivity_protocols is {', '.join(protocols)}, but {task.name} compares texts; add 'text'")
    continued = all(PROTOCOLS["text"].continues(item) for item in task.items) and not any(
        PROTOCOLS[name].option for name in fitting
    )
    examples = [(0, 0)]
    for count in sorted(set(shots) - {0}):
        if task.name != "continuation" and _enough(task, count):
            examples += [(count, seed) for seed in range(seeds)]
    return Grid(
        protocols=tuple(name for name in PLAIN if name in fitting),
        published=tuple(name for name in fitting if name not in PLAIN),
        wordings=WORDINGS[:1] if continued and examples == [(0, 0)] else WORDINGS,
        examples=tuple(examples),
        orders=orders,
    )


def _enough(task: Task, count: int) -> bool:
    """Whether every item finds so many examples."""
    try:
        for item in task.items:
            examples_for(item, task.pool, Shots(count=count))
    except UsageError:
        return False
    return True
