"""A task: items, solved items that may be examples, and the file they come from."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.grade import check_graders
from libertas.evaluate.item import Item
from libertas.evaluate.reading import Reading, reading_named
from libertas.evaluate.tasks.implicature import templates_beside
from libertas.spelling import nearest

_TASKS = "libertas.evaluate.tasks"

FROM_FILES: dict[str, str] = {
    "arc": f"{_TASKS}.commonsense:read_arc",
    "blimp": f"{_TASKS}.pairs:read_blimp",
    "crows-pairs": f"{_TASKS}.pairs:read_crows_pairs",
    "gsm8k": f"{_TASKS}.written:read_gsm8k",
    "hellaswag": f"{_TASKS}.commonsense:read_hellaswag",
    "humaneval": f"{_TASKS}.written:read_humaneval",
    "implicature": f"{_TASKS}.implicature:read_implicature",
    "items": f"{_TASKS}.lines:read_item_lines",
    "lambada": f"{_TASKS}.written:read_lambada",
    "lm-eval": f"{_TASKS}.samples:read_samples",
    "math": f"{_TASKS}.written:read_math",
    "math-verify": f"{_TASKS}.written:read_math_verify",
    "mmlu": f"{_TASKS}.lines:read_mmlu",
    "piqa": f"{_TASKS}.commonsense:read_piqa",
    "proofnet": f"{_TASKS}.written:read_proofnet",
    "truthfulqa": f"{_TASKS}.commonsense:read_truthfulqa",
    "winogrande": f"{_TASKS}.commonsense:read_winogrande",
}
"""Tasks that are read from files: name -> `module:function` from a path to items."""

GENERATED: dict[str, str] = {
    "arithmetic": f"{_TASKS}.arithmetic:arithmetic",
    "bias-pairs": f"{_TASKS}.stories:bias_pairs",
    "copying": f"{_TASKS}.stories:copying",
    "implied-answers": f"{_TASKS}.implicature:implied_answers",
    "last-words": f"{_TASKS}.stories:last_words",
    "planted-facts": f"{_TASKS}.planted:planted_facts",
    "two-facts": f"{_TASKS}.stories:two_facts",
    "word-problems": f"{_TASKS}.arithmetic:word_problems",
}
"""Tasks that are made: name -> `module:function` from a seed to items."""


WHOLE_TEXTS = frozenset(
    {"bias-pairs", "blimp", "crows-pairs", "hellaswag", "implicature", "implied-answers", "lm-eval", "winogrande"}
)
"""Tasks whose choices are sentences, or what continues one: nobody is asked a question."""


REFUSALS_TOLD = 5
"""Of the rows of a task that are refused, so many are told at once."""


@dataclass(frozen=True, slots=True)
class Task:
    """Items that belong together."""

    name: str
    items: Sequence[Item]
    pool: Sequence[Item] = ()
    """Solved items for examples; an item is never its own example."""
    refused: tuple[str, ...] = ()
    """Rows of its files that are no items: file, line, and why."""

    def limited(self, count: int) -> "Task":
        """At most `count` items, one of each of as many equal stretches; 0 for all. Without a pool, all items are one.

        Which one of a stretch is drawn, always alike: every tenth might be all of one kind.
        """
        chosen = self.items
        if 0 < count < len(self.items):
            generator, ends = random.Random(count), [n * len(self.items) // count for n in range(count + 1)]
            chosen = [self.items[generator.randrange(*stretch)] for stretch in pairwise(ends)]
        return replace(self, items=chosen, pool=self.pool or self.items)


def files_of(spec: str) -> list[Path]:
    """Files that a task is read from: those that `NAME=FILE` or `NAME=FILE,EXAMPLES` names, and templates beside them.

    Raises:
        UsageError: there should be templates, and there are none.
    """
    name, paths = spec.partition("=")[0], _named_files(spec)
    beside = {templates_beside(path) for path in paths} if name == "implicature" else ()
    return [*paths, *sorted(beside)]


def _named_files(spec: str) -> list[Path]:
    return [Path(file) for file in spec.partition("=")[2].split(",") if file]


def load_task(spec: str, seed: int) -> Task:
    """The task that `spec` names: `NAME` for one that is made, else `NAME=FILE` or `NAME=FILE,EXAMPLES`.

    Raises:
        UsageError: the name is not known, or a file is not what the task's files are; a bad row is only refused.
    """
    name, given, _ = spec.partition("=")
    known = FROM_FILES if given else GENERATED
    if name not in known:
        form = f"{name}=FILE" if name in FROM_FILES else nearest(name, [*FROM_FILES, *GENERATED])
        raise UsageError(f"task {spec!r} is not known; {form}")
    module, _, function = known[name].partition(":")
    make: Callable[[object], Sequence[Item | UsageError]] = getattr(import_module(module), function)
    paths = _named_files(spec)
    if given and len(paths) not in (1, 2):
        raise UsageError(f"task {spec!r} names {len(paths)} files; expected {name}=FILE or {name}=FILE,EXAMPLES")
    parts = [make(path) for path in paths] if given else [make(seed)]
    items = [[entry for entry in part if isinstance(entry, Item)] for part in parts]
    refused = tuple(str(entry) for part in parts for entry in part if isinstance(entry, UsageError))
    assert sum(map(len, parts)) == sum(map(len, items)) + len(refused), f"{name}: a row vanished"
    return Task(name, items[0], items[1] if len(items) == 2 else (), refused)


def refusals(task: Task) -> list[str]:
    """What to tell of rows that are refused: the first ones, and how many there are."""
    lines = [f"{task.name}: {line}" for line in task.refused[:REFUSALS_TOLD]]
    if len(task.refused) > REFUSALS_TOLD:
        lines.append(f"{task.name}: {len(task.refused):,} rows are refused in all; the result lists them")
    return lines


def readings_of(config: EvaluateConfig, task: Task) -> list[Reading]:
    """The readings that a task is scored under.

    Letters are no way to ask where whole texts are compared. Where answers have to be written, be it a single one, of
    the readings only those serve that let the model write: `generate`, if none of them does.

    Raises:
        UsageError: none of them is left, or a grader's package is not installed.
    """
    readings = [reading_named(name) for name in config.readings]
    fitting = [reading for reading in readings if task.name not in WHOLE_TEXTS or not reading.protocol.option]
    if any(not item.choices for item in task.items):
        fitting = [reading for reading in readings if writes(reading)] or [reading_named("generate")]
    if not fitting:
        raise UsageError(f"readings is {', '.join(config.readings)}, but {task.name} compares texts; add 'text'")
    if any(writes(reading) for reading in fitting):
        check_graders(task.items)
    for reading in fitting:
        if writes(reading) and reading.normalization != "none":
            raise UsageError(f"reading {reading.name!r} has nothing to normalize: the model writes; take 'generate'")
    return fitting


def writes(reading: Reading) -> bool:
    """Whether the model writes its answer, instead of having choices compared."""
    return reading.protocol.compared == "generated"
