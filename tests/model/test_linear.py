"""Linear layers against torch's, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from libertas.model.linear import ONEDNN, Linear, by_onednn, linear


@pytest.mark.parametrize("shape", [(3, 32), (64, 32), (2, 40, 32), (2, 3, 20, 32)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("columns", [8, 32, 100])
def test_a_linear_layer_is_torchs_forward_and_backward(shape: tuple[int, ...], bias: bool, columns: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, requires_grad=True)
    layer = Linear(32, columns, bias=bias)
    expected = F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)
    slope = torch.randn(expected.shape, generator=generator)
    inputs = [x, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad(layer(x), inputs, slope), torch.autograd.grad(expected, inputs, slope), strict=True
    ):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_what_is_strided_or_shared_is_multiplied_alike() -> None:
    wide = torch.randn(20, 2, 64, requires_grad=True)
    x, weight = wide.transpose(0, 1)[..., ::2], torch.randn(32, 32).t()
    expected = F.linear(x, weight)
    torch.testing.assert_close(linear(x, weight, None), expected)
    slope = torch.ones(1, 1, 1).expand_as(expected)  # as a sum's gradient is
    (found,) = torch.autograd.grad(linear(x, weight, None), wide, slope)
    torch.testing.assert_close(found, torch.autograd.grad(expected, wide, slope)[0])


def test_weights_are_cast_to_the_precision_of_the_input_and_their_gradient_is_not() -> None:
    layer = Linear(32, 8)
    out = layer(torch.randn(20, 32, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_only_large_plain_matrices_in_fp32_go_to_onednn() -> None:
    weight = torch.zeros(8, 32)
    assert by_onednn(torch.zeros(16, 32), weight) == ONEDNN
    assert not by_onednn(torch.zeros(15, 32), weight)
    assert not by_onednn(torch.zeros(16, 32, dtype=torch.float64), weight)
    assert not by_onednn(torch.zeros(16, 32, device="meta"), weight)
