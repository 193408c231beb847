"""Muon: momentum, orthogonalized, for the matrices inside the blocks.

An update's singular values are all pushed towards one by a Newton-Schulz iteration, so that rare directions move as far
as common ones (Keller Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/). On the demo's model it reaches
the loss of AdamW in about half the steps. `torch.optim.Muon` exists; it iterates in bfloat16 matrix by matrix, which a
CPU without bfloat16 emulates slowly. This one works in fp32, on a GPU with matrices of one shape together.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from libertas.model.linear import by_onednn, product

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic x -> ax + bx^3 + cx^5: chosen by Jordan for the steepest slope at zero; it ends near 1, not at 1."""
ITERATIONS = 5
EPSILON = 1e-7


def orthogonalized(matrices_NRC: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix of each, about: same singular vectors, singular values between 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    tall = matrices_NRC.shape[1] > matrices_NRC.shape[2]
    x = matrices_NRC.transpose(1, 2) if tall else matrices_NRC
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + EPSILON)
    for _ in range(ITERATIONS):
        gram = _products(x, x)
        x = a * x + _products(b * gram + c * _products(gram, gram), x.transpose(1, 2))
    result: Tensor = x.transpose(1, 2) if tall else x
    return result


def _products(left_NRC: Tensor, right_NSC: Tensor) -> Tensor:
    """Each left matrix times the transposed right one."""
    if by_onednn(left_NRC[0], right_NSC[0]):
        return torch.stack([product(left, right) for left, right in zip(left_NRC, right_NSC, strict=True)])
    return left_NRC @ right_NSC.transpose(1, 2)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized, scaled by sqrt(max(1, rows / columns)), with decoupled weight decay."""

    def __init__(self, matrices: Iterable[Tensor], weight_decay: float, momentum: float = 0.95) -> None:
        """Optimize matrices and stacks of them (experts); the training loop sets the learning rate before each step."""
        super().__init__(matrices, {"lr": 0.0, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch overloads it for closures
        """Update every matrix that has a gradient."""
        assert closure is None, "closures are not supported"
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                averages = [self._momentum(p, group["momentum"]) for p in parameters]
                if hasattr(averages[0], "full_tensor"):  # a DTensor: its process holds a part
                    from libertas.train.shards import orthogonalized_parts

                    updates: Iterable[Tensor] = orthogonalized_parts(averages)
                else:
                    moving = torch.stack(averages)
                    updates = orthogonalized(moving.flatten(0, -3)).view_as(moving)
                scale = max(1.0, shape[-2] / shape[-1]) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"] * scale)

    def _momentum(self, parameter: Tensor, decay: float) -> Tensor:
        """The gradient looked ahead along its moving average (Nesterov)."""
        assert parameter.grad is not None
        state = self.state[parameter]
        average = state.setdefault("momentum", torch.zeros_like(parameter))
        average.lerp_(parameter.grad, 1 - decay)
        return parameter.grad.lerp(average, decay)
