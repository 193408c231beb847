"""AdamW against its formula, its decay groups, and its state as tensors."""

import torch

from libertas.model.config import ModelConfig
from libertas.model.transformer import Model
from libertas.train.optimizer import adamw, load_state_tensors, state_tensors

SHAPE = ModelConfig(vocabulary=20, width=8, layers=1, heads=2, context=8)


def test_a_step_is_the_published_formula() -> None:
    model = Model(SHAPE)
    optimizer = adamw(model, weight_decay=0.1, beta2=0.95)
    weight = model.blocks[0].feed_forward.up.weight
    before = weight.detach().clone()
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    weight.grad = gradient.clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    optimizer.step()
    moment, square = 0.1 * gradient / (1 - 0.9), 0.05 * gradient**2 / (1 - 0.95)  # bias-corrected, first step
    expected = before * (1 - 0.01 * 0.1) - 0.01 * moment / (square.sqrt() + 1e-8)
    torch.testing.assert_close(weight.detach(), expected)


def test_only_matrices_decay() -> None:
    optimizer = adamw(Model(SHAPE), weight_decay=0.1, beta2=0.95)
    decayed, others = optimizer.param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert sum(p.ndim == 2 for p in others["params"]) == 1  # the position embeddings
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_the_state_survives_a_round_trip_through_tensors() -> None:
    def trained(model: Model, optimizer: torch.optim.Optimizer, steps: int) -> None:
        tokens = torch.arange(9)[None]
        for _ in range(steps):
            optimizer.zero_grad()
            model.loss(tokens[:, :-1], tokens[:, 1:]).mean().backward()
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            optimizer.step()

    first = Model(SHAPE)
    one = adamw(first, 0.1, 0.95)
    trained(first, one, 3)
    second = Model(SHAPE, seed=9)
    second.load_state_dict(first.state_dict())
    two = adamw(second, 0.1, 0.95)
    load_state_tensors(second, two, {k: v.clone() for k, v in state_tensors(first, one).items()})
    trained(first, one, 2)
    trained(second, two, 2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
