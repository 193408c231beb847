"""A mixture of experts in place of the feed-forward part: each token is read by its few best experts.

None is dropped, unless experts have a capacity: then first choices come before second ones and earlier tokens before
later ones (GShard, Lepikhin et al. 2020), and what finds its expert full gets nothing from it.

Shapes: B batch, T time, N = B * T tokens, D width, F hidden width, E experts, M experts for each token.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from libertas.model.config import ModelConfig
from libertas.model.feed_forward import ACTIVATIONS
from libertas.model.linear import Linear, linear

BALANCE_WEIGHT, Z_WEIGHT = 0.01, 0.001
"""Of the two losses of a router, as in Fedus et al. 2022 and Zoph et al. 2022."""


@dataclass(slots=True)
class Routing:
    """How the router shared out the tokens of one forward pass."""

    balance: Tensor
    """E * sum over experts of (share of tokens) * (mean probability): 1 where all are used alike (Fedus et al. 2022,
    equation 4). The share has no gradient, the probability has one."""
    z: Tensor
    """Mean square of the logarithm of the sum of the exponentials of the router's logits (Zoph et al. 2022)."""
    shares: Float[Tensor, " experts"]
    """Share of the choices that fell on each expert; the sum is 1."""
    dropped: float
    """Share of the choices that found their expert full."""


class Experts(nn.Module):
    """Feed-forward parts of which each token takes `experts_per_token`, weighted by the router's probabilities."""

    def __init__(self, config: ModelConfig) -> None:
        """Weights of all experts are one tensor for each matrix."""
        super().__init__()
        self.count, self.chosen, self.capacity = config.experts, config.experts_per_token, config.expert_capacity
        self.gated, self.activation = config.gated, ACTIVATIONS[config.activation]
        width, hidden = config.width, config.hidden_width
        self.router = Linear(width, self.count, bias=False)
        self.up = nn.Parameter(torch.empty(self.count, (1 + config.gated) * hidden, width))
        self.down = nn.Parameter(torch.empty(self.count, width, hidden))
        self.routing: Routing | None = None
        """Of the last forward pass."""

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """Apply to every position alone."""
        tokens_ND = x.flatten(0, 1)
        logits_NE = self.router(tokens_ND).float()
        probabilities_NE = logits_NE.softmax(-1)
        weights_NM, experts_NM = probabilities_NE.topk(self.chosen, dim=-1)
        weights_NM = weights_NM / weights_NM.sum(-1, keepdim=True)  # as in Mixtral (Jiang et al. 2024)
        order, counts = self._shared_out(experts_NM.T.flatten())
        self.routing = self._routing(logits_NE, probabilities_NE, experts_NM, 1 - len(order) / experts_NM.numel())

        owner = order % len(tokens_ND)
        parts = [self._expert(number, part) for number, part in enumerate(torch.split(tokens_ND[owner], counts))]
        weighted = torch.cat(parts) * weights_NM.T.flatten()[order].unsqueeze(-1).to(x.dtype)
        return torch.zeros_like(tokens_ND).index_add(0, owner, weighted).view_as(x)

    def _shared_out(self, choices: Int[Tensor, " choices"]) -> tuple[Int[Tensor, " kept"], list[int]]:
        """Choices sorted by expert, so that each expert's tokens lie together, and how many each expert reads."""
        order, counts = choices.argsort(stable=True), choices.bincount(minlength=self.count)
        if self.capacity and self.training:
            most = math.ceil(self.capacity * len(choices) / self.count)
            place = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[choices[order]]
            order, counts = order[place < most], counts.clamp(max=most)
        return order, counts.tolist()

    def _expert(self, number: int, x: Tensor) -> Tensor:
        hidden = linear(x, self.up[number], None)
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * value
        else:
            hidden = self.activation(hidden)
        return linear(hidden, self.down[number], None)

    def _routing(self, logits_NE: Tensor, probabilities_NE: Tensor, experts_NM: Tensor, dropped: float) -> Routing:
        shares = F.one_hot(experts_NM, self.count).float().mean((0, 1))
        balance = self.count * (shares * probabilities_NE.mean(0)).sum()
        return Routing(balance, logits_NE.logsumexp(-1).square().mean(), shares.detach(), dropped)
