"""A mixture of experts in place of the feed-forward part: each token is read by its few best experts, none is dropped.

Shapes: B batch, T time, N = B * T tokens, D width, F hidden width, E experts, M experts for each token.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from libertas.model.config import ModelConfig
from libertas.model.feed_forward import ACTIVATIONS

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


class Experts(nn.Module):
    """Feed-forward parts of which each token takes `experts_per_token`, weighted by the router's probabilities."""

    def __init__(self, config: ModelConfig) -> None:
        """Weights of all experts are one tensor for each matrix."""
        super().__init__()
        self.count, self.chosen = config.experts, config.experts_per_token
        self.gated, self.activation = config.gated, ACTIVATIONS[config.activation]
        width, hidden = config.width, config.hidden_width
        self.router = nn.Linear(width, self.count, bias=False)
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
        self.routing = self._routing(logits_NE, probabilities_NE, experts_NM)

        # Sorted by expert, each expert's tokens lie together, and no token waits or is dropped for another.
        order = experts_NM.flatten().argsort(stable=True)
        owner = order // self.chosen
        counts = experts_NM.flatten().bincount(minlength=self.count).tolist()
        parts = [self._expert(number, part) for number, part in enumerate(torch.split(tokens_ND[owner], counts))]
        weighted = torch.cat(parts) * weights_NM.flatten()[order].unsqueeze(-1).to(x.dtype)
        return torch.zeros_like(tokens_ND).index_add(0, owner, weighted).view_as(x)

    def _expert(self, number: int, x: Tensor) -> Tensor:
        hidden = F.linear(x, self.up[number])
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * value
        else:
            hidden = self.activation(hidden)
        return F.linear(hidden, self.down[number])

    def _routing(self, logits_NE: Tensor, probabilities_NE: Tensor, experts_NM: Tensor) -> Routing:
        shares = F.one_hot(experts_NM, self.count).float().mean((0, 1))
        balance = self.count * (shares * probabilities_NE.mean(0)).sum()
        return Routing(balance, logits_NE.logsumexp(-1).square().mean(), shares.detach())
