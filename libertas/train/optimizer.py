"""Optimizers of a run: Muon for the matrices in the blocks and AdamW for the rest, or AdamW or Adafactor for all."""

from typing import Any

import torch
from torch import Tensor, nn

from libertas.model.mup import learning_rate_multiplier
from libertas.model.transformer import Model
from libertas.train.adafactor import Adafactor
from libertas.train.config import TrainConfig
from libertas.train.muon import Muon

BETA1 = 0.9
EPSILON = 1e-8

Optimizers = dict[str, torch.optim.Optimizer]
"""Optimizers by the setting that holds their highest learning rate."""


def make_optimizers(model: Model, config: TrainConfig) -> Optimizers:
    """The optimizers of a run.

    AdamW is fused: on a CPU torch otherwise updates one tensor after the other in Python. Biases, norms and positions
    are not decayed. Where learning rates depend on the model's width (muP), groups have factors on them; the scale of
    Muon's updates follows from a matrix's shape.
    """
    matrices: list[Tensor] = []
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        plain = parameter.ndim < 2 or name.startswith("positions")
        if config.optimizer == "muon" and name.startswith("blocks") and not plain:
            matrices.append(parameter)
            continue
        decay, factor = 0.0 if plain else config.weight_decay, learning_rate_multiplier(model.config, name)
        group = {"params": [], "weight_decay": decay, "factor": factor}
        groups.setdefault((decay, factor), group)["params"].append(parameter)
    if config.optimizer == "adafactor":
        return {"learning_rate": Adafactor(groups.values())}
    betas = (BETA1, config.beta2)
    adamw = torch.optim.AdamW(list(groups.values()), lr=0.0, betas=betas, eps=EPSILON, fused=True)
    return {"learning_rate": adamw, **({"muon_rate": Muon(matrices, config.weight_decay)} if matrices else {})}


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
