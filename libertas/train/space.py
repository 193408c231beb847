"""Room on the disk: how much a plan takes, what to do when there is none, and a reserve for the last save."""

import errno
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from torch import Tensor

from libertas.errors import UsageError
from libertas.terminal import say
from libertas.train.checkpoint import folder_of, remove_checkpoint, remove_unfinished, saved_under, step_of, verified
from libertas.train.config import TrainConfig
from libertas.train.optimizer import Optimizers
from libertas.train.snapshot import Snapshot
from libertas.train.tiers import (
    CHECKPOINTS,
    GIGABYTE,
    KEPT_STATES,
    RESUME,
    STATES,
    budget_bytes,
    checkpoint_steps,
    folder_bytes,
    leaving_order,
)

FULL = (errno.ENOSPC, errno.EDQUOT)
AWAY = (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
"""What systems say of a disk that was pulled out or a server that does not answer (errno(3))."""
RESERVE = "reserve"
RESERVE_FROM = 8
"""The reserve is made where at least so many times its size is free."""
BESIDE_TENSORS = 200_000
"""Bytes of a checkpoint beside its tensors: manifest, shape, hashes."""
STATE_NUMBERS = {"AdamW": 2.0, "Muon": 1.0, "Adafactor": 1.0}
"""Numbers that optimizers keep for each weight, at most."""


def why_not_written(error: BaseException) -> str | None:
    """In words, if the disk and not the program is at fault; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    return "the disk is full" if number in FULL else "the disk is away" if number in AWAY else None


def planned_bytes(weights: dict[str, Tensor], optimizers: Optimizers) -> tuple[int, int]:
    """Bytes of a checkpoint and, at most, of a full state, before there is one."""
    small: int = sum(t.numel() * t.element_size() for t in weights.values()) + BESIDE_TENSORS
    state: int = small
    for optimizer in optimizers.values():
        share = STATE_NUMBERS.get(type(optimizer).__name__, 2.0)
        for group in optimizer.param_groups:
            weights_here: list[Tensor] = group["params"]
            state += int(share * sum(p.numel() * p.element_size() for p in weights_here))
    return small, state


def snapshot_bytes(snapshot: Snapshot, whole: bool) -> int:
    """Bytes that a snapshot takes on the disk, with or without the optimizer's state."""
    tensors: list[Tensor] = [*snapshot.weights.values(), *((snapshot.optimizer or {}).values() if whole else ())]
    return sum(t.numel() * t.element_size() for t in tensors) + BESIDE_TENSORS


def require_room(config: TrainConfig, folder: Path, checkpoint: int, state: int) -> None:
    """Refuse a plan that cannot work, and say how one will be thinned that is too large, before the first step.

    Args:
        config: of the training.
        folder: of the run; what it holds already counts as room.
        checkpoint: bytes of one.
        state: bytes of a full one.

    Raises:
        UsageError: a budget is too small for one, or one of each does not fit on the disk.
    """
    for name, size, what in (
        ("resume_gigabytes", state, "full state"),
        ("states_gigabytes", state if config.state_every else 0, "full state"),
        ("checkpoints_gigabytes", checkpoint, "checkpoint"),
    ):
        budget = getattr(config, name)
        if 0 < budget * GIGABYTE < size:
            raise UsageError(
                f"{name} is {budget:g}; the budget is too small for one {what}, of {size / GIGABYTE:.3g} GB; expected "
                "more, or 0 for no limit"
            )
    room = shutil.disk_usage(folder).free + folder_bytes(folder)
    if room < checkpoint + state:
        raise UsageError(
            f"{folder} has room for {room / GIGABYTE:.3g} GB; a checkpoint and a full state take "
            f"{(checkpoint + state) / GIGABYTE:.3g} GB; free some space or choose another --out"
        )
    kept = len(checkpoint_steps(config))
    states = config.steps // config.state_every if config.state_every else 0
    wanted = {
        CHECKPOINTS: (kept, checkpoint, config.checkpoints_gigabytes),
        STATES: (states, state, config.states_gigabytes),
        RESUME: (KEPT_STATES + 1, state, config.resume_gigabytes),  # one is written before another goes
    }
    total = sum(min(count * size, budget_bytes(budget)) for count, size, budget in wanted.values())
    for name, (count, size, budget) in wanted.items():
        if name != RESUME and count * size > budget_bytes(budget):
            say(
                f"{name}: {count:,} of {size / GIGABYTE:.3g} GB are planned and {int(budget * GIGABYTE / size):,} fit "
                f"into {name}_gigabytes; the least informative go first"
            )
    if total > room:
        say(
            f"[yellow]{folder} has room for {room / GIGABYTE:.3g} GB and the plan takes {total / GIGABYTE:.3g} GB"
            "[/yellow]; when the disk is full, the least informative states and checkpoints go"
        )


def reclaim(folder: Path, needed: int, copied: Collection[int], checkpoints: bool) -> list[str]:
    """Remove what a run needs least until so many bytes are free; nothing if all of it would not be enough.

    Unfinished folders go first, then older states, then states by information and, if they may, checkpoints by
    information: those that were `copied` elsewhere before the others. The newest sound state and the first and last
    checkpoint stay. Returns what went.
    """
    for tier in (RESUME, STATES, CHECKPOINTS):
        remove_unfinished(folder / tier)
    room, going = shutil.disk_usage(folder).free, []
    for path in _needed_least(folder, copied, checkpoints):
        if room >= needed:
            break
        going.append(path)
        room += folder_bytes(path)
    if room < needed:
        return []
    for path in going:
        remove_checkpoint(path)
    return [f"{path.parent.name}/{path.name}" for path in going]


def _needed_least(folder: Path, copied: Collection[int], checkpoints: bool) -> Iterator[Path]:
    states = [*saved_under(folder / RESUME), *saved_under(folder / STATES)]
    newest = next((p for p in sorted(states, key=step_of, reverse=True) if verified(p)), None)
    yield from (p for p in saved_under(folder / RESUME) if p != newest)
    warm = saved_under(folder / STATES)
    yield from (p for s in leaving_order(map(step_of, warm)) if (p := folder_of(folder / STATES, s)) != newest)
    if checkpoints:
        order = leaving_order(map(step_of, saved_under(folder / CHECKPOINTS)))[:-1]  # step 0 stays
        yield from (folder_of(folder / CHECKPOINTS, s) for s in sorted(order, key=lambda step: step not in copied))


class Reserve:
    """A file as large as a full state: it is given up when the last state would not fit otherwise."""

    def __init__(self, folder: Path, size: int) -> None:
        """Take the room, where there is plenty."""
        self.path = folder / RESERVE
        self.give_up()
        if shutil.disk_usage(folder).free < RESERVE_FROM * size or not hasattr(os, "posix_fallocate"):
            return
        with self.path.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError:
                self.give_up()  # not every file system can

    def give_up(self) -> None:
        """Leave the room to something else."""
        self.path.unlink(missing_ok=True)
