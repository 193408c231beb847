"""What a run keeps of its model, and when: states to continue from, checkpoints for good, and the chain over all.

Saving costs training a copy in memory; a thread writes it. Never are two saves written at once: one that is due by the
clock waits for a later step, one that is due by the number of its step waits for the one before. The memory is that of
one full state at most. When the disk is full or away, training goes on.
"""

import time
from pathlib import Path

from rich.markup import escape

from libertas.model.transformer import Model
from libertas.terminal import say
from libertas.train import checkpoint
from libertas.train.chain import Chain, is_link
from libertas.train.checkpoint import folder_of, saved_under, step_of, write_checkpoint
from libertas.train.cold import LAST_ATTEMPTS, ColdCopies, open_target
from libertas.train.config import TrainConfig
from libertas.train.journal import Journal
from libertas.train.optimizer import Optimizers
from libertas.train.parallel import Layout
from libertas.train.schedule import keeps_checkpoint
from libertas.train.snapshot import Copies, Snapshot, fits_in_memory, live_snapshot
from libertas.train.space import Reserve, planned_bytes, reclaim, require_room, snapshot_bytes, why_not_written
from libertas.train.stopping import StoppedAtOnce
from libertas.train.tiers import CHECKPOINTS, KEPT_STATES, RESUME, STATES, budget_bytes, leaving_order, thin
from libertas.train.writer import Writer

SLACK = 1.05
"""Room that is made for a save, as a multiple of what it takes."""


class Archive:
    """The states, checkpoints and chain of one run, in its folder."""

    def __init__(
        self,
        folder: Path,
        model: Model,
        optimizers: Optimizers,
        config: TrainConfig,
        layout: Layout,
        chain: Chain,
    ) -> None:
        """Bind what is saved and where.

        Raises:
            UsageError: the plan cannot fit, or the archive's address cannot be used.
        """
        self.folder, self.model, self.optimizers = folder, model, optimizers
        self.config, self.layout, self.chain = config, layout, chain
        self.small, self.whole = planned_bytes(dict(model.state_dict()), optimizers)
        self.copies, self.writer = Copies(model, optimizers, layout), Writer()
        self.copied_first = layout.ranks > 1 or fits_in_memory(self.whole)
        self.saved, self.seconds = time.monotonic(), 0.0
        self.failing: set[str] = set()
        self.cold: ColdCopies | None = None
        self.reserve: Reserve | None = None
        if layout.first:
            require_room(config, folder, self.small, self.whole)
            if config.archive:
                target = open_target(config.archive)
                self.cold = ColdCopies(folder / CHECKPOINTS, target, config.tokens / checkpoint.TOKENIZER)
            self.reserve = Reserve(folder, self.whole)

    def restore(self) -> int:
        """Load the newest sound state; the step after which it was saved, 0 for a fresh model."""
        found = None
        if self.layout.first:
            for tier in (RESUME, STATES, CHECKPOINTS):
                checkpoint.remove_unfinished(self.folder / tier)
            found = checkpoint.newest_state(self.folder / RESUME, self.folder / STATES)
            self._forget_damaged(step_of(found) if found else 0)
        state = self.layout.agreed(found)
        step = 0
        if state is not None:
            step = checkpoint.restore(state, self.model, self.optimizers, self.layout)
        self.chain.cut(-1 if state is None else step)
        if state is None:
            self.chain.link(0, dict(self.model.state_dict()))
            checkpoint.save_checkpoint(self.folder / CHECKPOINTS, 0, self.model, self.config, layout=self.layout)
        return step

    def _forget_damaged(self, newest: int) -> None:
        """Remove states that are newer than the newest sound one, or they would count as kept."""
        for path in [*saved_under(self.folder / RESUME), *saved_under(self.folder / STATES)]:
            if step_of(path) > newest:
                checkpoint.remove_checkpoint(path)

    def after(self, step: int, leaving: bool, journal: Journal | None = None) -> list[str]:
        """Save what is due after a step, and say what a person should know of earlier saves.

        Args:
            step: that was done.
            leaving: the full state is saved in any case, and is on the disk when this returns.
            journal: no state is saved before its lines are in the file.

        Raises:
            OSError: the last checkpoint, or the state on leaving, cannot be saved.
        """
        if is_link(step, self.config):
            self.chain.link(step, dict(self.model.state_dict()))
        final = leaving or step == self.config.steps
        if final and self.reserve is not None and not self._settled(journal):
            self.reserve.give_up()
        events = [*self.writer.events(), *(self.cold.events() if self.cold else ())]
        if tiers := self._due(step, final, journal):
            self.writer.wait()
            self._save(step, tiers, final)
        if final:
            self.writer.wait()
            events += self.writer.events()
        for event in events:
            say(f"[yellow]{escape(event)}[/yellow]")
        return events

    def leaving_notice(self) -> str:
        """What to tell a person who has just asked to stop."""
        grace = self.config.grace_seconds
        if self.seconds <= grace:
            return "stopping after this step; Ctrl-C again stops at once"
        return (
            f"stopping after this step; saving took {self.seconds:.0f} s last time, longer than grace_seconds, "
            f"{grace:g}: if this process is killed before, the same command continues from the state before"
        )

    def __enter__(self) -> "Archive":
        """Nothing; leaving the block finishes what is being written."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what is being written and, at the end of the training, copied; one who stops at once does not."""
        if kind is not None and issubclass(kind, StoppedAtOnce):
            return
        self.writer.wait()
        if self.cold is not None:
            for event in self.cold.finish(LAST_ATTEMPTS if kind is None else 0):
                say(f"[yellow]{escape(event)}[/yellow]; the same command copies what is left")
        if self.reserve is not None:
            self.reserve.give_up()
        self.chain.close()

    def _settled(self, journal: Journal | None) -> bool:
        """Whether the lines of all steps are in their files."""
        return self.chain.settled() and (journal is None or journal.settled())

    def _due(self, step: int, final: bool, journal: Journal | None) -> list[str]:
        """The tiers in which this step is saved; the first process decides, since clocks differ."""
        config = self.config
        due = [CHECKPOINTS] if keeps_checkpoint(step, config.steps, config.checkpoint_every) else []
        if config.state_every and step % config.state_every == 0 and self._settled(journal):
            due.append(STATES)
        clock = time.monotonic() - self.saved > config.save_seconds and STATES not in due and not self.writer.busy
        if final or (clock and self._settled(journal)):
            due.append(RESUME)
        agreed: list[str] = self.layout.agreed(due)
        return agreed

    def _save(self, step: int, tiers: list[str], final: bool) -> None:
        """Copy what is saved and start to write it; without memory for a copy, training waits."""
        whole = tiers != [CHECKPOINTS]
        if self.copied_first:
            snapshot = self.copies.take(step, whole)
        else:
            snapshot = live_snapshot(step, self.model, self.optimizers if whole else None)
        if whole:
            self.saved = time.monotonic()
        if self.layout.first:
            self.writer.start(lambda: self._write(snapshot, tiers, final))
        if not self.copied_first:
            self.writer.wait()

    def _write(self, snapshot: Snapshot, tiers: list[str], final: bool) -> list[str]:
        """Write a snapshot to each of its tiers and thin them; runs beside the training."""
        events = []
        for tier in tiers:
            started = time.monotonic()
            events += self._write_one(snapshot, tier, final)
            if tier not in self.failing:
                events += self._thin(tier, snapshot.step)
                self.seconds = time.monotonic() - started
        if self.cold is not None:
            self.cold.wake()
        return events

    def _write_one(self, snapshot: Snapshot, tier: str, final: bool) -> list[str]:
        """Write to one tier, if need be after making room."""
        whole, step = tier != CHECKPOINTS, snapshot.step
        part = snapshot if whole else snapshot.without_state()
        gone: list[str] = []
        try:
            try:
                write_checkpoint(folder_of(self.folder / tier, step), part, self.config)
            except OSError as error:
                if why_not_written(error) is None:
                    raise
                if final and self.reserve is not None:
                    self.reserve.give_up()
                size, copied = round(SLACK * snapshot_bytes(snapshot, whole)), self.cold.copied if self.cold else ()
                # A state between states is not worth checkpoints that were meant to stay.
                gone = reclaim(self.folder, size, copied, checkpoints=final or not whole)
                write_checkpoint(folder_of(self.folder / tier, step), part, self.config)
        except OSError as error:
            why = why_not_written(error)
            needed = final and not (tier == RESUME and step == self.config.steps)  # nothing continues from the end
            if why is None or needed:
                raise
            known = tier in self.failing
            self.failing.add(tier)
            return [] if known and not gone else [self._told(step, tier, f"not saved, {why}; training goes on", gone)]
        if tier in self.failing or gone:
            self.failing.discard(tier)
            return [self._told(step, tier, "saved again" if not gone else "saved, the disk was full", gone)]
        return []

    @staticmethod
    def _told(step: int, tier: str, what: str, gone: list[str]) -> str:
        room = f"; removed to make room: {', '.join(gone)}" if gone else ""
        return f"step {step}: {tier} {what}{room}"

    def _thin(self, tier: str, newest: int) -> list[str]:
        """Keep a tier in its budget; what went for good and is nowhere else is told."""
        config, parent = self.config, self.folder / tier
        steps = [step_of(path) for path in saved_under(parent)]
        if tier == RESUME:
            keep = 1 if newest == config.steps else KEPT_STATES
            thin(parent, 0, steps[:-keep])
            thin(parent, budget_bytes(config.resume_gigabytes), steps[:-1])
            return []
        budget = config.states_gigabytes if tier == STATES else config.checkpoints_gigabytes
        spared = {newest} | (set(steps) - self.cold.copied if self.cold and tier == CHECKPOINTS else set())
        removed = thin(parent, budget_bytes(budget), leaving_order(steps), spared)
        return [f"step {newest}: {tier} of step {step} removed to keep the budget" for step in removed]
