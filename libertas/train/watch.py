"""Watching a training: what to do when a loss or a gradient is not what it should be."""

import math
from collections.abc import Sequence
from typing import Any

from libertas.errors import LibertasError
from libertas.train.config import TrainConfig
from libertas.train.step import Measured


class Watch:
    """Judges each step before its update, from the steps before it; its memory is the journal."""

    def __init__(self, config: TrainConfig, rows: Sequence[dict[str, Any]]) -> None:
        """Start with the journal's rows of the steps that were done."""
        self.config = config

    def judge(self, step: int, measured: Measured, rate: float) -> None:
        """Look at a step that is about to be applied at a learning rate.

        Raises:
            LibertasError: nothing can be learned from here on.
        """
        if not math.isfinite(measured.loss + measured.gradient_norm):
            raise LibertasError(
                f"the loss is {measured.loss} and the gradient's norm {measured.gradient_norm} at step {step} "
                f"(learning rate {rate:.1e}); lower learning_rate or muon_rate, and choose another --out"
            )
