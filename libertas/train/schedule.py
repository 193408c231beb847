"""Functions of the step: learning rate, and when a checkpoint is kept for good."""

import math

LAST_POWER = 512
"""Pythia keeps steps 0, 1, 2, 4, … 512 and then every 1,000th (Biderman et al. 2023)."""


def learning_rate(step: int, steps: int, highest: float, warmup: float, final: float) -> float:
    """Linear warm-up over `warmup * steps`, then a cosine from `highest` down to `final * highest`; steps from 1."""
    rising = max(1, round(warmup * steps))
    if step <= rising:
        return highest * step / rising
    done = (step - rising) / max(1, steps - rising)
    return highest * (final + (1 - final) * (1 + math.cos(math.pi * done)) / 2)


def keeps_checkpoint(step: int, steps: int, every: int) -> bool:
    """Whether the weights after `step` are kept: 0, powers of two up to 512, every `every`-th, and the last."""
    log_spaced = step & (step - 1) == 0 and step <= LAST_POWER
    return log_spaced or step % every == 0 or step == steps
