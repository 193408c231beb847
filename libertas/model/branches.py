"""Texts that begin alike, read together: the beginning once, and what follows as the branches of trees.

Exact: a token sees what it would see in a text of its own, at the positions it would have there. Shapes: B rows, T new
tokens of a row, P tokens of the shared beginning, H heads, K head width, D model width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from libertas.model.attention import KeyValues
from libertas.model.config import ModelConfig

if TYPE_CHECKING:
    from libertas.model.transformer import Model


@dataclass(frozen=True, slots=True)
class Branches:
    """Where the new tokens of some rows stand, and what they see of each other; all of them see the beginning."""

    depths: Int[Tensor, "batch time"]
    """Position of each token in its own text."""
    seen: Bool[Tensor, "batch time time"]
    """Which new tokens each one sees: those before it in its text, and itself."""
    masks: dict[int | None, Tensor] = field(default_factory=dict)
    """By window, made once for all layers."""

    def attend(
        self,
        q: Float[Tensor, "batch heads time k"],
        k: Float[Tensor, "batch heads keys k"],
        v: Float[Tensor, "batch heads keys k"],
        window: int | None,
        scale: float,
        fall: Float[Tensor, " heads"] | None,
    ) -> Float[Tensor, "batch heads time k"]:
        """Mix values as `libertas.model.attend.attend` does; keys are those of the beginning, then the new ones."""
        beginning = k.shape[2] - q.shape[2]
        if window not in self.masks:
            distance = self._distance(beginning)
            seen = F.pad(self.seen, (beginning, 0), value=True)
            self.masks[window] = (seen & (distance < window) if window else seen)[:, None]
        mask = self.masks[window]
        if fall is not None:
            bias = -fall[:, None, None] * self._distance(beginning)[:, None]
            mask = bias.masked_fill(~mask, -torch.inf).to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

    def _distance(self, beginning: int) -> Tensor:
        first = torch.arange(beginning).expand(len(self.depths), -1)
        return self.depths[:, :, None] - torch.cat([first, self.depths], dim=1)[:, None, :]


class TrunkLayer(KeyValues):
    """Keys and values of a shared beginning in one layer, which the new tokens of every row see."""

    def __init__(self, config: ModelConfig, before: "TrunkLayer | None" = None, *, growing: bool) -> None:
        """Start from another one's beginning; `growing`: new tokens lengthen it, instead of only following it."""
        super().__init__(config, window=None)
        self.growing = growing
        if before is not None:
            self._keys, self._values, self.length = before._keys, before._values, before.length

    def extend(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values that the new tokens see."""
        if self._keys is not None and self._values is not None:
            rows = k_BGTK.shape[0]
            k_BGTK = torch.cat([self._keys.expand(rows, -1, -1, -1), k_BGTK], dim=2)
            v_BGTK = torch.cat([self._values.expand(rows, -1, -1, -1), v_BGTK], dim=2)
        if self.growing:
            self._keys, self._values, self.length = k_BGTK, v_BGTK, k_BGTK.shape[2]
        return k_BGTK, v_BGTK


Trunk = Sequence[TrunkLayer]
"""A shared beginning, layer by layer; empty for none."""


def can_branch(config: ModelConfig) -> bool:
    """Whether a model's texts can share a beginning: not with sinks, or with linear attention, whose sums are one."""
    return not config.sinks and all(config.kind_of(layer) != "linear" for layer in range(config.layers))


def grown(model: "Model", trunk: Trunk, tokens: Sequence[int]) -> Trunk:
    """A beginning that is `tokens` longer; `trunk` stays as it is."""
    longer = _layers(model, trunk, growing=True)
    model.hidden(torch.tensor([tokens]), [*longer])
    return longer


def read_branches(
    model: "Model", trunk: Trunk, tokens: Int[Tensor, "batch time"], branches: Branches
) -> Float[Tensor, "batch time width"]:
    """The residual stream at each new token, after the last block and its norm."""
    return model.hidden(tokens, [*_layers(model, trunk, growing=False)], branches=branches)


def _layers(model: "Model", trunk: Trunk, *, growing: bool) -> list[TrunkLayer]:
    before: Sequence[TrunkLayer | None] = trunk or [None] * model.config.layers
    return [TrunkLayer(model.config, layer, growing=growing) for layer in before]
