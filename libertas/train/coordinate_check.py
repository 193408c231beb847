"""Whether a model's activations stay as large as they are when it gets wider: the test of muP.

Models of several widths take the same few steps of Adam on the same tokens. Under muP the mean size of every kind of
activation tends to a constant in the width; under other parametrizations it grows with it, since wider matrices add up
more of Adam's steps (Yang et al. 2022, section 4 and appendix D.1). Logits are the exception before the first step:
random ones fall as the root of the width, until what was learned, which does not, is larger.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from rich.table import Table
from torch import Tensor

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.mup import learning_rate_multiplier
from libertas.model.transformer import Model

CHECK_WIDTHS = (64, 128, 256, 512, 1024)
"""A range of 16 times."""
CHECK_STEPS, CHECK_RATE = 4, 0.005
"""Steps of Adam, and its learning rate at the base width, which is the first of the widths."""
CHECK_ROWS, CHECK_CONTEXT, CHECK_VOCABULARY = 4, 32, 64
LARGEST_SLOPE = 0.3
"""Of the logarithm of an activation's size against that of the width. The right one is 0; that of a residual stream
whose matrices learn too fast comes near 1, and what follows it grows faster."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Mean sizes of activations."""

    widths: tuple[int, ...]
    sizes: dict[tuple[str, int], list[float]]
    """Kind of activation and steps that were taken -> mean absolute value at each width."""

    def slope(self, kind: str, step: int) -> float:
        """Of the straight line through the logarithms, by least squares."""
        x = torch.tensor(self.widths, dtype=torch.float64).log()
        y = torch.tensor(self.sizes[kind, step], dtype=torch.float64).clamp(min=1e-30).log()
        x = x - x.mean()
        return float((x * y).sum() / (x * x).sum())

    def passes(self) -> bool:
        """Whether no activation depends on the width after the last step."""
        last = max(step for _, step in self.sizes)
        slopes = [self.slope(kind, step) for kind, step in self.sizes if step == last]
        return all(math.isfinite(slope) and abs(slope) <= LARGEST_SLOPE for slope in slopes)

    def table(self) -> Table:
        """For the terminal: a line for each kind and step."""
        table = Table(title="mean size of activations by width", title_justify="left", box=None, pad_edge=False)
        for heading in ("activation", "step", *map(str, self.widths), "slope"):
            table.add_column(heading, justify="left" if heading == "activation" else "right")
        kinds = list(dict.fromkeys(kind for kind, _ in self.sizes))
        for kind, step in sorted(self.sizes, key=lambda row: (kinds.index(row[0]), row[1])):
            sizes = [f"{size:.3g}" for size in self.sizes[kind, step]]
            table.add_row(kind, str(step), *sizes, f"{self.slope(kind, step):+.2f}")
        return table


def check_coordinates(
    shape: ModelConfig, widths: tuple[int, ...] = CHECK_WIDTHS, steps: int = CHECK_STEPS
) -> Coordinates:
    """Train two layers of a shape at several widths; its blocks, ratios and initialization are kept.

    Heads get wider where attention is divided by their width, else there are more of them.
    """
    sizes: dict[tuple[str, int], list[float]] = {}
    tokens = torch.randint(
        0, CHECK_VOCABULARY, (CHECK_ROWS, CHECK_CONTEXT + 1), generator=torch.Generator().manual_seed(0)
    )
    for width in widths:
        model = Model(_widened(shape, width, widths[0]), seed=0)
        rates = [(p, CHECK_RATE * learning_rate_multiplier(model.config, n)) for n, p in model.named_parameters()]
        optimizer = torch.optim.Adam([{"params": [parameter], "lr": rate} for parameter, rate in rates])
        seen = _watched(model)
        for step in range(steps + 1):
            logits = model(tokens[:, :-1])
            seen["logits"] = logits.detach()
            for kind, values in seen.items():
                sizes.setdefault((kind, step), []).append(float(values.abs().mean()))
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()))
            optimizer.step()
    return Coordinates(widths, sizes)


def _widened(shape: ModelConfig, width: int, base: int) -> ModelConfig:
    wide = shape.initialization == "mup" and shape.attention_scale is None
    narrowest = base // 4
    return replace(
        shape,
        vocabulary=CHECK_VOCABULARY,
        context=CHECK_CONTEXT,
        window=CHECK_CONTEXT // 4,
        layers=2,
        width=width,
        heads=4 if wide else width // narrowest,
        key_heads=None,
        head_width=None,
        hidden=shape.hidden_width * width // shape.width,
        base_width=base,
        base_head_width=narrowest if wide else None,
    )


def _watched(model: Model) -> dict[str, Tensor]:
    """Filled by each forward pass with activations by kind, those of the last block."""
    seen: dict[str, Tensor] = {}

    def keep(kind: str) -> Callable[..., None]:
        return lambda _module, _inputs, out: seen.__setitem__(kind, out.detach())

    *_, block = model.each_block()
    model.embedding.register_forward_hook(keep("embedding"))
    block.attention.qkv.register_forward_hook(keep("queries, keys, values"))
    block.attention.register_forward_hook(keep("attention"))
    block.feed_forward.register_forward_hook(keep("feed-forward"))
    block.register_forward_hook(keep("residual stream"))
    return seen


def mup_view(shape: ModelConfig) -> Iterable[Any]:
    """The check of a shape under muP as a table and a sentence.

    Raises:
        UsageError: an activation depends on the width.
    """
    found = check_coordinates(replace(shape, initialization="mup"))
    yield found.table()
    if not found.passes():
        raise UsageError(
            f"an activation depends on the width; expected slopes up to {LARGEST_SLOPE} after the last step"
        )
    yield f"passes: after the last step every slope is within {LARGEST_SLOPE}"
