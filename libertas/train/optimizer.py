"""Optimizers of a run: Muon for the matrices inside the blocks and AdamW for the rest, or AdamW for all."""

import torch
from torch import Tensor, nn

from libertas.train.config import TrainConfig
from libertas.train.muon import Muon

BETA1 = 0.9
EPSILON = 1e-8

Optimizers = dict[str, torch.optim.Optimizer]
"""Optimizers by the setting that holds their highest learning rate."""


def make_optimizers(model: nn.Module, config: TrainConfig) -> Optimizers:
    """The optimizers of a run.

    AdamW is fused: on a CPU torch otherwise updates one tensor after the other in Python. Biases, norms and positions
    are not decayed.
    """
    inner: list[Tensor] = []
    outer: list[Tensor] = []
    plain: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or name.startswith("positions"):
            plain.append(parameter)
        else:
            (inner if name.startswith("blocks") else outer).append(parameter)
    muon = config.optimizer == "muon"
    groups = [
        {"params": outer if muon else outer + inner, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=0.0, betas=(BETA1, config.beta2), eps=EPSILON, fused=True)
    if not muon:
        return {"learning_rate": adamw}
    return {"learning_rate": adamw, "muon_rate": Muon(inner, config.weight_decay)}


def state_tensors(model: nn.Module, optimizers: Optimizers) -> dict[str, Tensor]:
    """The optimizers' state by parameter name, such as `blocks.0.norm.weight/exp_avg`; empty before the first step."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{key}": value
        for optimizer in optimizers.values()
        for parameter, state in optimizer.state.items()
        for key, value in sorted(state.items())
    }


def load_state_tensors(model: nn.Module, optimizers: Optimizers, tensors: dict[str, Tensor]) -> None:
    """The inverse of `state_tensors`."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    owner = {p: o for o in optimizers.values() for group in o.param_groups for p in group["params"]}
    for optimizer in optimizers.values():
        optimizer.state.clear()
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        parameter = parameters[name]
        owner[parameter].state[parameter][part] = value
