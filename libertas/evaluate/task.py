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

FROM_FILES: dict[str, str] = {
    "items": "libertas.evaluate.tasks.lines:read_items",
    "mmlu": "libertas.evaluate.tasks.lines:read_mmlu",
}
"""Tasks that are read from files: name -> `module:function` from a path to items."""

GENERATED: dict[str, str] = {}
"""Tasks that are made: name -> `module:function` from a seed to items."""


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
    """The readings that a task is scored under."""
    return [reading_named(name) for name in config.readings]
