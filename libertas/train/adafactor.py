"""Adafactor: Adam's second moment kept as one number for each row and one for each column of a matrix.

Shazeer and Stern 2018 (https://arxiv.org/abs/1804.04235), algorithms 4 and 5, without a first moment. Learning rates
are given: they are relative neither to the weights' size nor to the step, as those of `torch.optim.Adafactor` always
are, which multiplies the smaller of the rate and 1/sqrt(step) by the weights' size.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

DECAY = 0.8
"""The second moment's decay at step t is 1 - t^-0.8 (section 7.2)."""
SQUARE_EPSILON = 1e-30
"""Added to squared gradients (epsilon 1 of section 8)."""
LARGEST_UPDATE = 1.0
"""Root mean square above which an update is scaled down (d of section 6)."""


class Adafactor(torch.optim.Optimizer):
    """Factored for matrices and stacks of them; vectors keep their whole second moment. Weight decay is decoupled."""

    def __init__(self, groups: Iterable[Tensor] | Iterable[dict[str, Any]], weight_decay: float = 0.0) -> None:
        """Optimize parameters or groups of them; the training loop sets the learning rate before each step."""
        super().__init__(groups, {"lr": 0.0, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch overloads it for closures
        """Update every parameter that has a gradient."""
        assert closure is None, "closures are not supported"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = self._direction(parameter)
                    update /= (update.square().mean().sqrt() / LARGEST_UPDATE).clamp(min=1.0)
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"])

    def _direction(self, parameter: Tensor) -> Tensor:
        """The gradient divided by the root of the second moment."""
        assert parameter.grad is not None
        state, gradient = self.state[parameter], parameter.grad
        state["step"] = state.get("step", torch.zeros(())) + 1
        change = state["step"].item() ** -DECAY
        square = gradient.square() + SQUARE_EPSILON
        if gradient.ndim < 2:
            moment = state.setdefault("square", torch.zeros_like(square))
            flat: Tensor = gradient * moment.lerp_(square, change).rsqrt()
            return flat
        rows, columns = square.mean(-1, keepdim=True), square.mean(-2, keepdim=True)
        rows = state.setdefault("rows", torch.zeros_like(rows)).lerp_(rows, change)
        columns = state.setdefault("columns", torch.zeros_like(columns)).lerp_(columns, change)
        update: Tensor = gradient * (rows / rows.mean(-2, keepdim=True)).rsqrt() * columns.rsqrt()
        return update
