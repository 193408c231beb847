"""A task: items, solved items that may be examples, and the file they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from libertas.errors import UsageError
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.item import Item
from libertas.evaluate.reading import Reading, reading_named
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


@dataclass(frozen=True, slots=True)
class Task:
    """Items that belong together."""

    name: str
    items: Sequence[Item]
    pool: Sequence[Item] = ()
    """Solved items for examples; an item is never its own example."""

    def limited(self, count: int) -> "Task":
        """At most `count` items, evenly spread over the task; 0 for all."""
        if not count or count >= len(self.items):
            return self
        chosen = [self.items[number * len(self.items) // count] for number in range(count)]
        return replace(self, items=chosen, pool=self.pool or self.items)


def files_of(spec: str) -> list[Path]:
    """Files that a task is read from: `NAME=FILE` or `NAME=FILE,EXAMPLES`; none for one that is made."""
    _, _, files = spec.partition("=")
    return [Path(file) for file in files.split(",") if file]


def load_task(spec: str, seed: int) -> Task:
    """The task that `spec` names: `NAME` for one that is made, else `NAME=FILE` or `NAME=FILE,EXAMPLES`.

    Raises:
        UsageError: the name is not known, or a file is not what the task's files are.
    """
    name, given, _ = spec.partition("=")
    known = FROM_FILES if given else GENERATED
    if name not in known:
        form = f"{name}=FILE" if name in FROM_FILES else nearest(name, [*FROM_FILES, *GENERATED])
        raise UsageError(f"task {spec!r} is not known; {form}")
    module, _, function = known[name].partition(":")
    make: Callable[[object], list[Item]] = getattr(import_module(module), function)
    if not given:
        return Task(name, make(seed))
    paths = files_of(spec)
    if len(paths) not in (1, 2):
        raise UsageError(f"task {spec!r} names {len(paths)} files; expected {name}=FILE or {name}=FILE,EXAMPLES")
    parts = [make(path) for path in paths]
    ids = [item.id for item in parts[0]]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise UsageError(f"{paths[0]} has two items with the id {twice!r}; ids must differ")
    return Task(name, *parts)


def readings_of(config: EvaluateConfig, task: Task) -> list[Reading]:
    """The readings that a task is scored under; letters are no way to ask where whole texts are compared.

    Raises:
        UsageError: none of them is left, or the task's answers have to be written.
    """
    if any(not item.choices for item in task.items):
        raise UsageError(
            f"the answers of {task.name} are written, not chosen, which `libertas evaluate` does not do; "
            "let the model write with `libertas generate` or `libertas lm-eval`"
        )
    readings = [reading_named(name) for name in config.readings]
    fitting = [reading for reading in readings if task.name not in WHOLE_TEXTS or not reading.protocol.option]
    if not fitting:
        raise UsageError(f"readings is {', '.join(config.readings)}, but {task.name} compares texts; add 'text'")
    return fitting
