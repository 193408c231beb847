"""AdamW with decoupled decay of the matrices only, and its state as plain tensors."""

import torch
from torch import Tensor, nn

BETA1 = 0.9
EPSILON = 1e-8


def adamw(model: nn.Module, weight_decay: float, beta2: float) -> torch.optim.AdamW:
    """Fused AdamW; biases, norms and position embeddings are not decayed.

    `fused=True` matters: on a CPU torch otherwise updates one tensor after the other in Python.
    """
    decayed, others = [], []
    for name, parameter in model.named_parameters():
        (decayed if parameter.ndim >= 2 and not name.startswith("positions") else others).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(BETA1, beta2), eps=EPSILON, fused=True)


def state_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by parameter name, such as `blocks.0.norm.weight/exp_avg`; empty before the first step."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in sorted(state.items())
    }


def load_state_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `state_tensors`."""
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        optimizer.state[parameters[name]][part] = value
