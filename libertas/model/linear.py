"""Linear layers: weights in float32 are cast to what they meet, and on CPUs with AVX-512 oneDNN multiplies.

torch multiplies float32 matrices by MKL, which keeps to AVX2 on processors that are not Intel's; oneDNN, which torch
ships as well, uses AVX-512 on all of them: twice as many operations per second on a Zen 5. The operation is one that
torch's compiler calls, and has no derivative of its own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ROWS = 16
"""Fewest rows that oneDNN multiplies faster; a product of fewer waits for memory, whoever computes it."""


def _has_onednn() -> bool:
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


ONEDNN = _has_onednn()
"""Whether this torch and this processor have what `by_onednn` needs."""


def by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies these two: plain float32 matrices in the memory of a CPU."""
    return (
        ONEDNN
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and type(x) in (Tensor, nn.Parameter)
        and type(weight) in (Tensor, nn.Parameter)
        and x.numel() >= ROWS * x.shape[-1]
    )


def product(x: Float[Tensor, "rows inner"], w: Float[Tensor, "columns inner"], bias: Tensor | None = None) -> Tensor:
    """`x @ w.T + bias`, without a derivative."""
    if not by_onednn(x, w):
        return F.linear(x, w, bias)
    return _opaque(x, w, bias) if torch.compiler.is_compiling() else _by_onednn(x, w, bias)


def _by_onednn(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, w, bias, "none", [], "")
    return out


# torch's compiler knows the operation for weights that never change only, and is kept from looking inside.
_opaque = torch.library.custom_op("libertas::product", _by_onednn, mutates_args=())
_opaque.register_fake(lambda x, w, bias: x.new_empty(len(x), len(w)))


def outer_product(left: Float[Tensor, "rows outer"], right: Float[Tensor, "rows inner"]) -> Tensor:
    """`left.T @ right`, without a derivative: the gradient of a weight. Of the two, the smaller is transposed."""
    if left.shape[1] < right.shape[1]:
        return product(left.t(), right.t())
    return product(right.t(), left.t()).t()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x.flatten(0, -2), weight, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        slope = gradients[0].flatten(0, -2)
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            product(slope, weight.t()).view(x.shape) if of_x else None,
            outer_product(slope, x.flatten(0, -2)) if of_weight else None,
            slope.sum(0) if of_bias else None,
        )


def linear(x: Float[Tensor, "*batch inner"], weight: Tensor, bias: Tensor | None) -> Float[Tensor, "*batch outer"]:
    """`x @ weight.T + bias`, in the precision of `x`."""
    if x.dtype != weight.dtype:
        weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    if not by_onednn(x, weight):
        return F.linear(x, weight, bias)
    out: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


class Linear(nn.Linear):
    """As `nn.Linear`, in the precision of its input: bf16 activations meet weights that are cast when they are used."""

    def forward(self, x: Float[Tensor, "*batch inner"]) -> Float[Tensor, "*batch outer"]:
        """Apply to the last dimension."""
        return linear(x, self.weight, self.bias)
