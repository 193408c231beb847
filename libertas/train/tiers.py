"""What is kept when not everything can be: the rule by which saved steps leave, and the budget that makes them.

A run keeps three tiers: `resume/`, the newest full states; `states/`, full states at every so-manieth step, to branch
off and to replay from; and `checkpoints/`, weights at Pythia's steps, to be looked at later.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from libertas.train.checkpoint import remove_checkpoint, saved_under, step_of
from libertas.train.config import TrainConfig
from libertas.train.schedule import keeps_checkpoint

RESUME, STATES, CHECKPOINTS = "resume", "states", "checkpoints"
KEPT_STATES = 2
"""Full states in `resume/`: should the newest be damaged, there is one before it."""
GIGABYTE = 10**9


def budget_bytes(gigabytes: float) -> float:
    """A budget of the settings in bytes; 0 means no limit."""
    return gigabytes * GIGABYTE or math.inf


def checkpoint_steps(config: TrainConfig) -> list[int]:
    """The steps whose weights a training keeps."""
    return [s for s in range(config.steps + 1) if keeps_checkpoint(s, config.steps, config.checkpoint_every)]


def leaving_order(steps: Iterable[int]) -> list[int]:
    """The order in which saved steps are given up: all but the newest, the least informative first.

    A step tells most where its neighbours are far. Distance is measured half in steps and half in their logarithm, as
    Pythia's own steps are spaced; the step leaves first between whose neighbours the distance is smallest. The first
    step leaves last. What is left after n steps have gone includes what is left after n + 1.
    """
    left = sorted(set(steps))
    if not left:
        return []
    last = max(1, left[-1])
    place = {step: math.log2(1 + step) / math.log2(1 + last) + step / last for step in left}
    order = []
    while len(left) > 2:
        gaps = [place[after] - place[before] for before, after in zip(left, left[2:], strict=False)]
        order.append(left.pop(1 + gaps.index(min(gaps))))
    return order + left[:-1]


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder and below; files that go while they are counted do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def thin(parent: Path, most: float, order: Sequence[int], spared: Collection[int] = ()) -> list[int]:
    """Remove checkpoints of a folder in an order until the rest has `most` bytes; those in `spared` stay in any case.

    Returns the removed steps.
    """
    saved = {step_of(path): path for path in saved_under(parent)}
    total = sum(folder_bytes(path) for path in saved.values())
    removed = []
    for step in order:
        if total <= most:
            break
        if step in saved and step not in spared:
            total -= folder_bytes(saved[step])
            remove_checkpoint(saved[step])
            removed.append(step)
    return removed
