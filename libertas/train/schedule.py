"""Functions of the step: learning rate, and when a checkpoint is kept for good."""

import math

from libertas.train.config import TrainConfig

LAST_POWER = 512
"""Pythia keeps steps 0, 1, 2, 4, … 512 and then every 1,000th (Biderman et al. 2023)."""


def learning_rate(
    step: int, steps: int, highest: float, warmup: float, final: float, schedule: str = "cosine", decay: float = 0.2
) -> float:
    """The learning rate of a step; steps count from 1.

    Args:
        step: which one.
        steps: of the whole training.
        highest: the rate after a linear warm-up.
        warmup: share of the steps over which the rate rises.
        final: the last step's rate, as a share of `highest`.
        schedule: how it falls in between: `cosine` (half a wave; Loshchilov and Hutter 2017), `linear`, or `wsd`, which
            stays until the last steps and then falls linearly (Hu et al. 2024).
        decay: share of the steps over which `wsd` falls, at most those after the warm-up.
    """
    rising = max(1, round(warmup * steps))
    if step <= rising:
        return highest * step / rising
    if schedule == "wsd":
        falling = min(max(1, round(decay * steps)), steps - rising)
        done = max(0.0, (step - (steps - falling)) / falling)
    else:
        done = (step - rising) / (steps - rising)
    left = (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1 - done
    return highest * (final + (1 - final) * left)


def share_of_rates(step: int, config: TrainConfig) -> float:
    """The learning rates of a step as a share of the highest."""
    return learning_rate(step, config.steps, 1.0, config.warmup, config.final_rate, config.schedule, config.decay)


def keeps_checkpoint(step: int, steps: int, every: int) -> bool:
    """Whether the weights after `step` are kept: 0, powers of two up to 512, every `every`-th, and the last."""
    log_spaced = step & (step - 1) == 0 and step <= LAST_POWER
    return log_spaced or step % every == 0 or step == steps
