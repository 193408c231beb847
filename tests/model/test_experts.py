"""A mixture of experts against a loop over tokens."""

from dataclasses import replace

import pytest
import torch

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.cost import forward_flops_per_token, parameters
from libertas.model.experts import Experts
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model

SHAPE = replace(SIZES["tiny-modern"], experts=6, experts_per_token=2)


def lively(shape: ModelConfig = SHAPE) -> Experts:
    block = next(Model(shape, seed=1).each_block()).feed_forward
    assert isinstance(block, Experts)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.mul_(10.0)
    return block


def token_by_token(block: Experts, x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(x)
    for place in torch.cartesian_prod(torch.arange(x.shape[0]), torch.arange(x.shape[1])).tolist():
        token = x[tuple(place)]
        probabilities = block.router(token).softmax(-1)
        best = probabilities.argsort(descending=True)[: block.chosen]
        for expert in best.tolist():
            hidden = block.up[expert] @ token
            if block.gated:
                gate, value = hidden.chunk(2)
                hidden = block.activation(gate) * value
            else:
                hidden = block.activation(hidden)
            out[tuple(place)] += probabilities[expert] / probabilities[best].sum() * (block.down[expert] @ hidden)
    return out


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("chosen", [1, 2, 6])
def test_every_token_is_read_by_its_best_experts_and_none_is_dropped(gated: bool, chosen: int) -> None:
    block = lively(replace(SHAPE, gated=gated, experts_per_token=chosen))
    x = torch.randn(2, 9, SHAPE.width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.allclose(block(x), token_by_token(block, x), atol=1e-4)
    ours = torch.autograd.grad(block(x).square().sum(), [x, *block.parameters()])
    theirs = torch.autograd.grad(token_by_token(block, x).square().sum(), [x, *block.parameters()])
    for left, right in zip(ours, theirs, strict=True):
        assert torch.allclose(left, right, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("capacity", [0.3, 1.0, 1.25, 4.0])
def test_an_expert_that_is_full_passes_tokens_by_second_choices_and_later_tokens_first(capacity: float) -> None:
    block = lively(replace(SHAPE, expert_capacity=capacity))
    with torch.no_grad():
        block.router.weight[3] *= 4  # one that many want
    x = torch.randn(2, 15, SHAPE.width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    room, dropped, expected = [-(-capacity * 60 // 6)] * 6, 0, torch.zeros(30, SHAPE.width)
    for choice in range(2):
        for place, token in enumerate(x.flatten(0, 1)):
            probabilities = block.router(token).softmax(-1)
            best = probabilities.argsort(descending=True)[:2]
            expert = int(best[choice])
            if room[expert] == 0:
                dropped += 1
                continue
            room[expert] -= 1
            gate, value = (block.up[expert] @ token).chunk(2)
            out = block.down[expert] @ (block.activation(gate) * value)
            expected[place] = expected[place] + probabilities[expert] / probabilities[best].sum() * out
    assert torch.allclose(block(x).flatten(0, 1), expected, atol=1e-4)
    assert block.routing is not None
    assert block.routing.dropped == pytest.approx(dropped / 60)
    assert (dropped > 0) == (capacity < 4)
    slope = torch.autograd.grad(block(x).square().sum(), block.down)[0]
    assert torch.allclose(slope, torch.autograd.grad(expected.square().sum(), block.down)[0], rtol=1e-3, atol=1e-3)
    block.eval()
    assert torch.allclose(block(x), token_by_token(block, x), atol=1e-4)
    assert block.routing.dropped == 0


def test_a_router_that_uses_all_alike_is_balanced_and_one_that_does_not_is_not() -> None:
    block = lively()
    with torch.no_grad():
        block.router.weight.zero_()
    block(torch.randn(4, 50, SHAPE.width))
    assert block.routing is not None
    assert float(block.routing.balance.detach()) == pytest.approx(1.0)
    assert float(block.routing.z.detach()) == pytest.approx(float(torch.tensor(6.0).log() ** 2))
    with torch.no_grad():
        block.router.weight[2] = 5.0
        block.router.weight[4] = 4.0
    block(torch.rand(4, 50, SHAPE.width))
    assert block.routing.shares.tolist() == [0.0, 0.0, 0.5, 0.0, 0.5, 0.0]
    assert float(block.routing.balance.detach()) > 2.9


def test_the_routings_of_all_layers_can_be_asked_for_and_trained_on() -> None:
    model = Model(SHAPE, seed=0)
    model(torch.zeros(1, 5, dtype=torch.long))
    routings = model.routings()
    assert len(routings) == SHAPE.layers
    sum(r.balance + r.z for r in routings).backward()
    blocks = [b.feed_forward for b in model.each_block()]
    assert all(isinstance(b, Experts) and b.router.weight.grad.abs().sum() > 0 for b in blocks)
    assert Model(replace(SHAPE, experts=0)).routings() == []


def test_parameters_grow_with_experts_and_operations_with_those_that_are_taken() -> None:
    assert sum(parameters(SHAPE).values()) == Model(SHAPE).parameter_count()
    one, two = (forward_flops_per_token(replace(SHAPE, experts_per_token=n), 8) for n in (1, 2))
    assert two["feed-forward"] == 2 * one["feed-forward"]
    assert one["router"] == SHAPE.layers * 2 * SHAPE.width * 6


def test_a_capacity_below_nothing_is_refused() -> None:
    for capacity in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expert_capacity is"):
            replace(SHAPE, expert_capacity=capacity)


def test_more_experts_for_a_token_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="experts is 2 with 3 per token"):
        replace(SHAPE, experts=2, experts_per_token=3)
