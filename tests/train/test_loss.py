"""The chunked loss against the plain formula, and what it keeps in memory."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from libertas.train.loss import chunked_cross_entropy

ROWS, WIDTH, VOCABULARY = 50, 12, 40


def given(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden, weight, bias = (
        (torch.randn(shape, generator=generator) * 2).requires_grad_()
        for shape in ((ROWS, WIDTH), (VOCABULARY, WIDTH), (VOCABULARY,))
    )
    targets = torch.randint(0, VOCABULARY, (ROWS,), generator=generator)
    return hidden, weight, bias, targets, torch.rand(ROWS, generator=generator)


def plain(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor, z: float) -> Tensor:
    logits = F.linear(hidden, weight, bias)
    losses = F.cross_entropy(logits, targets, reduction="none") + z * logits.logsumexp(-1).square()
    return (losses * weights).sum()


@pytest.mark.parametrize("rows", [1, 7, 32, 50, 1000])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("biased", [False, True])
def test_loss_and_gradients_are_those_of_the_plain_formula(rows: int, z_loss: float, biased: bool) -> None:
    hidden, weight, bias, targets, weights = given()
    parameters = [hidden, weight, bias] if biased else [hidden, weight]
    used = bias if biased else None
    expected = plain(hidden, weight, used, targets, weights, z_loss)
    found = chunked_cross_entropy(hidden, weight, used, targets, weights, z_loss, rows)
    torch.testing.assert_close(found.total, expected)
    torch.testing.assert_close(found.each, F.cross_entropy(F.linear(hidden, weight, used), targets, reduction="none"))
    slopes = torch.autograd.grad(3 * found.total, parameters)
    for one, other in zip(slopes, torch.autograd.grad(3 * expected, parameters), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)  # of slopes up to 100


def test_a_loss_of_a_thousand_nats_and_one_of_nothing_are_exact() -> None:
    logits = torch.tensor([[1000.0, 0.0], [1000.0, 0.0]])
    found = chunked_cross_entropy(logits, torch.eye(2), None, torch.tensor([1, 0]), torch.ones(2))
    assert found.each.tolist() == [1000.0, 0.0]


def test_a_row_without_weight_has_no_gradient_and_no_part_in_the_total() -> None:
    hidden, weight, _, targets, weights = given()
    weights[3] = 0.0
    found = chunked_cross_entropy(hidden, weight, None, targets, weights)
    (slopes,) = torch.autograd.grad(found.total, hidden)
    assert slopes[3].abs().sum() == 0
    assert slopes[4].abs().sum() > 0


class Largest(TorchDispatchMode):
    """Notes the numbers of the largest tensor that any operation returns."""

    numbers = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = operation(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.numbers = max(self.numbers, out.numel())
        return out


def largest_tensor(vocabulary: int, rows: int) -> int:
    hidden, weight = torch.randn(rows, 2, requires_grad=True), torch.randn(vocabulary, 2, requires_grad=True)
    with Largest() as largest:
        chunked_cross_entropy(hidden, weight, None, torch.zeros(rows, dtype=torch.long), torch.ones(rows), 0.0, 8)[
            0
        ].backward()
    return largest.numbers


def test_no_tensor_is_as_large_as_the_batch_times_the_vocabulary() -> None:
    assert largest_tensor(1000, 64) == largest_tensor(1000, 256) == 8 * 1000
    assert largest_tensor(2000, 64) == 8 * 2000


def test_in_bf16_the_loss_is_close_and_the_gradient_of_the_weights_stays_in_fp32() -> None:
    hidden, weight, bias, targets, weights = given()
    exact = plain(hidden, weight, bias, targets, weights, 0.0)
    found = chunked_cross_entropy(hidden.bfloat16(), weight, bias, targets, weights)
    torch.testing.assert_close(found.total, exact, rtol=0.02, atol=0)
    found.total.backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    (expected,) = torch.autograd.grad(plain(hidden, weight, bias, targets, weights, 0.0), weight)
    assert (weight.grad - expected).norm() < 0.02 * expected.norm()
