"""What a run keeps of its model, and when: states to continue from, and checkpoints for good."""

import time
from pathlib import Path

from libertas.model.transformer import Model
from libertas.train import checkpoint
from libertas.train.config import TrainConfig
from libertas.train.optimizer import Optimizers
from libertas.train.parallel import Layout
from libertas.train.schedule import keeps_checkpoint


class Archive:
    """The checkpoints of one run, in its folder."""

    def __init__(self, folder: Path, model: Model, optimizers: Optimizers, config: TrainConfig, layout: Layout) -> None:
        """Bind what is saved and where."""
        self.folder, self.model, self.optimizers = folder, model, optimizers
        self.config, self.layout = config, layout
        self.saved = time.monotonic()

    def restore(self) -> int:
        """Load the newest sound state; the step after which it was saved, 0 for a fresh model."""
        state = checkpoint.newest_state(self.folder / "resume")
        if state is not None:
            return checkpoint.restore(state, self.model, self.optimizers)
        checkpoint.save_checkpoint(self.folder / "checkpoints", 0, self.model, self.config)
        return 0

    def after(self, step: int, leaving: bool) -> list[str]:
        """Save what is due after a step; `leaving` saves the full state in any case. Returns what went wrong."""
        config, last = self.config, step == self.config.steps
        if keeps_checkpoint(step, config.steps, config.checkpoint_every):
            checkpoint.save_checkpoint(self.folder / "checkpoints", step, self.model, config)
        if leaving or last or time.monotonic() - self.saved > config.save_seconds:
            checkpoint.save_checkpoint(self.folder / "resume", step, self.model, config, self.optimizers)
            checkpoint.thin_states(self.folder / "resume", keep=1 if last else checkpoint.KEPT_STATES)
            self.saved = time.monotonic()
        return []

    def close(self) -> None:
        """Wait for what is still being written."""
